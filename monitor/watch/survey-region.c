/* SPDX-License-Identifier: MIT */
/* Survey, region: what is done about a mapping that a reading has found, changed or missed. */

#include "watch/survey-region.h"

#include <errno.h>

#include "base/clock.h"
#include "watch/build-id.h"

#define REREAD_DELAY NSEC_PER_MSEC
#define PROT_ANY (RECORD_PROT_READ | RECORD_PROT_WRITE | RECORD_PROT_EXEC)

/*
 * A hugetlb memfd looks like any memfd in the maps; the file system of the mapping
 * tells, and its block size is the size of its pages (statfs(2)).
 */
static void look_at_file(struct space *s, struct region *g)
{
	struct filesystem fs;

	g->page_size = g->kind == VMA_KIND_HUGETLB ? s->shared->huge_size : s->shared->page_size;
	if (g->kind != VMA_KIND_HUGETLB && g->kind != VMA_KIND_SHMEM)
		return;
	if (agent_filesystem(s->shared->agent, s->pid, s->procfd, g->r, &fs) < 0 &&
	    filesystem_of(s->procfd, g->dev_major, g->dev_minor, &s->filesystems, &fs) < 0)
		return;
	g->kind = (uint8_t)filesystem_kind(&fs);
	g->page_size = g->kind != VMA_KIND_HUGETLB ? s->shared->page_size :
		       fs.block ? (uint32_t)fs.block : s->shared->huge_size;
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
	struct watch_verdict v = watchable(&m, g->kind, s->filter, s->features);

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

/* Owe what is writable and unclaimed; new since then means a gap, which its arming ends. */
static void owe_unclaimed(struct space *s, const struct region *g, bool changed, uint64_t since)
{
	enum gap_reason why = changed ? GAP_PROTECTION : GAP_NEW_MAPPING;
	struct range rest = g->r, run;
	uint64_t now = clock_now();

	while (cover_next_unclaimed(&s->cover, rest, &run)) {
		if (s->snapshot)
			emit_gap(&s->shared->emit, s->pid, s->mm, since, now, run, why);
		space_owe_since(s, run, now, s->snapshot ? now : 0, why);
		rest.lo = run.hi;
	}
}

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

void survey_region(void *arg, enum vma_op op, struct region *g)
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
