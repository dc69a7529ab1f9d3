/* SPDX-License-Identifier: MIT */
/*
 * Census, layout changes: what they take with them unlooked at is a gap, what they
 * bring is owed an arming.
 */

#include "base/clock.h"
#include "watch/space.h"

/* REMOVE is told before the pages go: a few go within 64 us of the reading, as measured. */
#define REMOVE_SETTLES (20 * NSEC_PER_MSEC)

/* It has gone, and nobody has looked since the last pass. */
static void lose(struct space *s, struct range span, uint64_t now)
{
	for (struct region *g = layout_from(&s->layout, span.lo); g && g->r.lo < span.hi;
	     g = layout_next(&s->layout, g)) {
		struct range part = range_common(range_common(g->armed, g->r), span);

		if (g->modes && !range_empty(part))
			census_gap(s, part, census_told_until(s, g), now);
	}
}

/*
 * New, and not armed yet: if it goes before it is, nobody will have looked, and if it is
 * moved, what was owed to it is owed to where it is then.  Returns since when.
 */
static uint64_t lose_owed(struct space *s, struct range span, uint64_t now)
{
	uint64_t first = now;

	for (unsigned int i = s->todo_head; i < s->ntodo; i++) {
		const struct space_todo *t = &s->todo[i];
		struct range part = range_common(t->r, span);

		if (!t->since || range_empty(part))
			continue;
		emit_gap(&s->shared->emit, s->pid, s->mm, t->since, now, part, GAP_NEW_MAPPING);
		first = t->since < first ? t->since : first;
	}
	return first;
}

static struct range pages_of(const struct space *s, struct range r)
{
	return (struct range){ align_down(r.lo, s->shared->page_size),
			       align_up(r.hi, s->shared->page_size) };
}

void census_before_event(struct space *s, const struct event *ev, uint64_t now)
{
	struct range from, to;

	if (ev->kind == EVENT_UNMAP || ev->kind == EVENT_REMOVE)
		census_unsettle(s, pages_of(s, ev->span));
	s->census.moved_since = now;
	if (ev->kind == EVENT_UNMAP) {
		lose(s, pages_of(s, ev->span), now);
		lose_owed(s, pages_of(s, ev->span), now);
	}
	if (ev->kind == EVENT_REMOVE)
		doubt_add(&s->census.doubts, (struct doubt){
			.r = pages_of(s, ev->span),
			.since = census_all_told_until(s),
			.until = now + REMOVE_SETTLES + space_drop_takes(s, ev->span),
		});
	if (ev->kind != EVENT_REMAP)
		return;
	/* Protection moves along (EVENT_REMAP), and so do doubts; MREMAP_DONTUNMAP leaves holes. */
	from = pages_of(s, ev->remap.from);
	census_unsettle(s, from);
	s->census.moved_since = lose_owed(s, from, now);
	if (range_make(ev->remap.to, range_len(from), &to)) {
		census_unsettle(s, to);
		lose(s, to, now);
	}
	doubt_copy(&s->census.doubts, from, ev->remap.to);
	doubt_add(&s->census.doubts, (struct doubt){
		.r = from, .since = census_all_told_until(s), .until = now + REMOVE_SETTLES,
	});
}

/* Registered, and not armed: new since the last reading means a gap, until it is. */
static void owe_parts(struct space *s, const struct region *g, uint64_t since)
{
	struct range armed = range_common(g->armed, g->r);
	struct range below = { g->r.lo, range_empty(armed) ? g->r.hi : armed.lo };
	struct range above = { range_empty(armed) ? g->r.hi : armed.hi, g->r.hi };
	uint64_t now = clock_now();

	/* It will be armed at the end of the rest, if it is there still. */
	if (s->census.rest_since && since)
		emit_gap(&s->shared->emit, s->pid, s->mm, since, now, g->r, GAP_BUDGET);
	if (s->census.rest_since)
		return;
	/* No room for it: nothing is promised, and everything begins anew. */
	if (!range_empty(below))
		space_owe_since(s, below, now, since, GAP_NEW_MAPPING);
	if (!range_empty(above))
		space_owe_since(s, above, now, since, GAP_NEW_MAPPING);
}

/* An arming under way has begun in another layout: its parts do not join up any more. */
void census_after_event(struct space *s, const struct event *ev)
{
	struct range to;

	for (unsigned int i = s->todo_head; i < s->ntodo; i++)
		s->todo[i].armed = 0;
	if (ev->kind != EVENT_REMAP ||
	    !range_make(ev->remap.to, range_len(pages_of(s, ev->remap.from)), &to))
		return;
	/* The cursor may be beyond it: then this pass does not see it. */
	for (struct region *g = layout_from(&s->layout, to.lo); g && g->r.lo < to.hi;
	     g = layout_next(&s->layout, g)) {
		g->seen = g->seen ? g->seen : s->census.before;
		g->moved = true;
		if (g->modes && g->arm)
			owe_parts(s, g, s->census.moved_since);
	}
}

void census_born(struct space *s)
{
	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g))
		if (g->modes && g->arm)
			owe_parts(s, g, s->census.before);
}

/* Parts that have gone, without an event yet; the event will find nothing. */
static void lose_outside(struct space *s, const struct region *g, struct range keep)
{
	struct range below = { g->armed.lo, g->armed.hi < keep.lo ? g->armed.hi : keep.lo };
	struct range above = { g->armed.lo > keep.hi ? g->armed.lo : keep.hi, g->armed.hi };
	uint64_t now = clock_now();

	if (!range_empty(below))
		census_gap(s, below, census_told_until(s, g), now);
	if (!range_empty(above))
		census_gap(s, above, census_told_until(s, g), now);
}

void census_on_region(struct space *s, struct region *g, bool gone)
{
	struct range none = { g->r.lo, g->r.lo };

	if (!range_empty(g->armed))
		lose_outside(s, g, gone || !g->modes ? none : g->r);
	g->armed = gone || !g->modes ? none : range_common(g->armed, g->r);
	if (!gone && g->modes && g->arm)
		owe_parts(s, g, s->snapshot ? s->surveyed : s->declared);
}
