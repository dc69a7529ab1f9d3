/* SPDX-License-Identifier: MIT */
/*
 * Session, the watchdog: its life, and what there is to do when it has let the
 * targets go because this process stood still.
 *
 * Nothing is registered then, and messages have been read by somebody else.  What was
 * claimed since the last beat is void: a gap over each address space says so, and
 * everything is registered and armed anew.
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "log.h"
#include "watch/session-state.h"

/* A watchdog that lives shorter than this is not started again. */
#define LIFE_MIN (100 * NSEC_PER_MSEC)
/* Processes that are dropped at the end of a turn keep theirs until then. */
#define SLOTS_SPARE 64

void session_guard_start(struct session *s)
{
	int r;

	if (!s->opts.watchdog_ns)
		return;
	r = guard_new(&s->guard, s->opts.watchdog_ns, s->shared.max_spaces + SLOTS_SPARE,
		      s->opts.guard_settle);
	if (!r)
		r = session_watch_guard(s);
	if (r < 0)
		log_warn("no watchdog: %s; should pagetap stand still, so will its targets",
			 strerror(-r));
	s->shared.guard = s->guard;
	s->guard_started = clock_now();
}

/* By our own right, which a running monitor has given up, or by the agent's. */
static int start_again(struct session *s)
{
	int r = guard_start(s->guard), pidfd;
	pid_t pid;

	if (r != -EPERM || !s->opts.agent)
		return r;
	pidfd = agent_guard(s->opts.agent, guard_page_fd(s->guard), &pid);
	if (pidfd < 0)
		return pidfd;
	guard_adopt(s->guard, pid, pidfd);
	return 0;
}

void session_guard_died(struct session *s)
{
	uint64_t now = clock_now();
	int r = 0;

	session_unwatch_guard(s);
	guard_reap(s->guard);
	if (now - s->guard_started >= LIFE_MIN)
		r = start_again(s);
	s->guard_started = now;
	if (!r && guard_fd(s->guard) >= 0)
		r = session_watch_guard(s);
	if (guard_fd(s->guard) < 0)
		log_warn("the watchdog was killed and cannot be started again%s%s; should pagetap "
			 "stand still, so will its targets", r ? ": " : "", r ? strerror(-r) : "");
	else
		log_verbose("the watchdog was killed; there is a new one");
}

static void declare(struct session *s, struct space *sp, uint64_t since, uint64_t now)
{
	unsigned int children = guard_children(s->guard, sp->slot);
	uint64_t told = survey_told_until(sp);

	/* Protection has gone, and with it the word of what was still to be told. */
	if (told < since)
		since = told;
	emit_gap(&s->shared.emit, sp->pid, sp->mm, since, now, (struct range){ 0, 0 }, GAP_STALL);
	/* Who waited for an answer was woken, and asks again if it still wants one. */
	sp->npending = 0;
	sp->strays = 0;
	for (; sp->follow && !sp->whole && children; children--)
		space_refuse_child(sp, now, GAP_STALL);
	/* A child without a name has no maps to be read: it is let go for good. */
	if (!sp->pid)
		space_fail(sp, GAP_STALL);
	sp->declared = now;
	survey_anew(sp);
}

void session_guard_settle(struct session *s)
{
	struct guard_stall stall;
	uint64_t now;

	if (!guard_released(s->guard) || guard_settle(s->guard, &stall) != 1)
		return;
	if (stall.again)
		session_guard_died(s);
	now = clock_now();
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		declare(s, sp, stall.since, now);
	log_warn("pagetap stood still for %.1f s; its watchdog let the targets go meanwhile, and "
		 "the trace has a gap", (double)(now - stall.since) / 1e9);
}

void session_guard_turn(struct session *s)
{
	guard_beat(s->guard);
	session_guard_settle(s);
}
