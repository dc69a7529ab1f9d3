/* SPDX-License-Identifier: MIT */
/* Session: the event loop of a recording.  See session.h. */

#include "watch/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limit.h"
#include "watch/session-state.h"

#define EVENTS_A_TURN 64
/* Between two looks at the descriptors, arming may take this long. */
#define ARM_SLICE (NSEC_PER_MSEC)
#define TICK NSEC_PER_SEC
/* An answer refused with EAGAIN waits for a thread of the target to run. */
#define PENDING_RETRY (50 * NSEC_PER_USEC)
#define DEAD_RETRY NSEC_PER_MSEC
#define MUTE_RETRY (20 * NSEC_PER_MSEC)
#define NAMING_RETRY (2 * NSEC_PER_MSEC)

/* What a descriptor in the epoll set is; the space's own two are told by its address. */
enum {
	TAG_SIGNAL = 1, TAG_OUTPUT, TAG_LIMIT, TAG_PROCWATCH, TAG_AGENT, TAG_WITNESS, TAG_GUARD,
	TAG_NR,
};
#define TAG_PIDFD UINT64_C(1)

static int watch_fd(struct session *s, int fd, uint64_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = tag };

	return fd < 0 ? 0 : epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_parts(struct session *s)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	int r;

	/*
	 * A fork event installs a descriptor in whoever reads it, and the target's fork
	 * waits for that: it shall not wait for a limit of ours.
	 */
	s->shared.max_fds = limit_raise_descriptors();
	s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->reserve < 0)
		return -errno;
	ksm_look(&s->shared.ksm);
	s->shared.page_size = page;
	s->shared.huge_size = 2u << 20;
	s->shared.memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * page;
	s->shared.max_mappings = enrol_limit();
	s->shared.granularity = s->opts.granularity;
	s->shared.filter = &s->filter;
	s->shared.kinds = s->opts.kinds;
	session_census(s);
	s->shared.agent = s->opts.agent;
	s->shared.next_vma = s->shared.next_mm = 1;
	s->shared.max_spaces = s->opts.max_processes ? s->opts.max_processes : SESSION_PROCESSES;
	r = emit_init(&s->shared.emit, s->opts.queue, s->opts.base_ns, page);
	if (!r)
		r = session_who_open(s);
	if (!r)
		r = resolve_source_open(&s->shared.source, s->shared.huge_size);
	if (r < 0)
		return r;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		return -errno;
	/* Without it forks, execs and exit codes are found later and told less of. */
	if (!procwatch_open(&s->procwatch))
		r = watch_fd(s, procwatch_fd(s->procwatch), TAG_PROCWATCH);
	s->shared.procwatch = s->procwatch;
	if (!r)
		r = watch_fd(s, s->opts.signal_fd, TAG_SIGNAL);
	if (!r)
		r = watch_fd(s, s->opts.output_fd, TAG_OUTPUT);
	if (!r)
		r = watch_fd(s, s->opts.limit_fd, TAG_LIMIT);
	if (!r)
		r = watch_fd(s, agent_fd(s->opts.agent), TAG_AGENT);
	return r;
}

int session_new(struct session **ret, const struct session_opts *opts)
{
	struct session *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->filter = opts->filter;
	s->epoll = s->reserve = -1;
	s->summary.exit_code = s->summary.exit_signal = RECORD_UNKNOWN;
	s->started = clock_now();
	s->ends = UINT64_MAX;
	s->next_tick = s->started + TICK;
	s->next_epoch = opts->rearm_ns ? s->started + opts->rearm_ns : UINT64_MAX;
	r = open_parts(s);
	if (r < 0) {
		session_free(s);
		return r;
	}
	session_wait_begin(s);
	session_guard_start(s);
	*ret = s;
	return 0;
}

void session_on_tick(struct session *s, void (*tick)(void *arg, const struct session_summary *now),
		     void *arg)
{
	s->tick = tick;
	s->tick_arg = arg;
}

void session_stop(struct session *s, enum detach_reason why)
{
	if (s->stop)
		return;
	s->stop = true;
	s->reason = why;
}

struct space *session_space_of(struct session *s, pid_t pid)
{
	struct space *sp = s->spaces;

	while (sp && (sp->pid != pid || sp->whole))
		sp = sp->next;
	return sp;
}

int session_watch_witness(struct session *s)
{
	return watch_fd(s, witness_fd(s->witness), TAG_WITNESS);
}

int session_watch_pidfd(struct session *s, struct space *sp)
{
	return watch_fd(s, sp->pidfd, (uint64_t)(uintptr_t)sp | TAG_PIDFD);
}

int session_watch_guard(struct session *s)
{
	return watch_fd(s, guard_fd(s->guard), TAG_GUARD);
}

void session_unwatch_guard(struct session *s)
{
	/* Closing does not suffice: an injector may hold a copy. */
	if (guard_fd(s->guard) >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, guard_fd(s->guard), NULL);
}

int session_add_space(struct session *s, struct space *sp)
{
	struct space **after = sp->whole ? &sp->whole->next : &s->spaces;
	int r;

	sp->follow = s->opts.follow;
	sp->next = *after;
	*after = sp;
	r = watch_fd(s, sp->uffd, (uint64_t)(uintptr_t)sp);
	if (sp->whole)
		return r;
	if (!r)
		r = session_watch_pidfd(s, sp);
	s->summary.processes++;
	return r;
}

void session_close_space(struct session *s, struct space *sp)
{
	/* Closing does not suffice: an injector that has not ended yet holds copies. */
	if (sp->uffd >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, sp->uffd, NULL);
	space_close(sp);
}

void session_drop_space(struct session *s, struct space *sp)
{
	struct space **p = &s->spaces;

	if (sp->twin)
		session_drop_twin(s, sp->twin);
	while (*p && *p != sp)
		p = &(*p)->next;
	if (*p)
		*p = sp->next;
	session_take_births(s, sp);	/* they live on */
	session_close_space(s, sp);
	if (sp->pidfd >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, sp->pidfd, NULL);
	space_free(sp);
}

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

/*
 * Threads wait on the userfaultfds: those first.  Spaces are only ever dropped in
 * turn_housekeeping(), so the addresses in the batch stay good.
 */
static void dispatch(struct session *s, const struct epoll_event *ev, int n, uint64_t woke)
{
	bool procs = false, witness = false;

	for (int i = 0; i < n; i++)
		if (ev[i].data.u64 >= TAG_NR && !(ev[i].data.u64 & TAG_PIDFD))
			serve_space(s, (struct space *)(uintptr_t)ev[i].data.u64, woke);
	for (int i = 0; i < n; i++) {
		uint64_t tag = ev[i].data.u64;

		if (tag == TAG_SIGNAL)
			on_signal(s);
		else if (tag == TAG_OUTPUT)
			session_stop(s, DETACH_ERROR);
		else if (tag == TAG_LIMIT)
			session_stop(s, DETACH_LIMIT);
		else if (tag == TAG_PROCWATCH)
			procs = true;
		else if (tag == TAG_AGENT)
			agent_read(s->opts.agent);
		else if (tag == TAG_WITNESS)
			witness = true;
		else if (tag == TAG_GUARD)
			session_guard_died(s);
		else if (tag >= TAG_NR && (tag & TAG_PIDFD))
			((struct space *)(uintptr_t)(tag & ~TAG_PIDFD))->gone = true;
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
		if (sp->gone || sp->failed || sp->born)
			due = now;
		else if (sp->dead)
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
		s->next_tick = s->next_tick + TICK > now ? s->next_tick + TICK : now + TICK;
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
