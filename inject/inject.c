/* SPDX-License-Identifier: MIT */
/* Inject: the transaction. */

#include "inject.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "failure.h"
#include "net.h"
#include "procfile.h"
#include "sweep.h"
#include "tidword.h"

#define ATTEMPTS 200			/* threads come and go, and exec replaces them all */
#define PAUSE_NS (1000 * 1000)		/* between them: an exec takes its time */

static enum pagetap_phase phase_of(const struct inject *in)
{
	return (enum pagetap_phase)in->progress->phase;
}

/* userfaultfd(2): who may have one that also sees faults of the kernel. */
static bool needs_device(const struct inject *in)
{
	char text[16];
	bool capable = (in->facts.cap_effective & FACTS_CAP_SYS_PTRACE) &&
		       in->facts.same_user_ns;
	bool open_to_all = procfile_read(AT_FDCWD, "/proc/sys/vm/unprivileged_userfaultfd", text,
					 sizeof(text)) > 0 && text[0] == '1';

	return !capable && !open_to_all && !(in->flags & PAGETAP_USER_MODE_ONLY);
}

static int prepare(struct inject *in)
{
	struct visit *v = &in->visit;
	struct facts now = { 0 };
	int r;

	in->progress->phase = PAGETAP_PHASE_SEIZE;
	in->progress->bent = in->progress->netted = false;
	v->progress = in->progress;
	v->failure = &in->failure;
	v->flags = in->flags;
	/* Anew for each attempt: an exec changes credentials and more. */
	r = facts_gather(in->procfd, in->pid, false, &now);
	if (r < 0)
		return r;
	v->shadow_stack = now.shadow_stack;
	v->self = now.own_pid;
	v->alone = now.threads == 1;
	in->facts.cap_effective = now.cap_effective;
	in->facts.same_user_ns = now.same_user_ns;
	r = visit_prepare(v, in->procfd);
	if (!r)
		r = choose_threads(in->procfd, in->pid, &v->memory, &in->candidates);
	if (!r)
		r = handover_prepare(&in->handover, &in->failure, in->flags, needs_device(in),
				     now.state == 'Z');
	return r;
}

static int work(struct inject *in)
{
	struct visit *v = &in->visit;
	int r;

	r = visit_open(v, in->procfd, in->pidfd, in->facts.start_time, &in->candidates);
	if (!r)
		r = progress_enter(in->progress, PAGETAP_PHASE_SCRATCH);
	if (!r)
		r = net_hang(v);
	if (!r)
		r = tidword_ask(v);
	if (!r)
		r = handover_run(&in->handover, v, in->pid, in->pidfd);
	return r;
}

static int restore(struct inject *in)
{
	enum pagetap_phase failed_in = phase_of(in);
	int fault = 0, r;

	if (in->visit.is_bent)
		fault = progress_enter(in->progress, PAGETAP_PHASE_RESTORE);
	r = visit_close(&in->visit, &in->loan.stop_ns);
	if (r < 0) {
		/* Not stopped any more, but the net below it does what we could not. */
		if (in->visit.has_net && in->visit.tracee.seized && !in->visit.tracee.stopped)
			return failure_set(&in->failure, phase_of(in), PAGETAP_REASON_STUCK, -r,
					   "a call in the target did not end in time");
		failure_damage(&in->failure, phase_of(in), -r,
			       "restoring it failed (%s): registers, signal mask or descriptors "
			       "of thread %d may be wrong", strerrorname_np(-r),
			       in->visit.tracee.tid);
		return r;
	}
	if (fault < 0)
		return failure_set(&in->failure, PAGETAP_PHASE_RESTORE, PAGETAP_REASON_NONE,
				   -fault, "restore: %s", strerrorname_np(-fault));
	if (in->failure.error)
		in->progress->phase = failed_in;
	return 0;
}

/*
 * A SIGKILL, or the exec of another thread, ends a stopped thread too; then its memory
 * and its descriptors fail in all sorts of ways first.
 */
static bool thread_is_gone(const struct inject *in)
{
	const struct tracee *t = &in->visit.tracee;
	struct arch_regs unused;

	return t->seized && t->stopped && tracee_get_regs(t, &unused) == -ESRCH;
}

static int attempt(struct inject *in)
{
	int r = prepare(in), undone;

	if (!r)
		r = work(in);
	/* /proc says so where the process has been reaped since it was looked at. */
	if (r == -ENOENT && !in->failure.error)
		r = -ESRCH;
	if (r < 0 && thread_is_gone(in)) {
		failure_clear(&in->failure);
		r = -ESRCH;
	}
	/* /proc/PID/mem says so of pages that another userfaultfd has armed meanwhile. */
	if (r == -EIO && !in->failure.error)
		failure_set(&in->failure, phase_of(in), PAGETAP_REASON_MONITORED, 0,
			    "somebody else has begun to watch it just now");
	else if (r < 0 && r != -ESRCH && !in->failure.error)
		failure_set(&in->failure, phase_of(in), PAGETAP_REASON_NONE, -r, "%s: %s",
			    pagetap_phase_name(in->progress->phase), strerrorname_np(-r));
	undone = restore(in);
	if (!r && undone < 0)
		r = undone;
	if (!r && in->failure.error)
		r = -in->failure.error;
	if (!r && !in->visit.tracee.stopped && in->visit.tracee.ended)
		r = -ESRCH;
	if (!r)
		r = handover_check(&in->handover, &in->failure);
	in->loan.tid = in->visit.tracee.tid;
	in->loan.calls += in->visit.calls;
	in->loan.net = in->visit.net.sp && !in->visit.was_bare && !in->visit.seccomp;
	in->loan.lent_device = in->handover.lent;
	in->loan.tid_word = in->visit.tid_word;
	visit_done(&in->visit);
	return r;
}

static bool alive(const struct inject *in)
{
	struct pollfd p = { .fd = in->pidfd, .events = POLLIN };
	struct facts now = { 0 };

	return poll(&p, 1, 0) == 0 && !facts_stat(in->procfd, &now);
}

static int say_gone(struct inject *in)
{
	const struct tracee *t = &in->visit.tracee;
	enum pagetap_phase phase = phase_of(in);

	if (alive(in))
		return failure_set(&in->failure, phase, PAGETAP_REASON_EXITED, 0,
				   "its threads ended or were replaced (exec) faster than one "
				   "could be stopped");
	if (t->ended && t->tid == in->pid && WIFSIGNALED(t->end_status))
		failure_set(&in->failure, phase, PAGETAP_REASON_EXITED, 0,
			    "it was killed by signal %d while pagetap was attaching; nothing was "
			    "recorded", WTERMSIG(t->end_status));
	else if (t->ended && t->tid == in->pid)
		failure_set(&in->failure, phase, PAGETAP_REASON_EXITED, 0,
			    "it exited with status %d while pagetap was attaching; nothing was "
			    "recorded", WEXITSTATUS(t->end_status));
	else
		failure_set(&in->failure, phase, PAGETAP_REASON_EXITED, 0,
			    "it exited while pagetap was attaching; nothing was recorded");
	in->failure.state = PAGETAP_TARGET_GONE;
	return -in->failure.error;
}

static int finish_sweep(struct inject *in)
{
	int r = progress_enter(in->progress, PAGETAP_PHASE_SWEEP);

	/* Nothing was opened, or the thread and its table went away with an exec. */
	if (in->handover.socket < 0 && in->handover.uffd < 0)
		return 0;
	/* Without a socket nobody can have made a copy. */
	if (in->handover.socket >= 0 && sweep(&in->handover, &in->visit, in->pid, in->since) < 0)
		return failure_damage(&in->failure, PAGETAP_PHASE_SWEEP, EBUSY,
				      "a copy of the descriptors is left in a process that it "
				      "forked meanwhile");
	if (r < 0)
		return failure_set(&in->failure, PAGETAP_PHASE_SWEEP, PAGETAP_REASON_NONE, -r,
				   "sweep: %s", strerrorname_np(-r));
	return 0;
}

int inject_run(struct inject *in)
{
	uint64_t deadline = clock_now() + in->timeout_ns;
	int r = -ESRCH, swept;

	in->handover = (struct handover)HANDOVER_NULL;
	in->visit.memory = (struct memory)MEMORY_NULL;
	in->visit.taskdir = -1;
	in->since = sweep_now();
	in->since -= in->since > 0;
	for (int i = 0; i < ATTEMPTS && r == -ESRCH; i++) {
		handover_done(&in->handover);
		in->visit.patience = in->timeout_ns;
		r = attempt(in);
		if (r != -ESRCH || !alive(in) || clock_now() > deadline)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	}
	if (r == -ESRCH && !in->failure.error)
		say_gone(in);
	swept = finish_sweep(in);
	if (!r)
		r = swept;
	if (r < 0 && in->handover.uffd >= 0) {
		close(in->handover.uffd);
		in->handover.uffd = -1;
	}
	in->loan.uffd = in->handover.uffd;
	handover_done(&in->handover);
	if (r < 0 && in->failure.state == PAGETAP_TARGET_UNTOUCHED)
		failure_conclude(&in->failure, in->progress->touched ? PAGETAP_TARGET_RESTORED :
								       PAGETAP_TARGET_UNTOUCHED);
	return r;
}
