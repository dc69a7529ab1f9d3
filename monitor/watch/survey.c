/* SPDX-License-Identifier: MIT */
/*
 * Survey: the layout as /proc tells it, and registration of what is new in it.
 *
 * The coverage contract rests on the order: register, read the maps again, arm.
 * After registration every layout change is told by an event, and arming fails
 * (ENOENT) where registration did not take; so what arm.c claims is true even if a
 * reading of the maps was torn.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define FIRST_READINGS_MAX 8
#define MAX_ADDR UINT64_MAX
#define SURVEY_PERIOD (100 * NSEC_PER_MSEC)
/* A reading may cost one part in this many of the monitor's time. */
#define SURVEY_SHARE 20

/*
 * A hugetlb memfd looks like any memfd in the maps; the file system of the mapping
 * tells, and its block size is the size of its pages (statfs(2)).
 */
static void look_at_file(const struct space *s, struct region *g)
{
	char path[80];
	struct statfs fs;
	int fd, r;

	g->page_size = g->kind == VMA_KIND_HUGETLB ? s->shared->huge_size : s->shared->page_size;
	if (g->kind != VMA_KIND_HUGETLB && g->kind != VMA_KIND_SHMEM)
		return;
	snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)g->r.lo,
		 (unsigned long long)g->r.hi);
	fd = openat(s->procfd, path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return;
	r = fstatfs(fd, &fs);
	close(fd);
	if (r < 0 || fs.f_type != HUGETLBFS_MAGIC)
		return;
	g->kind = VMA_KIND_HUGETLB;
	g->page_size = (uint32_t)fs.f_bsize;
}

static struct map_entry as_entry(const struct region *g)
{
	return (struct map_entry){
		.lo = g->r.lo, .hi = g->r.hi, .off = g->off, .ino = g->ino,
		.dev_major = g->dev_major, .dev_minor = g->dev_minor, .prot = g->prot,
		.name = g->name ? g->name : "", .name_len = g->name_len,
	};
}

/* Register the part of a region that the filter's ranges name; all if it has none. */
static int register_parts(struct space *s, const struct region *g, uint32_t modes)
{
	const struct watch_filter *f = s->shared->filter;
	uint32_t page = g->page_size;
	int r = 0;

	if (!f->nr_ranges)
		return uffd_register(s->uffd, g->r, modes);
	for (unsigned int i = 0; i < f->nr_ranges && !r; i++) {
		struct range part = range_common(g->r, f->ranges[i]);

		part.lo = align_down(part.lo, page);
		part.hi = align_up(part.hi, page);
		part = range_common(part, g->r);
		if (!range_empty(part))
			r = uffd_register(s->uffd, part, modes);
	}
	return r;
}

static enum vma_why refusal(int error)
{
	return error == -EBUSY ? WHY_BUSY : error == -EPERM ? WHY_READ_ONLY_FD : WHY_REFUSED;
}

/* Decide and register; sets modes, why, arm and page_size of the region. */
static void judge(struct space *s, struct region *g)
{
	struct map_entry m = as_entry(g);
	struct watch_verdict v = watchable(&m, s->shared->filter, s->features);
	int r;

	look_at_file(s, g);
	if (g->page_size > s->shared->source.len)
		v.modes &= ~(uint32_t)WATCH_MODE_MISSING;
	g->modes = 0;
	g->arm = false;
	g->why = (uint8_t)v.why;
	/*
	 * Arming an empty page takes a page table entry: terabytes of shadow memory, say
	 * of a sanitizer, would cost gigabytes of tables.
	 */
	if (v.modes && range_len(g->r) > s->shared->memory && !s->shared->filter->nr_ranges) {
		v.modes = 0;
		g->why = WHY_TOO_LARGE;
	}
	if (!v.modes) {
		if (g->why == WHY_NONE)
			g->why = WHY_MODE;
		return;
	}
	r = register_parts(s, g, v.modes);
	if (r < 0) {
		g->why = (uint8_t)refusal(r);
		return;
	}
	g->modes = v.modes;
	g->arm = v.arm;
}

/* Owe what is writable and unclaimed; new since the last reading means a gap. */
static void owe_unclaimed(struct space *s, const struct region *g, bool changed)
{
	struct range rest = g->r, run;
	uint64_t now = clock_now();

	while (cover_next_unclaimed(&s->cover, rest, &run)) {
		if (s->snapshot)
			emit_gap(&s->shared->emit, s->pid, s->mm, s->surveyed, now, run,
				 changed ? GAP_PROTECTION : GAP_NEW_MAPPING);
		space_owe(s, run, now, TODO_ARM, 0);
		rest.lo = run.hi;
	}
}

struct survey_pass {
	struct space *s;
	int64_t differences;
};

static void on_region(void *arg, enum vma_op op, struct region *g)
{
	struct survey_pass *p = arg;
	struct space *s = p->s;
	bool was_armed = g->arm;
	uint64_t before = clock_now();

	p->differences++;
	if (op != VMA_OP_GONE)
		judge(s, g);
	emit_vma(&s->shared->emit, s->pid, s->mm, clock_now(), op, g);
	if (op == VMA_OP_GONE || !g->modes)
		return;
	if (g->modes & (WATCH_MODE_MISSING | WATCH_MODE_MINOR))
		emit_arm(&s->shared->emit, s->pid, s->mm, before, clock_now(), g->r,
			 g->modes & WATCH_MODE_MISSING ? ARM_MISSING : ARM_MINOR);
	if (g->arm)
		owe_unclaimed(s, g, op == VMA_OP_CHANGE && !was_armed);
}

/* Pages outside every region cannot be written; should they come back, they are new. */
static void drop_holes(struct space *s)
{
	uint64_t lo = 0;

	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g)) {
		if (g->r.lo > lo)
			cover_drop(&s->cover, (struct range){ lo, g->r.lo });
		lo = g->r.hi;
	}
	cover_drop(&s->cover, (struct range){ lo, align_down(MAX_ADDR, s->shared->page_size) });
}

int64_t survey(struct space *s, uint64_t now)
{
	struct survey_pass p = { .s = s };
	uint64_t end;
	int r;

	r = maps_read(s->procfd, &s->maps);
	if (r < 0) {
		s->dead = r == -ESRCH;
		return r;
	}
	r = layout_reconcile(&s->layout, &s->maps, !s->snapshot, &s->shared->next_vma,
			     on_region, &p);
	if (r < 0) {
		s->resync = true;
		return r;
	}
	if (p.differences)
		drop_holes(s);
	end = clock_now();
	s->snapshot = true;
	s->surveyed = now;
	s->survey_cost = end - now;
	s->survey_due = end + SURVEY_PERIOD;
	if (s->survey_cost * SURVEY_SHARE > SURVEY_PERIOD)
		s->survey_due = end + s->survey_cost * SURVEY_SHARE;
	s->reread_due = UINT64_MAX;
	return p.differences;
}

int survey_first(struct space *s)
{
	int64_t n = 1;

	for (int i = 0; n > 0 && i < FIRST_READINGS_MAX; i++)
		n = survey(s, clock_now());
	return n < 0 ? (int)n : 0;
}

int survey_resync(struct space *s, enum gap_reason reason)
{
	uint64_t now = clock_now();

	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g))
		emit_vma(&s->shared->emit, s->pid, s->mm, now, VMA_OP_GONE, g);
	emit_gap(&s->shared->emit, s->pid, s->mm, s->surveyed, now, (struct range){ 0, 0 }, reason);
	layout_done(&s->layout);
	layout_init(&s->layout, SPACE_LAYOUT_LIMIT);
	space_disclaim(s);
	s->snapshot = false;
	s->resync = false;
	return survey_first(s);
}
