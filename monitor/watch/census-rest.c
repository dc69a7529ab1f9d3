/* SPDX-License-Identifier: MIT */
/*
 * Census, rest: less is looked at, or nothing is watched, where that costs too much.
 *
 * In a rest everything stays registered, so that the layout is followed as ever; its
 * protection is taken off, and a first write costs nothing.
 */

#include <errno.h>

#include "base/clock.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define SKIPS_A_STEP 256
/* Cold is what so many passes in a row have found nothing in. */
#define COLD_PASSES 3

static void declare_range(struct space *s, struct range r, uint64_t since, uint64_t now)
{
	emit_gap(&s->shared->emit, s->pid, s->mm, since, now, r, GAP_BUDGET);
}

/* All of it, but for what a twin goes on to watch. */
static void declare(struct space *s, uint64_t since, uint64_t now)
{
	if (!s->twin)
		declare_range(s, (struct range){ 0, 0 }, since, now);
	for (struct region *g = layout_from(&s->layout, 0); g && s->twin;
	     g = layout_next(&s->layout, g))
		if (g->modes)
			declare_range(s, g->r, since, now);
}

void census_rest(struct space *s, uint64_t now)
{
	uint64_t since = census_owes_since(s);

	s->todo_head = s->ntodo = 0;
	census_forget(s);
	s->census.rest_since = now;
	s->census.rest_at = 0;
	declare(s, since, now);
}

void census_resume(struct space *s, uint64_t now)
{
	declare(s, s->census.rest_since, now);
	s->census.rest_since = 0;
	s->census.before = s->census.older = s->census.oldest = now;
	s->census.due = now + s->shared->epoch_ns;
	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g)) {
		g->seen = 0;
		g->moved = false;
		if (g->modes && g->arm)
			space_owe_since(s, g->r, now, 0, GAP_NEW_MAPPING);
	}
}

void census_rest_confess(struct space *s, uint64_t now)
{
	declare(s, s->census.rest_since, now);
}

/* What is not registered has no protection either: ENOENT. */
int census_rest_step(struct space *s)
{
	uint64_t t0 = clock_now();
	struct region *g = layout_from(&s->layout, s->census.rest_at);
	struct range part;
	int r;

	for (int i = 0; g && !g->modes && i < SKIPS_A_STEP; i++) {
		s->census.rest_at = g->r.hi;
		g = layout_next(&s->layout, g);
	}
	if (!g || s->census.rest_at == UINT64_MAX) {
		s->census.rest_at = UINT64_MAX;
		return 0;
	}
	if (!g->modes)
		return 1;
	part = g->r;
	if (part.lo < s->census.rest_at)
		part.lo = s->census.rest_at;
	part = census_slice(s, g, part);
	r = uffd_unprotect(s->uffd, part);
	if (r == -EAGAIN) {
		s->arm_after = t0 + CENSUS_CHANGE_DELAY;
		return 0;
	}
	if (r == -ESRCH) {
		s->dead = true;
		return 0;
	}
	census_adapt(s, part, clock_now() - t0);
	s->census.held += clock_now() - t0;
	s->census.rest_at = part.hi;
	return 1;
}

/* What was dropped in there is looked at, for that is a doubt until then. */
bool census_leaves_out(struct space *s, struct region *g)
{
	struct census *c = &s->census;
	struct range run;

	if (c->cold_every <= 1 || c->epoch % c->cold_every == 0 || g->quiet < COLD_PASSES ||
	    c->at > g->r.lo || doubt_first(&c->doubts, g->r, &run))
		return false;
	if (!g->seen)
		g->seen = c->before;
	c->skipped = true;
	return true;
}
