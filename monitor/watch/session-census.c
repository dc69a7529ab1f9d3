/* SPDX-License-Identifier: MIT */
/* Session, the census: what it finds goes into the trace. */

#include "watch/pagescan.h"
#include "watch/session-state.h"

static void on_dirty(void *arg, struct space *sp, const struct region *g, struct range run,
		     uint64_t t0, uint64_t t1)
{
	struct session *s = arg;

	emit_dirty(&s->shared.emit, sp->pid, sp->mm, t0, t1, run, g->id, sp->census.epoch);
	s->dirty_pages += range_len(run) / s->shared.page_size;
	sp->toll.writes += range_len(run) / (g->page_size ? g->page_size : s->shared.page_size);
	if (s->who && (s->shared.kinds & WATCH_KIND_WP))
		session_who_dirty(s, sp, g, run, t0, t1);
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
	s->filter.async = s->opts.async;
	s->shared.dirty = on_dirty;
	s->shared.passed = on_passed;
	s->summary.async = s->opts.async;
	s->shared.census_arg = s;
	session_budget_begin(s);
}
