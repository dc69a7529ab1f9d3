/* SPDX-License-Identifier: MIT */
/* Census, the end: the last passes, and what they do not reach; and a proof at the begin. */

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "watch/pagescan.h"
#include "watch/space.h"

/* The trace has no room. */
#define NO_ROOM_RETRY NSEC_PER_MSEC

/* What is new and has not been armed any more. */
static void drop_owed(struct space *s)
{
	for (unsigned int i = s->todo_head; i < s->ntodo; i++)
		space_todo_skip(s, &s->todo[i], s->todo[i].r.hi);
	s->todo_head = s->ntodo = 0;
}

void census_finish(struct space *s, uint64_t limit)
{
	const struct timespec rest = { .tv_nsec = NO_ROOM_RETRY };
	uint64_t begin = clock_now();

	if (s->pagemap < 0 || s->census.rest_since)
		return;
	s->census.cold_every = 1;
	drop_owed(s);
	while (!s->dead && s->census.before < begin && clock_now() < limit) {
		census_hasten(s);
		serve(s, clock_now());
		if (!census_step(s))
			nanosleep(&rest, NULL);
	}
	s->census.complete = !s->dead && s->census.before >= begin;
}

void census_confess(struct space *s)
{
	struct range all = { 0, UINT64_MAX }, none = { 0, 0 }, run;
	uint64_t now = clock_now();
	const struct doubt *d;

	if (s->census.rest_since) {
		census_rest_confess(s, now);
		return;
	}
	/* A mapping that no reading has found, no pass has gone over. */
	if (!s->census.complete) {
		census_gap(s, none, survey_told_until(s), now);
		return;
	}
	while ((d = doubt_first(&s->census.doubts, all, &run))) {
		census_gap(s, run, d->since, now);
		all.lo = run.hi;
	}
}

uint64_t census_armed(const struct space *s)
{
	uint64_t bytes = 0;

	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g)) {
		struct range armed = range_common(g->armed, g->r);

		bytes += g->modes && !range_empty(armed) ? range_len(armed) : 0;
	}
	return bytes;
}

int census_prove(struct space *s)
{
	unsigned int tries = 0;

	if (s->pagemap < 0)
		return -EACCES;
	for (struct region *g = layout_from(&s->layout, 0); g && tries < 8;
	     g = layout_next(&s->layout, g)) {
		struct range p = { g->r.lo, g->r.lo + g->page_size };

		if (!g->modes)
			continue;
		tries++;
		if (!pagescan_registered(s->pagemap, p))
			return 0;
	}
	return tries ? -EXDEV : 0;
}
