/* SPDX-License-Identifier: MIT */
/*
 * Census, arming: what is owed is protected for the first time, and from then on a pass
 * goes over it.
 */

#include <errno.h>

#include "base/clock.h"
#include "watch/pagescan.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define SKIPS_A_STEP 256

static int arm_part(struct space *s, struct region *g, struct range part, uint64_t since)
{
	uint64_t t0 = clock_now(), t1, end;
	int64_t n;

	/* PAGEMAP_SCAN leaves holes in hugetlb memory bare; this does not. */
	if (g->kind == VMA_KIND_HUGETLB)
		n = uffd_protect(s->uffd, part);
	else
		n = pagescan_take(s->pagemap, part, census_kind(g), s->shared->guard_pages, NULL, 0,
				  &end);
	if (n < 0)
		return (int)n;
	t1 = clock_now();
	census_adapt(s, part, t1 - t0);
	s->census.held += t1 - t0;
	/* PAGEMAP_SCAN does not ask; a child has what its parent had before, and no more. */
	if (census_changing(s))
		return -EAGAIN;
	census_settle(s, g, part);
	if (since)
		emit_gap(&s->shared->emit, s->pid, s->mm, since, t1, part, GAP_NEW_MAPPING);
	emit_arm(&s->shared->emit, s->pid, s->mm, t0, t1, part, ARM_ASYNC);
	return 0;
}

/* The part that is armed is one: a chunk counts when it has come to touch it. */
static void extend(struct region *g, const struct space_todo *t, struct range chunk, uint64_t t0)
{
	struct range done = { t->armed ? t->armed : chunk.lo, chunk.hi };

	done = range_common(done, g->r);
	g->armed = range_common(g->armed, g->r);
	if (range_empty(g->armed)) {
		g->armed = done;
		g->armed_at = t0;
		g->seen = 0;
		g->moved = false;
	} else if (done.lo <= g->armed.hi && g->armed.lo <= done.hi) {
		g->armed.lo = done.lo < g->armed.lo ? done.lo : g->armed.lo;
		g->armed.hi = done.hi > g->armed.hi ? done.hi : g->armed.hi;
	}
}

static int arm_step_of(struct space *s, struct space_todo *t, struct region *g)
{
	struct range chunk = range_common(t->r, g->r), part;
	uint64_t t0 = clock_now();
	bool told = false;
	int r = 0;

	chunk = census_slice(s, g, chunk);
	for (part = arm_allowed(s, chunk); !range_empty(part) && !r;
	     part = arm_allowed(s, (struct range){ part.hi, chunk.hi })) {
		r = arm_part(s, g, part, t->since);
		told |= !r;
	}
	if (r == -EAGAIN) {
		/* Begun anew: what was armed of it already is not promised yet. */
		s->arm_after = clock_now() + CENSUS_CHANGE_DELAY;
		if (told)
			emit_gap(&s->shared->emit, s->pid, s->mm, t0, clock_now(), chunk,
				 GAP_REGISTER);
		return 0;
	}
	t->r.lo = chunk.hi;
	if (r < 0) {
		emit_gap(&s->shared->emit, s->pid, s->mm, t->since ? t->since : t0, clock_now(),
			 chunk, GAP_REGISTER);
		t->armed = 0;
		g->again = true;
		space_reread(s, t0, CENSUS_REREAD_DELAY);
		return 1;
	}
	extend(g, t, chunk, t0);
	t->armed = t->armed ? t->armed : chunk.lo;
	if (chunk.hi == g->r.hi)
		t->armed = 0;
	return 1;
}

static void skip_to(struct space *s, struct space_todo *t, uint64_t addr)
{
	if (space_todo_skip(s, t, addr))
		t->armed = 0;
}

int census_arm_step(struct space *s, struct space_todo *t)
{
	for (int i = 0; i < SKIPS_A_STEP; i++) {
		struct region *g = layout_from(&s->layout, t->r.lo);

		skip_to(s, t, g && g->r.lo > t->r.lo ? g->r.lo : g ? t->r.lo : t->r.hi);
		if (t->r.lo >= t->r.hi) {
			space_todo_done(s);
			return 1;
		}
		if (g->arm && g->modes)
			return arm_step_of(s, t, g);
		skip_to(s, t, g->r.hi);
	}
	return 1;
}
