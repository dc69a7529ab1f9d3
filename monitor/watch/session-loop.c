/* SPDX-License-Identifier: MIT */
/* Session, the loop: wait, serve, arm, survey. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/session-state.h"

#define EVENTS_A_TURN 64
/* Between two looks at the descriptors, arming may take this long. */
#define ARM_SLICE (NSEC_PER_MSEC)
/* An answer refused with EAGAIN waits for a thread of the target to run. */
#define PENDING_RETRY (50 * NSEC_PER_USEC)
#define DEAD_RETRY NSEC_PER_MSEC
#define MUTE_RETRY (20 * NSEC_PER_MSEC)
#define NAMING_RETRY (2 * NSEC_PER_MSEC)

static void call_tick(struct session *s, bool asked)
{
	if (!s->tick)
		return;
	session_summary(s, &s->summary);
	s->summary.asked = asked;
	s->tick(s->tick_arg, &s->summary);
	s->summary.asked = false;
}

static void on_signal(struct session *s)
{
	struct signalfd_siginfo si;

	while (read(s->opts.signal_fd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGINT:
			s->at_once = s->stop;
			session_stop(s, DETACH_SIGINT);
			break;
		case SIGTERM:
			session_stop(s, DETACH_SIGTERM);
			break;
		case SIGHUP:
			session_stop(s, DETACH_SIGHUP);
			break;
		case SIGUSR1:
			call_tick(s, true);
			break;
		}
	}
}

/*
 * Out of descriptors: the fork event stays in the kernel and the target's fork waits.
 * One kept in reserve lets it be read; its child is let go at once.
 */
static int64_t serve_on_reserve(struct session *s, struct space *sp, uint64_t woke)
{
	int64_t n;

	close_fd(&s->reserve);
	s->shared.full = true;
	n = serve(sp, woke);
	s->shared.full = false;
	s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return n;
}

static void serve_space(struct session *s, struct space *sp, uint64_t woke)
{
	int64_t n = serve(sp, woke);

	if ((n == -EMFILE || n == -ENFILE) && s->reserve >= 0)
		n = serve_on_reserve(s, sp, woke);
	s->served += n > 0 ? (unsigned int)n : 0;
	s->served_pid = n > 0 ? sp->pid : s->served_pid;
	if (n == -ESRCH) {
		space_main(sp)->dead = true;
	} else if (n < 0) {
		emit_error(&s->shared.emit, sp->pid, sp->mm, clock_now(), (int)-n, "read",
			   "userfaultfd");
		space_fail(space_main(sp), GAP_STALL);
	}
}

/* It stays readable for as long as it is open, and it may be some time until that is closed. */
static void on_pidfd(struct session *s, struct space *sp)
{
	sp->gone = true;
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, sp->pidfd, NULL);
}

/*
 * Threads wait on the userfaultfds: those first.  Spaces are only ever dropped in
 * turn_housekeeping(), so the addresses in the batch stay good.
 */
static void dispatch(struct session *s, const struct epoll_event *ev, int n, uint64_t woke)
{
	bool procs = false, witness = false;

	for (int i = 0; i < n; i++)
		if (ev[i].data.u64 >= SESSION_TAG_NR && !(ev[i].data.u64 & SESSION_TAG_PIDFD))
			serve_space(s, (struct space *)(uintptr_t)ev[i].data.u64, woke);
	for (int i = 0; i < n; i++) {
		uint64_t tag = ev[i].data.u64;

		if (tag == SESSION_TAG_SIGNAL)
			on_signal(s);
		else if (tag == SESSION_TAG_OUTPUT)
			session_stop(s, DETACH_ERROR);
		else if (tag == SESSION_TAG_LIMIT)
			session_stop(s, DETACH_LIMIT);
		else if (tag == SESSION_TAG_PROCWATCH)
			procs = true;
		else if (tag == SESSION_TAG_AGENT)
			agent_read(s->opts.agent);
		else if (tag == SESSION_TAG_WITNESS)
			witness = true;
		else if (tag == SESSION_TAG_GUARD)
			session_guard_died(s);
		else if (tag >= SESSION_TAG_NR && (tag & SESSION_TAG_PIDFD))
			on_pidfd(s, (struct space *)(uintptr_t)(tag & ~SESSION_TAG_PIDFD));
	}
	if (procs)
		session_read_procwatch(s);
	if (witness)
		session_read_witness(s);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_due(struct session *s, uint64_t now, uint64_t until)
{
	uint64_t due = earlier(earlier(until, s->next_look),
			       earlier(s->next_tick, s->next_epoch));

	due = earlier(due, emit_due(&s->shared.emit));
	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		if (sp->npending && !sp->dead)
			due = earlier(due, now + PENDING_RETRY);
		if (!sp->pid && !sp->whole)
			due = earlier(due, sp->naming_due > now ? sp->naming_due :
								  now + NAMING_RETRY);
		else if (sp->whole && sp->whole->proved && !sp->proved)
			due = earlier(due, now + NAMING_RETRY);
		else if (!sp->dead && !s->mute && sp->proved)
			due = sp->pass_since ? now :
			      earlier(due, earlier(sp->survey_due, sp->reread_due));
		if (!sp->npending && !sp->dead && !s->mute && sp->proved)
			due = earlier(due, arm_due(sp));
		if (sp->failed || sp->born || (sp->gone && !sp->gone_since))
			due = now;
		else if (sp->dead || sp->gone)
			due = earlier(due, now + DEAD_RETRY);
	}
	if (s->nadoptions)
		due = earlier(due, now + NSEC_PER_MSEC);
	due = earlier(due, earlier(session_witness_due(s), session_births_due(s)));
	if (s->guard)
		due = earlier(due, now + guard_period(s->guard));
	if (s->mute)
		due = earlier(due, now + MUTE_RETRY);
	return due;
}

/* Arm what is due, but look at the descriptors in between. */
static void arm_spaces(struct session *s)
{
	uint64_t slice = clock_now() + ARM_SLICE;

	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		if (sp->dead || sp->gone || !sp->proved)
			continue;
		while (clock_now() < slice && arm_step(sp) == 1)
			;
	}
}

static void survey_spaces(struct session *s, uint64_t now)
{
	int64_t found;

	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		if (!sp->pid || sp->dead || sp->gone || !sp->proved)
			continue;
		guard_beat(s->guard);
		twin_agree(sp);
		if (sp->resync)
			survey_resync(sp, GAP_RESYNC);
		else if (sp->pass_since || now >= sp->survey_due || now >= sp->reread_due)
			survey(sp, now, &found);
	}
}

/*
 * The reader of the trace does not keep up, and records were dropped that others
 * lean on (an arm, a mapping).  Nothing more is claimed then: the targets run freely
 * until the queue has drained, and everything begins anew behind a declared gap.
 */
static void fall_silent(struct session *s)
{
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		space_disclaim(sp);
	s->shared.emit.dropped_layout = false;
	s->mute = true;
}

static void speak_again(struct session *s)
{
	s->mute = false;
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (sp->pid && !sp->dead && !sp->gone)
			survey_resync(sp, GAP_RING);
}

/* Arming and surveys: what makes claims, and so needs room in the queue. */
static void claim(struct session *s)
{
	if (s->shared.emit.dropped_layout)
		fall_silent(s);
	if (s->mute && queue_roomy(s->opts.queue))
		speak_again(s);
	if (s->mute)
		return;
	if (clock_now() >= session_witness_due(s))
		session_read_witness(s);
	arm_spaces(s);
	survey_spaces(s, clock_now());
}

static void tick(struct session *s, uint64_t now)
{
	if (now >= s->next_epoch) {
		ksm_look(&s->shared.ksm);
		for (struct space *sp = s->spaces; sp && !s->mute; sp = sp->next)
			arm_epoch(sp, now);
		s->next_epoch = now + s->opts.rearm_ns;
	}
	if (now >= s->next_tick) {
		s->next_tick += SESSION_TICK;
		if (s->next_tick <= now)
			s->next_tick = now + SESSION_TICK;
		session_witness_lost(s, false);
		ksm_tick(&s->shared, s->spaces, now);
		session_emit_stats(s, false);
		agent_expire(s->opts.agent, now);
		call_tick(s, false);
	}
	if (now >= s->ends)
		session_stop(s, DETACH_DURATION);
	if (s->opts.max_faults && s->shared.emit.faults >= s->opts.max_faults)
		session_stop(s, DETACH_LIMIT);
}

static void turn_housekeeping(struct session *s)
{
	struct space *sp;
	uint64_t now;

	for (sp = s->spaces; sp; sp = sp->next) {
		if (sp->npending && serve_pending(sp) == -ESRCH)
			sp->dead = true;
		serve_make_room(sp);
	}
	session_on_births(s);
	session_endings(s);
	session_budget_look(s);
	claim(s);
	now = clock_now();
	session_adoptions_step(s);
	emit_expire(&s->shared.emit, now);
	tick(s, now);
	emit_kick(&s->shared.emit);
}

int session_turn(struct session *s, uint64_t until)
{
	struct epoll_event ev[EVENTS_A_TURN];
	int n = session_wait(s, next_due(s, clock_now(), until), ev, EVENTS_A_TURN);

	if (n < 0 && n != -EINTR)
		return n;
	session_guard_turn(s);
	s->served = 0;
	if (n > 0)
		dispatch(s, ev, n, clock_now());
	turn_housekeeping(s);
	session_wait_served(s, s->served);
	return 0;
}

int session_run(struct session *s)
{
	int r = 0;

	if (s->opts.duration_ns)
		s->ends = clock_now() + s->opts.duration_ns;
	while (!s->stop && !r)
		r = session_turn(s, s->ends);
	if (r < 0)
		session_stop(s, DETACH_ERROR);
	session_let_go(s);
	return r;
}
