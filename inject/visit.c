/* SPDX-License-Identifier: MIT */
/* Visit: a thread stopped, until it runs on exactly as it was found. */

#include "visit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "facts.h"
#include "failure.h"
#include "net.h"
#include "procfile.h"
#include "remote.h"
#include "rseq.h"
#include "table.h"
#include "target.h"
#include "tidword.h"

#define PF_EXITING 0x4			/* proc_pid_stat(5) field 9 */
#define REFUSALS 5			/* bare EPERM until it is believed */
#define CALLS_MAX (5 * NSEC_PER_SEC)	/* for all calls; they do not block */
#define RELEASE_MAX (20 * NSEC_PER_MSEC)
#define RESCUE_MAX (10 * NSEC_PER_SEC)

static int fail(struct visit *v, enum pagetap_reason reason, int error, const char *what)
{
	return failure_set(v->failure, (enum pagetap_phase)v->progress->phase, reason, error, "%s",
			   what);
}

/*
 * Its memory goes, or a program is being put into it: where that begins is set when all of it
 * is mapped (load_elf_binary() in fs/binfmt_elf.c).
 */
static bool is_in_between(int procfd)
{
	struct facts f = { 0 };

	return facts_stat(procfd, &f) < 0 || f.state == 'Z' || f.state == 'X' ||
	       (f.flags & PF_EXITING) || !f.has_program;
}

/*
 * We are the child of a fork, and what we write to for the first time is copied: pages that
 * are written while the thread stands, before it does.
 */
static void touch(struct visit *v)
{
	memset(v->room, 0, sizeof(v->room));
	memset(v->scratch.saved, 0, sizeof(v->scratch.saved));
	memset(v->tracee.xstate.bytes, 0, sizeof(v->tracee.xstate.bytes));
}

int visit_prepare(struct visit *v, int procfd)
{
	int r;

	touch(v);
	for (int i = 0; i < ARCH_NET_FDS; i++)
		v->fds[i] = -1;
	v->memory = (struct memory)MEMORY_NULL;
	v->is_saved = v->is_bent = v->mask_set = v->has_net = v->was_bare = false;
	v->scratch.dirty = false;
	v->dispatch.mode = 0;
	v->scratch.mapped = (struct range){ 0, 0 };
	v->net = (struct arch_net){ 0 };
	v->outcome = NULL;
	v->tracee.late = false;
	v->calls = 0;
	v->stopped_at = 0;
	v->tid_word = 0;
	v->seat.taken = false;
	v->taskdir = -1;
	if (!v->tracee.xstate.learned)
		arch_xstate_learn(&v->tracee.xstate);
	r = memory_open(&v->memory, procfd);
	if (r == -ESRCH || r == -ENOENT)
		return -ESRCH;
	if (r < 0)
		return failure_set(v->failure, PAGETAP_PHASE_SEIZE, PAGETAP_REASON_NO_CAPABILITY,
				   -r, "its memory cannot be opened (%s)", strerrorname_np(-r));
	r = memory_find_insns(&v->memory, v->room, sizeof(v->room), &v->insns);
	if (r < 0)
		return r;
	/* The new program may have been complete when it was looked at, and the text not yet. */
	if (!v->insns.call && (is_in_between(procfd) || ++v->refusals < REFUSALS))
		return -ESRCH;
	if (!v->insns.call)
		return fail(v, PAGETAP_REASON_NO_SYSCALL_INSN, 0,
			    "no system call instruction was found in its text");
	return 0;
}

/* Seized, so that the id cannot be reused: is it one of the process that procfd pins? */
static int check_identity(int procfd, int pidfd, uint64_t start_time, pid_t tid,
			  struct facts *ret_thread)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	struct facts f = { 0 };
	char path[32], text[1024];
	int r;

	r = facts_stat(procfd, &f);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "task/%d/stat", tid);
	if (procfile_read(procfd, path, text, sizeof(text)) < 0 ||
	    facts_parse_stat(text, ret_thread) < 0)
		return -ESRCH;
	if (f.start_time != start_time)
		return -ESTALE;
	/* Readable once the whole process has exited; a pidfd never means another one. */
	return poll(&p, 1, 0) > 0 ? -ESRCH : 0;
}

static int explain_seize(struct visit *v, int procfd, const struct choose_thread *t, int error)
{
	struct facts f = { 0 };
	char path[32];
	int taskfd, r;

	if (t->seccomp && (error == EPERM || error == EINVAL))
		return fail(v, PAGETAP_REASON_SECCOMP, EPERM,
			    "it runs under seccomp, which the kernel does not let us suspend; "
			    "injecting a system call could kill it");
	snprintf(path, sizeof(path), "task/%d", t->tid);
	taskfd = openat(procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (taskfd < 0)
		return -ESRCH;
	r = facts_gather(taskfd, t->tid, false, &f);
	close(taskfd);
	/*
	 * The kernel answers EPERM for a thread that is just ending, too; after an exec
	 * by another one its id is already that of a thread that lives.
	 */
	if (r < 0 || f.state == 'Z' || f.state == 'X' || (!f.tracer && ++v->refusals < REFUSALS))
		return -ESRCH;
	return target_explain_seize(&f, error, v->failure);
}

static int explain_stuck(struct visit *v, int procfd, unsigned int ms)
{
	char path[32], text[1024] = "";
	struct facts f = { 0 };
	uint64_t nr = 0;
	pid_t tid = v->tracee.tid;

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	if (procfile_read(procfd, path, text, sizeof(text)) > 0)
		facts_parse_stat(text, &f);
	snprintf(path, sizeof(path), "task/%d/syscall", tid);
	if (procfile_read(procfd, path, text, sizeof(text)) > 0 && f.state == 'D' &&
	    procfile_number(text, 10, &nr, NULL) &&
#ifdef SYS_vfork
	    (nr == SYS_vfork || nr == SYS_clone || nr == SYS_clone3)
#else
	    (nr == SYS_clone || nr == SYS_clone3)
#endif
	) {
		failure_set(v->failure, PAGETAP_PHASE_STOP, PAGETAP_REASON_VFORK, 0,
			    "it waits for a vfork child to exec or exit, and cannot stop "
			    "before (waited %u ms)", ms);
		failure_hint(v->failure, "try again when the child has started its program");
		return -v->failure->error;
	}
	failure_set(v->failure, PAGETAP_PHASE_STOP, PAGETAP_REASON_STUCK, 0,
		    "thread %d did not stop within %u ms (state %c, %s)", tid, ms,
		    f.state ? f.state : '?',
		    f.state == 'D' ? "uninterruptible sleep" : "busy machine or frozen?");
	return -v->failure->error;
}

/*
 * What the thread gets back.  An EINTR is taken away only if it is ours: not if the
 * thread had been stopped by job control before; and if a handler runs first the
 * kernel makes EINTR of what stands there instead.
 */
static int find_home(struct visit *v)
{
	const struct tracee *t = &v->tracee;
	enum arch_interrupted what;
	long nr;

	v->home = t->regs;
	what = arch_regs_interrupted(&v->home, &nr);
	if (what == ARCH_USER_CODE)
		return rseq_abort(t, &v->memory, &v->home);
	if (what == ARCH_CALL_EINTR && !t->was_stopped && choose_may_reissue(nr)) {
		arch_regs_restart(&v->home);
		/* At once, so that from here on our death does not show EINTR either. */
		return tracee_put_regs(t, &v->home);
	}
	return 0;
}

/*
 * Since the text was searched the program may have been replaced by an exec.  One that comes
 * after this ends the seized thread, or shows when it stops if it is the thread's own.
 */
static int check_program(struct visit *v, int procfd)
{
	int r;

	memory_close(&v->memory);
	r = memory_open(&v->memory, procfd);
	if (r < 0)
		return r;
	return memory_has_insns(&v->memory, &v->insns) ? 0 : -ESRCH;
}

static int stop_and_save(struct visit *v, int procfd)
{
	uint64_t since = clock_now();
	int r = progress_enter(v->progress, PAGETAP_PHASE_STOP);

	/*
	 * From here on: what was read of its memory before that waits for its mmap lock, and
	 * threads that map and unmap all the time leave readers little of it.
	 */
	v->tracee.deadline = since + v->patience;
	if (!r)
		r = tracee_stop(&v->tracee);
	if (r == -ETIMEDOUT)
		return explain_stuck(v, procfd,
				     (unsigned int)((clock_now() - since) / NSEC_PER_MSEC));
	if (r < 0)
		return r;
	v->stopped_at = clock_now();
	v->tracee.deadline = v->stopped_at + CALLS_MAX;
	r = progress_enter(v->progress, PAGETAP_PHASE_SAVE);
	/* It may have started a thread before it stopped. */
	v->alone = v->alone && !table_has_threads(v->taskdir);
	if (!r)
		r = tracee_save(&v->tracee, !(v->flags & PAGETAP_NO_NET));
	if (r == -ENOTSUP)
		return fail(v, PAGETAP_REASON_WORD_SIZE, 0,
			    "it executes 32-bit code; only 64-bit targets are supported");
	if (r < 0)
		return r;
	v->is_saved = true;
	return find_home(v);
}

int visit_open(struct visit *v, int procfd, int pidfd, uint64_t start_time,
	       const struct choose *candidates)
{
	int r = progress_enter(v->progress, PAGETAP_PHASE_SEIZE);
	const struct choose_thread *t = NULL;
	struct facts thread = { 0 };

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < candidates->n; i++) {
		t = &candidates->threads[i];
		r = tracee_seize(&v->tracee, candidates->pid, t->tid, t->seccomp != 0,
				 clock_now() + v->patience);
		if (r != -ESRCH)
			break;
	}
	if (r == -ESRCH || !t)
		return -ESRCH;
	if (r < 0)
		return explain_seize(v, procfd, t, -r);
	v->seccomp = t->seccomp;
	r = progress_enter(v->progress, PAGETAP_PHASE_IDENTITY);
	if (!r)
		r = check_identity(procfd, pidfd, start_time, t->tid, &thread);
	if (r == -ESTALE)
		return fail(v, PAGETAP_REASON_RECYCLED, 0,
			    "the process has exited and its pid is another process now");
	if (!r)
		r = check_program(v, procfd);
	if (r < 0)
		return r;
	v->alone = v->alone && !table_is_shared(procfd, candidates->pid, thread.ppid);
	v->taskdir = openat(procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tidword_look(v);
	seat_take(&v->seat, &thread);
	return stop_and_save(v, procfd);
}

/* Descriptors of ours that are still open in the target: only after a failure. */
static int close_rest(struct visit *v)
{
	int first = 0;

	for (unsigned int i = 0; i < ARCH_NET_FDS; i++) {
		int r = remote_close(v, i);

		first = first ? first : r;
	}
	return first;
}

static int rescue(struct visit *v)
{
	int64_t result = 0;
	bool made;
	int r;

	v->tracee.deadline = clock_now() + RESCUE_MAX;
	r = tracee_rescue(&v->tracee, &v->bent, &made, &result);
	if (!r && v->outcome)
		v->outcome(v, made, result);
	v->outcome = NULL;
	return r;
}

static int let_go(struct visit *v, uint64_t *ret_ns)
{
	struct tracee *t = &v->tracee;
	int first = 0, r;

	if (!t->stopped) {
		if (!v->is_bent) {
			tracee_release(t, clock_now() + RELEASE_MAX);
			return 0;
		}
		first = rescue(v);
	}
	if (!t->stopped)
		return t->seized ? first : 0;
	if (v->is_bent || v->mask_set) {
		r = close_rest(v);
		first = first ? first : r;
	}
	if (t->seized && v->is_saved) {
		r = net_take_down(v);
		first = first ? first : r;
	}
	if (t->seized) {
		r = progress_enter(v->progress, PAGETAP_PHASE_DETACH);
		if (r < 0)
			failure_set(v->failure, PAGETAP_PHASE_DETACH, PAGETAP_REASON_NONE, -r,
				    "detach: %s", strerrorname_np(-r));
		r = tracee_detach(t);
		first = first ? first : r;
	}
	if (t->seized && first == -ESRCH)
		tracee_release(t, clock_now() + RELEASE_MAX);
	if (v->stopped_at)
		*ret_ns = clock_now() - v->stopped_at;
	/* It died meanwhile, by a signal that cannot be blocked: nothing to undo. */
	return first == -ESRCH ? 0 : first;
}

int visit_close(struct visit *v, uint64_t *ret_ns)
{
	int r = 0;

	*ret_ns = 0;
	if (v->tracee.seized)
		r = let_go(v, ret_ns);
	seat_leave(&v->seat);
	return r;
}

void visit_done(struct visit *v)
{
	close_fd(&v->taskdir);
	memory_close(&v->memory);
}
