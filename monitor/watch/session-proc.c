/* SPDX-License-Identifier: MIT */
/*
 * Session, processes: execs and exits.
 *
 * The userfaultfd tells of forks (without a pid), and of exec and exit nothing at
 * all: its ioctls fail with ESRCH from then on.  The proc connector tells the rest;
 * without it a pidfd tells of exits, and an ESRCH with a living process is an exec.
 */

#include <errno.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "watch/procinfo.h"
#include "watch/session-state.h"

/* How long a dead address space waits to hear why. */
#define DEAD_WAIT (40 * NSEC_PER_MSEC)
/*
 * The connector tells of an exec when the new program has been loaded, the old memory goes
 * before (exec_binprm(), begin_new_exec() in fs/exec.c): 50 ms between them were seen where
 * the processors are busy.  Told of here it would be told of twice.
 */
#define EXEC_WAIT NSEC_PER_SEC
/*
 * A pidfd becomes readable, and the parent may reap, before the connector tells how the
 * process ended (exit_notify(), then proc_exit_connector() in do_exit()): microseconds, if
 * nothing comes between.
 */
#define EXIT_WAIT (100 * NSEC_PER_MSEC)

void session_check_empty(struct session *s, enum detach_reason why)
{
	if (s->any_attached && !s->spaces && !s->nadoptions &&
	    session_births_due(s) == UINT64_MAX)
		session_stop(s, why);
}

static struct record_text *text_of(struct session *s, pid_t pid)
{
	struct procinfo p = { 0 };

	agent_about(s->opts.agent, pid, &p);
	return record_text_new(p.comm, p.comm_len, p.exe, p.exe_len);
}

/* The program is another one now; its memory is a new address space. */
void session_tell_exec(struct session *s, pid_t pid, uint32_t mm, uint32_t new_mm,
		       struct record_text *text)
{
	struct record r = {
		.kind = RECORD_EXEC,
		.pid = pid,
		.mm = mm,
		.ts = emit_ts(&s->shared.emit, clock_now()),
		.exec.new_mm = new_mm,
		.text = text,
	};

	if (s->who)
		who_exec(s->who);
	emit_push(&s->shared.emit, &r);
}

static void exec_space(struct session *s, struct space *sp, uint64_t when)
{
	uint32_t new_mm = s->opts.follow ? s->shared.next_mm++ : 0;
	pid_t pid = sp->pid;

	session_guard_settle(s);
	ksm_look(&s->shared.ksm);
	arm_confess(sp);
	session_forks_end(s, sp);
	session_tell_exec(s, pid, sp->mm, new_mm, text_of(s, pid));
	session_drop_space(s, sp);
	if (s->opts.follow)
		session_adopt(s, pid, new_mm, when, GAP_EXEC);
	session_check_empty(s, DETACH_EXEC);
}

/*
 * A child that no address space has claimed executes a program: it came by vfork()
 * and lived in its parent's memory until now, or it came by fork() and was too
 * quick to be named.  Which, is found out while the program is attached to.
 */
static void exec_hint(struct session *s, pid_t pid, uint64_t when)
{
	uint32_t new_mm = s->shared.next_mm;

	session_hint_runs(s, pid, when, text_of(s, pid));
	session_adopt(s, pid, new_mm, when, GAP_EXEC);
}

/*
 * The program that was to be watched has made room for another one before it was.
 * What is borrowed at this instant may be of either: it is given back.
 */
static void exec_adoption(struct session *s, struct session_adoption *a, uint64_t when)
{
	uint32_t new_mm = s->shared.next_mm++;

	session_hint_settle(s, a->pid);
	emit_gap(&s->shared.emit, a->pid, a->mm, a->since, when, (struct range){ 0, 0 }, a->why);
	session_tell_exec(s, a->pid, a->mm, new_mm, text_of(s, a->pid));
	a->mm = new_mm;
	a->since = when;
	a->why = GAP_EXEC;
	a->stale = a->loan;
	session_adoption_void(a);
}

static void on_exec(struct session *s, const struct procwatch_event *ev)
{
	struct space *sp = session_space_of(s, ev->tgid);
	struct session_adoption *a;
	struct session_hint *h;

	if (sp) {
		/* An event from before the attach may still have been queued. */
		if (ev->ts > sp->born_at)
			exec_space(s, sp, ev->ts);
		return;
	}
	a = session_adoption_of(s, ev->tgid);
	if (a) {
		if (ev->ts > a->since)
			exec_adoption(s, a, ev->ts);
		return;
	}
	h = session_hint_of(s, ev->tgid);
	if (h && s->opts.follow)
		exec_hint(s, h->child, ev->ts);
}

static void on_exit(struct session *s, const struct procwatch_event *ev)
{
	struct space *sp;

	session_hint_ends(s, ev->tgid, ev->ts, ev->exit_code);
	sp = session_space_of(s, ev->tgid);
	if (!sp)
		return;
	sp->exit_status = ev->exit_code;
	sp->exit_told = true;
}

/* In a small pid namespace ids come back soon. */
static void on_thread(struct session *s, const struct procwatch_event *ev)
{
	struct space *sp = session_space_of(s, ev->child_tgid);

	if (sp && sp->tids)
		tids_born(sp->tids, ev->child_tid);
}

void session_on_process(struct session *s, const struct procwatch_event *ev)
{
	switch (ev->kind) {
	case PROCWATCH_FORK:
		session_on_fork(s, ev);
		break;
	case PROCWATCH_EXEC:
		on_exec(s, ev);
		break;
	case PROCWATCH_EXIT:
		on_exit(s, ev);
		break;
	case PROCWATCH_THREAD:
		on_thread(s, ev);
		break;
	}
}

static void on_event(void *arg, const struct procwatch_event *ev)
{
	session_on_process(arg, ev);
}

void session_read_procwatch(struct session *s)
{
	struct record r = {
		.kind = RECORD_LOST,
		.pid = s->first_pid,
		.lost = { .n = RECORD_UNKNOWN, .faults = 0, .reason = LOST_NETLINK },
	};

	if (!s->procwatch || procwatch_read(s->procwatch, on_event, s) != -ENOBUFS)
		return;
	r.ts = emit_ts(&s->shared.emit, clock_now());
	emit_push(&s->shared.emit, &r);
	/* Threads may have been made, too, with ids that others had. */
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (sp->tids)
			tids_forget(sp->tids);
}

static void emit_exit(struct session *s, const struct space *sp)
{
	struct session_summary *m = &s->summary;
	struct record r = {
		.kind = RECORD_EXIT,
		.pid = sp->pid,
		.mm = sp->mm,
		.ts = emit_ts(&s->shared.emit, clock_now()),
		.exit = { .code = RECORD_UNKNOWN, .signal = RECORD_UNKNOWN },
	};
	int status = (int)sp->exit_status;

	if (sp->exit_told && WIFEXITED(status))
		r.exit.code = WEXITSTATUS(status);
	else if (sp->exit_told && WIFSIGNALED(status))
		r.exit.signal = WTERMSIG(status);
	m->exit_code = r.exit.code;
	m->exit_signal = r.exit.signal;
	if (s->opts.kinds & WATCH_KIND_EXIT)
		emit_push(&s->shared.emit, &r);
}

/* False: how it ended may still be told. */
static bool ending_known(struct session *s, struct space *sp)
{
	uint64_t now = clock_now();
	struct procinfo p;

	if (!sp->exit_told && !agent_about(s->opts.agent, sp->pid, &p) && p.state == 'Z' &&
	    p.exit_code >= 0) {
		sp->exit_status = (uint32_t)p.exit_code;
		sp->exit_told = true;
	}
	if (!sp->gone_since)
		sp->gone_since = now;
	return sp->exit_told || !s->procwatch || s->stop || now - sp->gone_since >= EXIT_WAIT;
}

static void on_gone(struct session *s, struct space *sp)
{
	if (!ending_known(s, sp))
		return;
	session_guard_settle(s);
	ksm_look(&s->shared.ksm);
	arm_confess(sp);
	session_forks_end(s, sp);
	emit_exit(s, sp);
	session_drop_space(s, sp);
	session_check_empty(s, DETACH_EXIT);
}

/* Its events cannot be read, and threads wait for that: let it go, and say so. */
static void on_failed(struct session *s, struct space *sp)
{
	uint64_t now = clock_now();

	emit_gap(&s->shared.emit, sp->pid, sp->mm, sp->drained, now, (struct range){ 0, 0 },
		 sp->failed_for);
	if (!sp->pid)
		emit_named(&s->shared.emit, sp->mm, 0);
	session_drop_space(s, sp);
	session_check_empty(s, DETACH_ERROR);
}

/* ESRCH: exec or exit. */
static void on_dead(struct session *s, struct space *sp)
{
	uint64_t now = clock_now();

	if (!sp->dead_since)
		sp->dead_since = now;
	if (now - sp->dead_since < DEAD_WAIT)
		return;
	if (sp->pid) {
		/* A process that is exiting has no mappings: its pidfd will tell. */
		if (maps_read(sp->procfd, &sp->maps) == -ESRCH)
			sp->dead_since = now;
		else if (!s->procwatch || now - sp->dead_since >= EXEC_WAIT)
			exec_space(s, sp, now);
		return;
	}
	if (session_has_heirs(s, sp))
		return;
	arm_confess(sp);
	session_unnamed_goes(s, sp);
	emit_named(&s->shared.emit, sp->mm, 0);
	session_drop_space(s, sp);
	session_check_empty(s, DETACH_EXIT);
}

/* The connector may tell of an exec, too, that drops a space: so before the list is walked. */
void session_endings(struct session *s)
{
	struct space *sp = s->spaces, *next;

	while (sp && !sp->gone)
		sp = sp->next;
	if (sp)
		session_read_procwatch(s);
	for (sp = s->spaces; sp; sp = sp->next)
		space_main(sp)->dead |= sp->dead;
	for (sp = s->spaces; sp; sp = next) {
		/* A twin goes with the other one, and stands next to it. */
		next = sp->twin ? sp->twin->next : sp->next;
		if (sp->gone)
			on_gone(s, sp);
		else if (sp->failed)
			on_failed(s, sp);
		else if (sp->dead)
			on_dead(s, sp);
	}
}

void session_endings_last(struct session *s)
{
	struct space *next;

	for (struct space *sp = s->spaces; sp; sp = next) {
		next = sp->twin ? sp->twin->next : sp->next;
		if (sp->gone)
			on_gone(s, sp);
	}
}
