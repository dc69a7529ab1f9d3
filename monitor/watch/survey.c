/* SPDX-License-Identifier: MIT */
/*
 * Survey: the layout as /proc tells it, and registration of what is new in it.
 *
 * The coverage contract rests on the order: register, read the maps again, arm.
 * After registration every layout change is told by an event, and arming fails
 * (ENOENT) where registration did not take; so what arm.c claims is true even if a
 * reading of the maps was torn.
 *
 * A reading goes through the address space in slices (PROCMAP_QUERY, Linux 6.11), so
 * that 65,000 mappings keep no fault waiting; an older kernel gives the text of all
 * at once.  What is told of a single mapping (witness) needs one small slice.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch/build-id.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define REREAD_DELAY NSEC_PER_MSEC
#define SURVEY_PERIOD (100 * NSEC_PER_MSEC)
/* A reading may cost one part in this many of the monitor's time. */
#define SURVEY_SHARE 20
/* Mappings looked at before faults are looked at again: well below a millisecond. */
#define SLICE 512
#define PROT_ANY (RECORD_PROT_READ | RECORD_PROT_WRITE | RECORD_PROT_EXEC)
/* A window that grows more often than this belongs to a layout in flux. */
#define WIDENINGS_MAX 16

/*
 * A hugetlb memfd looks like any memfd in the maps; the file system of the mapping
 * tells, and its block size is the size of its pages (statfs(2)).
 */
static void look_at_file(const struct space *s, struct region *g)
{
	uint64_t type, block;

	g->page_size = g->kind == VMA_KIND_HUGETLB ? s->shared->huge_size : s->shared->page_size;
	if (g->kind != VMA_KIND_HUGETLB && g->kind != VMA_KIND_SHMEM)
		return;
	if (agent_filesystem(s->shared->agent, s->pid, s->procfd, g->r, &type, &block) < 0 ||
	    type == TMPFS_MAGIC)
		return;
	/* Device 0:x has any file system without a disk: overlayfs, btrfs, NFS ... */
	g->kind = type == HUGETLBFS_MAGIC ? VMA_KIND_HUGETLB : VMA_KIND_FILE;
	if (g->kind == VMA_KIND_HUGETLB)
		g->page_size = (uint32_t)block;
}

static struct map_entry as_entry(const struct region *g)
{
	return (struct map_entry){
		.lo = g->r.lo, .hi = g->r.hi, .off = g->off, .ino = g->ino,
		.dev_major = g->dev_major, .dev_minor = g->dev_minor, .prot = g->prot,
		.name = g->name ? g->name : "", .name_len = g->name_len,
	};
}

/* After look_at_file(). */
static struct watch_verdict verdict_of(const struct space *s, const struct region *g)
{
	struct map_entry m = as_entry(g);
	struct watch_verdict v = watchable(&m, s->filter, s->features);

	if (g->kind == VMA_KIND_FILE && v.modes && !s->async)
		v = (struct watch_verdict){ .why = WHY_FILE_BACKED };
	if (g->page_size > s->shared->source.len)
		v.modes &= ~(uint32_t)WATCH_MODE_MISSING;
	if (!v.modes && v.why == WHY_NONE)
		v.why = WHY_MODE;
	return v;
}

/* Decide and register; sets modes, why, arm, held and page_size of the region. */
static void judge(struct space *s, struct region *g)
{
	struct watch_verdict v;
	int r;

	look_at_file(s, g);
	v = verdict_of(s->twin ? s->twin : s, g);
	g->held = s->twin && v.modes;
	if (s->twin && !g->held)
		v = verdict_of(s, g);
	g->modes = 0;
	g->arm = g->again = false;
	g->why = (uint8_t)v.why;
	if (g->held || !v.modes) {
		tables_forget(s, g);
		return;
	}
	/* A reserve is not armed before it can be touched: mprotect(2) makes it another. */
	if (s->async && !census_is_lazy(g) && !(g->prot & PROT_ANY)) {
		v.arm = false;
		g->why = WHY_NOT_WRITABLE;
	}
	if (!tables_admit(s, g, v.arm)) {
		g->why = WHY_TOO_LARGE;
		return;
	}
	r = enrol(s, g, v.modes);
	if (r == -ESTALE) {
		g->again = true;
		space_reread(s, clock_now(), REREAD_DELAY);
	}
	if (r < 0) {
		g->why = (uint8_t)enrol_refusal(r);
		return;
	}
	g->modes = v.modes;
	g->arm = v.arm;
	g->registered = clock_now();
}

/* Owe what is writable and unclaimed; new since then means a gap. */
static void owe_unclaimed(struct space *s, const struct region *g, bool changed, uint64_t since)
{
	struct range rest = g->r, run;
	uint64_t now = clock_now();

	while (cover_next_unclaimed(&s->cover, rest, &run)) {
		if (s->snapshot)
			emit_gap(&s->shared->emit, s->pid, s->mm, since, now, run,
				 changed ? GAP_PROTECTION : GAP_NEW_MAPPING);
		space_owe(s, run, now, TODO_ARM, 0);
		rest.lo = run.hi;
	}
}

struct survey_pass {
	struct space *s;
	uint64_t since;		/* what is new now was not there then */
	int64_t differences;
};

/* The other one leaves it to the twin, which was refused. */
static void admit_refused(struct space *s, const struct region *g, uint64_t since)
{
	uint64_t now = clock_now();

	if (verdict_of(s, g).modes)
		emit_gap(&s->shared->emit, s->pid, s->mm, s->snapshot ? since : now, now, g->r,
			 GAP_REGISTER);
}

/* Not watched, and not known of until now: what was written there nobody has told. */
static void admit_unwatched(struct space *s, const struct region *g, uint64_t since)
{
	if (g->held && twin_meets(s->twin, g))
		return;
	if (s->snapshot && (g->prot & RECORD_PROT_WRITE) && g->why != WHY_FILTERED)
		emit_gap(&s->shared->emit, s->pid, s->mm, since, clock_now(), g->r,
			 GAP_NEW_MAPPING);
}

/* Once a mapping: by it symbols are found when the process, or its file, is gone. */
static void look_at_code(const struct space *s, struct region *g, enum vma_op op)
{
	if (op == VMA_OP_GONE || !g->ino || !(g->prot & RECORD_PROT_EXEC) || g->build_id_len)
		return;
	g->build_id_len = (uint8_t)build_id_of(&s->layout, s->mapsfd, s->memfd, g,
						g->build_id);
}

static void on_region(void *arg, enum vma_op op, struct region *g)
{
	struct survey_pass *p = arg;
	struct space *s = p->s;
	bool was_armed = g->arm;
	uint64_t before = clock_now();

	p->differences++;
	guard_beat(s->shared->guard);
	if (op != VMA_OP_GONE)
		judge(s, g);
	else
		tables_forget(s, g);
	if (!s->whole)
		look_at_code(s, g, op);
	space_tell_vma(s, clock_now(), op, g);
	if (op != VMA_OP_GONE && !g->modes && s->whole)
		admit_refused(s, g, p->since);
	else if (op != VMA_OP_GONE && !g->modes)
		admit_unwatched(s, g, p->since);
	if (s->async) {
		census_on_region(s, g, op == VMA_OP_GONE);
		return;
	}
	if (op == VMA_OP_GONE || !g->modes)
		return;
	if (g->modes & (WATCH_MODE_MISSING | WATCH_MODE_MINOR))
		emit_arm(&s->shared->emit, s->pid, s->mm, before, clock_now(), g->r,
			 g->modes & WATCH_MODE_MISSING ? ARM_MISSING : ARM_MINOR);
	if (g->arm)
		owe_unclaimed(s, g, op == VMA_OP_CHANGE && !was_armed, p->since);
}

void survey_admit(struct space *s, struct range span, uint64_t since)
{
	uint64_t now = clock_now(), lo = span.lo;
	struct region *g;

	/* That may have come after the mapping went, and before the word of it was read. */
	if (s->surveyed_before < since)
		since = s->surveyed_before;
	for (g = layout_from(&s->layout, lo); lo < span.hi; g = layout_next(&s->layout, g)) {
		uint64_t hi = g && g->r.lo < span.hi ? g->r.lo : span.hi;

		if (hi > lo)
			emit_gap(&s->shared->emit, s->pid, s->mm, since, now,
				 (struct range){ lo, hi }, GAP_NEW_MAPPING);
		if (!g)
			break;
		lo = g->r.hi;
	}
}

/*
 * Pages outside every region cannot be written; should they come back, they are new.
 * What is armed there has gone by an event that has not been read yet: if it says that
 * the pages live elsewhere now, they are covered there no more.
 */
static void drop_hole(struct space *s, struct range hole)
{
	uint64_t now = clock_now();

	if (cover_armed_any(&s->cover, hole))
		emit_gap(&s->shared->emit, s->pid, s->mm, now, now, hole, GAP_RESYNC);
	cover_drop(&s->cover, hole);
}

static void drop_holes(struct space *s, struct range within)
{
	uint64_t lo = within.lo;

	for (struct region *g = layout_from(&s->layout, lo); g && g->r.lo < within.hi;
	     g = layout_next(&s->layout, g)) {
		if (g->r.lo > lo)
			drop_hole(s, (struct range){ lo, g->r.lo });
		lo = g->r.hi;
	}
	if (lo < within.hi)
		drop_hole(s, (struct range){ lo, within.hi });
}

/*
 * What programs can map lies in the lower half.  The one thing above is the gate page,
 * [vsyscall], which PROCMAP_QUERY does not tell of: it is part of no VMA.
 */
static const struct range user_half = { 0, UINT64_C(1) << 63 };

/*
 * The reading before may have found nothing where there was a mapping already, and where
 * there is another one now: between the two of them.
 */
static uint64_t unknown_since(const struct space *s)
{
	uint64_t since = s->surveyed;

	for (unsigned int i = 0; i < s->nfresh; i++)
		since = s->fresh[i].first < since ? s->fresh[i].first : since;
	return since;
}

/* s->maps is a reading of *w.  Returns the number of differences. */
static int64_t apply_reading(struct space *s, struct range w)
{
	struct survey_pass p = { .s = s, .since = unknown_since(s) };
	int r;

	r = layout_reconcile_part(&s->layout, w, &s->maps, !s->snapshot, &s->shared->next_vma,
				  on_region, &p);
	if (r < 0) {
		s->resync = true;
		return r;
	}
	if (p.differences)
		drop_holes(s, w);
	return p.differences;
}

/* What lies in *w, which is made so wide that nothing crosses its bounds. */
static int read_window(struct space *s, struct range *w)
{
	for (int i = 0; i < WIDENINGS_MAX; i++) {
		bool wider = layout_widen(&s->layout, w);
		int r = maps_query(s->mapsfd, *w, SIZE_MAX, &s->maps);

		if (r == -EAGAIN)
			continue;
		if (r < 0)
			return r;
		if (s->maps.n && s->maps.v[0].lo < w->lo) {
			w->lo = s->maps.v[0].lo;
			wider = true;
		}
		if (s->maps.n && s->maps.v[s->maps.n - 1].hi > w->hi) {
			w->hi = s->maps.v[s->maps.n - 1].hi;
			wider = true;
		}
		if (!wider || !layout_widen(&s->layout, w))
			return 0;
	}
	return -EAGAIN;
}

/* The next slice of the pass that is under way, from its cursor on. */
static int64_t slice(struct space *s, struct range *ret)
{
	struct range w = { s->pass_at, user_half.hi };
	int r;

	if (s->text_only)
		return -ENOTTY;
	r = maps_query(s->mapsfd, w, SLICE, &s->maps);
	if (r < 0)
		return r;
	if (s->maps.n == SLICE)
		w.hi = s->maps.v[SLICE - 1].hi;
	if (w.lo != user_half.lo || w.hi != user_half.hi) {
		r = read_window(s, &w);
		if (r < 0)
			return r;
	}
	*ret = w;
	return apply_reading(s, w);
}

/* The gate page is the same in every process, so also in ours. */
static int64_t gate_page(struct space *s)
{
	struct range upper = { user_half.hi, align_down(UINT64_MAX, s->shared->page_size) };
	int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t n = 0;
	int r;

	if (self < 0)
		return -errno;
	r = maps_read(self, &s->maps);
	close(self);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->maps.n; i++)
		if (s->maps.v[i].lo >= upper.lo)
			s->maps.v[n++] = s->maps.v[i];
	s->maps.n = n;
	return apply_reading(s, upper);
}

static int64_t whole(struct space *s)
{
	struct range all = { 0, align_down(UINT64_MAX, s->shared->page_size) };
	int r = maps_reread(s->mapsfd, &s->maps);

	return r < 0 ? r : apply_reading(s, all);
}

static void pass_done(struct space *s, uint64_t now)
{
	tables_recount(s);
	s->pass_cost += clock_now() - now;
	s->snapshot = true;
	s->surveyed_before = s->surveyed;
	s->surveyed = s->pass_since;
	s->pass_since = s->pass_at = 0;
	s->survey_due = clock_now() + SURVEY_PERIOD;
	if (s->pass_cost * SURVEY_SHARE > SURVEY_PERIOD)
		s->survey_due = clock_now() + s->pass_cost * SURVEY_SHARE;
}

int survey(struct space *s, uint64_t now, int64_t *ret_differences)
{
	struct range w = user_half;
	int64_t n;

	if (!s->pass_since) {
		s->pass_since = now;
		s->pass_at = w.lo;
		s->pass_cost = 0;
		s->pass_found = 0;
		s->reread_due = UINT64_MAX;
	}
	guard_beat(s->shared->guard);
	n = slice(s, &w);
	if (n == -ENOTTY || n == -EAGAIN) {
		s->text_only = n == -ENOTTY;
		w = user_half;
		n = whole(s);
	}
	if (n < 0) {
		s->pass_since = 0;
		s->dead |= n == -ESRCH;
		/* Nothing was read: what is new then is new since the reading before. */
		s->survey_due = clock_now() + SURVEY_PERIOD;
		return (int)n;
	}
	s->pass_found += n;
	s->pass_at = w.hi;
	if (w.hi < user_half.hi) {
		s->pass_cost += clock_now() - now;
		return 1;
	}
	if (!s->snapshot && !s->text_only)
		gate_page(s);
	pass_done(s, now);
	*ret_differences = s->pass_found;
	return 0;
}

int survey_here(struct space *s, const struct space_fresh *f)
{
	struct range w = f->r;
	struct region *g;
	int64_t n;

	if (s->text_only || !s->snapshot || s->resync) {
		s->reread_due = clock_now();
		return 0;
	}
	n = read_window(s, &w);
	if (!n)
		n = apply_reading(s, w);
	if (n == -ESRCH)
		s->dead = true;
	else if (n < 0)
		s->reread_due = clock_now();
	if (n < 0)
		return (int)n;
	for (g = layout_from(&s->layout, f->r.lo); g && g->r.lo < f->r.hi;
	     g = layout_next(&s->layout, g))
		g->told = f->when;
	return 0;
}

/*
 * In slices, as any reading: 65,000 mappings take longer than their threads may wait
 * for an answer.  What is armed from the first one is true all the same: arming fails
 * where registration did not take.
 */
int survey_anew(struct space *s)
{
	uint64_t now = clock_now();

	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g))
		space_tell_vma(s, now, VMA_OP_GONE, g);
	layout_done(&s->layout);
	layout_init(&s->layout, SPACE_LAYOUT_LIMIT);
	tables_recount(s);
	space_disclaim(s);
	s->snapshot = false;
	s->resync = false;
	s->pass_since = 0;
	s->survey_due = clock_now();
	return 0;
}

uint64_t survey_told_until(const struct space *s)
{
	uint64_t since = unknown_since(s), owed = s->async ? census_owes_since(s) : since;

	return owed < since ? owed : since;
}

int survey_resync(struct space *s, enum gap_reason reason)
{
	uint64_t since = survey_told_until(s);

	/* Records of the last pass may be among those that are lost. */
	if (s->async && s->census.older < since)
		since = s->census.older;
	s->declared = clock_now();
	emit_gap(&s->shared->emit, s->pid, s->mm, since, s->declared, (struct range){ 0, 0 },
		 reason);
	return survey_anew(s);
}
