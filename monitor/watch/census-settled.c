/* SPDX-License-Identifier: MIT */
/*
 * Census, settled page tables: where the plain mask tells the truth of private memory.
 *
 * A page table entry without protection counts as written, an empty one as well, and so
 * does the zero page.  So a new page table says "written" 512 times, for one page.  But
 * arming protects all entries of the tables that are there, the empty ones by markers,
 * and what comes by reading takes the protection over from its marker.  In such a table,
 * all of whose entries in the region have been protected once, only a write takes it
 * off; or what drops pages, and that is told by an event, before it happens
 * (MADV_DONTNEED), or under way at the next look (mremap(2), see tell_doubtful()).  Only
 * MADV_GUARD_INSTALL is not told of: its pages, whose contents have gone, count as
 * written once.
 *
 * Elsewhere a richer mask is needed, which takes twice the time, and in a mapping of a
 * file twenty times.
 */

#include "base/clock.h"
#include "watch/pagescan.h"
#include "watch/space.h"

#define RUNS_MAX 256

/* What one page table spans: as many pages as it has entries, of 8 bytes each. */
static uint64_t table_span(const struct space *s)
{
	return (uint64_t)s->shared->page_size * (s->shared->page_size / 8);
}

/* The whole tables in `run`; at the bounds of `within` a part of one will do. */
static struct range whole_tables(const struct space *s, struct range run, struct range within)
{
	uint64_t span = table_span(s);

	if (run.lo > within.lo)
		run.lo = align_up(run.lo, span);
	if (run.hi < within.hi)
		run.hi = align_down(run.hi, span);
	if (run.hi < run.lo)
		run.hi = run.lo;
	return run;
}

static void add(struct space *s, struct range r)
{
	struct range in;

	/* In doubt: pages may still go.  Out of memory: the richer mask does as well. */
	if (!range_empty(r) && !doubt_first(&s->census.doubts, r, &in))
		cover_arm(&s->census.settled, r);
}

void census_settle(struct space *s, const struct region *g, struct range part)
{
	struct page_region v[RUNS_MAX];
	uint64_t end;

	cover_drop(&s->census.settled, part);
	if (!census_is_lazy(g))
		return;
	/* A table that has come after the protecting has holes, or was written in full. */
	for (struct range rest = part; !range_empty(rest); rest.lo = end) {
		int64_t n = pagescan_entries(s->pagemap, rest, v, RUNS_MAX, &end);

		if (n < 0)
			return;
		for (int64_t i = 0; i < n; i++)
			add(s, whole_tables(s, (struct range){ v[i].start, v[i].end }, part));
	}
}

void census_settle_written(struct space *s, const struct region *g, struct range run)
{
	add(s, whole_tables(s, run, range_common(g->armed, g->r)));
}

void census_unsettle(struct space *s, struct range r)
{
	uint64_t span = table_span(s);

	/* Whole tables, so that no scan has to go in pieces below that. */
	r.lo = align_down(r.lo, span);
	r.hi = r.hi > UINT64_MAX - span ? align_down(UINT64_MAX, span) : align_up(r.hi, span);
	cover_drop(&s->census.settled, r);
}

enum pagescan_kind census_way(const struct space *s, const struct region *g, struct range *r)
{
	enum pagescan_kind kind = census_kind(g);
	struct range run;

	if (kind == PAGESCAN_SHARED || !cover_next_armed(&s->census.settled, *r, &run))
		return kind;
	if (run.lo > r->lo) {
		r->hi = run.lo;
		return kind;
	}
	*r = run;
	return PAGESCAN_SHARED;
}
