/* SPDX-License-Identifier: MIT */
/* Session, the end: counters, summary, and letting the targets go. */

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/session-state.h"

#define LAST_TURNS 4
/* What a last pass does not reach in this time is a gap. */
#define LAST_PASS_MAX (2 * NSEC_PER_SEC)

/* Resident pages are the second field of statm, proc_pid_statm(5). */
static uint32_t own_rss_kb(uint32_t page_size)
{
	unsigned long total, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return (uint32_t)(resident * (page_size / 1024));
}

static void fill_stats(const struct session *s, struct record_stats *ret, bool final)
{
	const struct space_shared *sh = &s->shared;

	*ret = (struct record_stats){
		.faults = sh->emit.faults,
		.writes = sh->emit.writes,
		.lost = queue_dropped(s->opts.queue, NULL) + s->witness_lost,
		.repeats = sh->emit.repeats,
		.lat_p50_ns = (uint32_t)latency_quantile(&sh->lat, 500),
		.lat_p99_ns = (uint32_t)latency_quantile(&sh->lat, 990),
		.stop_p99_ns = (uint32_t)latency_quantile(&sh->stop, 990),
		.distinct_pages = s->opts.async ? (int64_t)s->distinct_pages : RECORD_UNKNOWN,
		.unwitnessed = s->who ? (int64_t)who_unwitnessed(s->who) : RECORD_UNKNOWN,
		.slowdown_ppm = session_slowdown(s),
		.rss_kb = own_rss_kb(sh->page_size),
		.final = final,
	};
	ret->dirty_pages = s->dirty_pages;
	for (const struct space *sp = s->spaces; sp && !s->opts.async; sp = sp->next)
		ret->dirty_pages += sp->cover.claimed - sp->cover.armed;
}

void session_drop_twin(struct session *s, struct space *twin)
{
	session_close_space(s, twin);
	twin_part(twin);
	session_drop_space(s, twin);
}

void session_emit_stats(struct session *s, bool final)
{
	struct record r = {
		.kind = RECORD_STATS,
		.pid = s->first_pid,
		.ts = emit_ts(&s->shared.emit, clock_now()),
	};

	fill_stats(s, &r.stats, final);
	if (final)
		s->summary.stats = r.stats;
	emit_push(&s->shared.emit, &r);
}

void session_summary(const struct session *s, struct session_summary *ret)
{
	struct record_stats last = s->summary.stats;

	*ret = s->summary;
	ret->reason = s->reason;
	ret->at_once = s->at_once;
	ret->lost_perf = s->witness_lost;
	if (last.final)
		return;
	fill_stats(s, &ret->stats, false);
	ret->ran_ns = clock_now() - s->started;
}

/*
 * What has come until now is answered and written; then the descriptors are closed,
 * which unregisters everything, disarms it and wakes whoever waits: the targets
 * are as they were before.  Only then the trace says so.
 */
void session_let_go(struct session *s)
{
	struct record r = {
		.kind = RECORD_DETACH,
		.pid = s->first_pid,
		.detach = { .reason = (uint8_t)s->reason, .clean = true },
	};

	if (s->summary.stats.final)
		return;
	session_wait_end(s);
	session_endings_last(s);
	session_hints_settle(s);
	while (s->nadoptions)
		session_adoption_void(&s->adoptions[--s->nadoptions]);
	for (int i = 0; i < LAST_TURNS; i++)
		for (struct space *sp = s->spaces; sp; sp = sp->next)
			if (!sp->dead && serve(sp, clock_now()) >= 0 && sp->npending)
				serve_pending(sp);
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (sp->async && !sp->gone && !s->at_once && !s->mute)
			census_finish(sp, clock_now() + LAST_PASS_MAX);
	s->summary.ran_ns = clock_now() - s->started;
	ksm_look(&s->shared.ksm);
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (!sp->whole)
			arm_confess(sp);
	session_witness_lost(s, true);
	emit_expire(&s->shared.emit, UINT64_MAX);
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		session_close_space(s, sp);
	/* Up to here we may have stood still, and the coverage have had a hole. */
	session_guard_settle(s);
	session_emit_stats(s, true);
	while (s->spaces)
		session_drop_space(s, s->spaces);
	s->summary.clean = true;
	r.ts = emit_ts(&s->shared.emit, clock_now());
	emit_push(&s->shared.emit, &r);
	emit_kick(&s->shared.emit);
}

struct session *session_free(struct session *s)
{
	if (!s)
		return NULL;
	if (s->any_attached && !s->summary.stats.final) {
		session_stop(s, DETACH_ERROR);
		session_let_go(s);
	}
	while (s->spaces)
		session_drop_space(s, s->spaces);
	while (s->nhints)
		session_drop_hint(s, s->hints[0].child);
	procwatch_close(s->procwatch);
	witness_close(s->witness);
	who_free(s->who);
	threads_free(s->threads);
	s->guard = guard_free(s->guard);
	close_fd(&s->epoll);
	close_fd(&s->reserve);
	emit_done(&s->shared.emit);
	maps_done(&s->shared.now);
	resolve_source_close(&s->shared.source);
	free(s);
	return NULL;
}
