/* SPDX-License-Identifier: MIT */
/* Session, the census: what it finds goes into the trace. */

#include "watch/pagescan.h"
#include "watch/session-state.h"

static void on_dirty(void *arg, struct space *sp, const struct region *g,
		     const struct range *runs, size_t n, uint64_t t0, uint64_t t1)
{
	struct session *s = arg;
	uint64_t bytes = 0;

	emit_dirty_runs(&s->shared.emit, sp->pid, sp->mm, t0, t1, runs, n, g->id,
			sp->census.epoch);
	for (size_t i = 0; i < n; i++)
		bytes += range_len(runs[i]);
	s->dirty_pages += bytes / s->shared.page_size;
	s->distinct_pages += workset_add(&sp->written, runs, n);
	s->summary.dirty_by_kind[g->kind] += bytes / s->shared.page_size;
	sp->toll.writes += bytes / (g->page_size ? g->page_size : s->shared.page_size);
	if (!s->who || !(s->shared.kinds & WATCH_KIND_WP))
		return;
	for (size_t i = 0; i < n; i++)
		session_who_dirty(s, sp, g, runs[i], t0, t1);
}

static void on_passed(void *arg, struct space *sp)
{
	struct session *s = arg;

	s->summary.epochs++;
	session_budget_passed(s, sp);
	if (s->who)
		session_who_passed(s);
}

void session_census(struct session *s)
{
	s->shared.epoch_ns = s->opts.epoch_ns ? s->opts.epoch_ns : SESSION_EPOCH_NS;
	s->shared.guard_pages = s->opts.async && pagescan_probe().guard;
	if (s->opts.both) {
		s->twin_filter = s->filter;
		s->shared.twin_filter = &s->twin_filter;
		s->filter = (struct watch_filter){ .modes = WATCH_MODE_WRITE };
	}
	s->filter.async = s->opts.async;
	s->summary.both = s->opts.both;
	/* Each page is a record then, and what a slice finds has to fit in the queue. */
	s->shared.narrow = s->opts.who;
	s->shared.dirty = on_dirty;
	s->shared.passed = on_passed;
	s->summary.async = s->opts.async;
	s->shared.census_arg = s;
	session_budget_begin(s);
}
