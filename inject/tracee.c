/* SPDX-License-Identifier: MIT */
/* Tracee: one thread, seized and stopped. */

#include "tracee.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/clock.h"

#ifndef PTRACE_GETSIGMASK		/* 3.11 */
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif
#ifndef PTRACE_O_SUSPEND_SECCOMP	/* 4.3 */
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
#ifndef NT_ARM_TLS
#define NT_ARM_TLS 0x401
#endif

#define KERNEL_SIGSET 8
#define CALL_STOP (SIGTRAP | 0x80)	/* with PTRACE_O_TRACESYSGOOD */

static int request(enum __ptrace_request what, pid_t tid, unsigned long addr, unsigned long data)
{
	return ptrace(what, tid, (void *)addr, (void *)data) < 0 ? -errno : 0;
}

/*
 * TRACESYSGOOD is more than comfort: if we die in a system call stop that nobody has
 * waited for, the kernel sends the thread the signal number of the stop, and 0x85 is
 * no valid signal, while a bare SIGTRAP would kill it.
 */
int tracee_seize(struct tracee *t, pid_t pid, pid_t tid, bool suspend_seccomp, uint64_t deadline)
{
	unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	bool ours = t->seized && t->tid == tid;
	int r;

	t->tid = tid;
	t->pid = pid;
	t->stopped = t->was_stopped = t->ended = false;
	t->deadline = deadline;
	if (suspend_seccomp)
		options |= PTRACE_O_SUSPEND_SECCOMP;
	r = ours ? 0 : request(PTRACE_SEIZE, tid, 0, options);
	t->seized = !r;
	return r;
}

/*
 * A thread that execs takes over the id of the first thread, and stays traced; if
 * another one did so, ours is gone without a word.
 */
static bool follow_exec(struct tracee *t)
{
	if (t->tid == t->pid)
		return false;
	t->tid = t->pid;
	return true;
}

static int wait_stop(struct tracee *t, int *ret_status)
{
	for (;;) {
		int status = 0;
		pid_t p = waitpid(t->tid, &status, __WALL);

		if (p < 0 && errno == EINTR) {
			if (clock_now() > t->deadline)
				return -ETIMEDOUT;
			continue;
		}
		if (p < 0 && errno == ECHILD && follow_exec(t))
			continue;
		if (p < 0 || !WIFSTOPPED(status)) {
			t->seized = t->stopped = false;
			t->ended = p > 0;
			t->end_status = status;
			return -ESRCH;
		}
		t->stopped = true;
		*ret_status = status;
		return 0;
	}
}

static bool is_group_stop(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP;
}

/* In a signal-delivery stop the signal must be given back, or it is lost. */
static unsigned long signal_of(int status)
{
	return status >> 16 ? 0 : (unsigned long)WSTOPSIG(status);
}

static int interrupt(struct tracee *t)
{
	int r = request(PTRACE_INTERRUPT, t->tid, 0, 0);

	if (r == -ESRCH && follow_exec(t))
		r = request(PTRACE_INTERRUPT, t->tid, 0, 0);
	return r;
}

int tracee_stop(struct tracee *t)
{
	int status, r;

	r = interrupt(t);
	if (r < 0)
		return r;
	for (;;) {
		r = wait_stop(t, &status);
		if (r < 0)
			return r;
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		/* Another program than the one that was looked at. */
		if (status >> 16 == PTRACE_EVENT_EXEC)
			return -ESRCH;
		/* A signal came first; it takes its course, our stop is still due. */
		t->stopped = false;
		r = request(PTRACE_CONT, t->tid, 0, signal_of(status));
		if (r < 0)
			return r;
	}
	t->was_stopped = is_group_stop(status);
	return 0;
}

static int get_regset(const struct tracee *t, unsigned long which, void *to, size_t *io_len)
{
	struct iovec v = { .iov_base = to, .iov_len = *io_len };
	int r = request(PTRACE_GETREGSET, t->tid, which, (unsigned long)&v);

	*io_len = r < 0 ? 0 : v.iov_len;
	return r;
}

int tracee_get_regs(const struct tracee *t, struct arch_regs *ret)
{
	size_t len = sizeof(ret->user);

	return get_regset(t, NT_PRSTATUS, &ret->user, &len);
}

int tracee_put_regs(const struct tracee *t, const struct arch_regs *regs)
{
	struct arch_regs copy = *regs;
	struct iovec v = { .iov_base = &copy.user, .iov_len = sizeof(copy.user) };

	return request(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, (unsigned long)&v);
}

int tracee_put_mask(const struct tracee *t, uint64_t mask)
{
	return request(PTRACE_SETSIGMASK, t->tid, KERNEL_SIGSET, (unsigned long)&mask);
}

int tracee_save(struct tracee *t, bool with_xstate)
{
	size_t tls = sizeof(t->regs.tls);
	int r = tracee_get_regs(t, &t->regs);

	if (r < 0)
		return r;
	if (arch_regs_foreign(&t->regs))
		return -ENOTSUP;
	if (!arch_has_tls || get_regset(t, NT_ARM_TLS, &t->regs.tls, &tls) < 0)
		t->regs.tls = 0;
	t->xstate.len = 0;
	if (with_xstate) {
		t->xstate.len = sizeof(t->xstate.bytes);
		/* Not there: no net then, which the caller sees by its length. */
		get_regset(t, NT_X86_XSTATE, t->xstate.bytes, &t->xstate.len);
	}
	return request(PTRACE_GETSIGMASK, t->tid, KERNEL_SIGSET, (unsigned long)&t->mask);
}

int tracee_run_to_call(struct tracee *t)
{
	unsigned long sig = 0;
	int status, r;

	for (;;) {
		t->stopped = false;
		r = request(PTRACE_SYSCALL, t->tid, 0, sig);
		if (!r && t->late)
			r = -ETIMEDOUT;
		if (!r)
			r = wait_stop(t, &status);
		if (r < 0)
			return r;
		if (status >> 16 == 0 && WSTOPSIG(status) == CALL_STOP)
			return 0;
		sig = signal_of(status);
		/* All others are blocked; these say that our own call went astray. */
		if (sig && sig != SIGSTOP)
			return -EFAULT;
	}
}

int tracee_rescue(struct tracee *t, const struct arch_regs *aside, bool *ret_made,
		  int64_t *ret_result)
{
	struct __ptrace_syscall_info info = { 0 };
	int status, r;

	*ret_made = false;
	r = wait_stop(t, &status);
	if (r < 0)
		return r;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, (void *)sizeof(info), &info) < 0)
		return 0;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		*ret_made = true;
		*ret_result = info.exit.rval;
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return 0;
	r = tracee_put_regs(t, aside);
	return r < 0 ? r : tracee_run_to_call(t);
}

int tracee_detach(struct tracee *t)
{
	int r;

	if (!t->seized)
		return 0;
	r = request(PTRACE_DETACH, t->tid, 0, 0);
	if (!r)
		t->seized = t->stopped = false;
	return r;
}

void tracee_release(struct tracee *t, uint64_t deadline)
{
	int status, r;

	t->deadline = deadline;
	/* ESRCH: it is ending, and must be waited for all the same. */
	interrupt(t);
	r = wait_stop(t, &status);
	if (!r)
		request(PTRACE_DETACH, t->tid, 0, signal_of(status));
	t->seized = r == -ETIMEDOUT;
	t->stopped = false;
}
