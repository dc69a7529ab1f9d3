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
#include <unistd.h>

#include "base/clock.h"
#include "watch/space.h"
#include "watch/survey-region.h"

#define SURVEY_PERIOD (100 * NSEC_PER_MSEC)
/* A reading may cost one part in this many of the monitor's time. */
#define SURVEY_SHARE 20
/* Mappings looked at before faults are looked at again: well below a millisecond. */
#define SLICE 512
/* A window that grows more often than this belongs to a layout in flux. */
#define WIDENINGS_MAX 16

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
				  survey_region, &p);
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
