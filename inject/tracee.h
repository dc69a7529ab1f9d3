/* SPDX-License-Identifier: MIT */
/*
 * Tracee: one thread, seized and stopped; ptrace(2).
 *
 * Not which thread (choose.c), nor what it is made to do (remote.c).  All calls must
 * come from the process that seized it, which needs a ticking timer that interrupts
 * waits (borrow.c sets one): there is no waitpid(2) with a time-out.
 */
#ifndef INJECT_TRACEE_H
#define INJECT_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch.h"

struct tracee {
	pid_t tid;
	pid_t pid;			/* the process: an exec moves the thread to this id */
	bool seized;
	bool stopped;
	bool was_stopped;		/* in a group stop before we came: job control */
	int end_status;			/* of waitpid(2), once it has died under us */
	bool ended;
	uint64_t deadline;		/* CLOCK_MONOTONIC, for every wait */
	struct arch_regs regs;		/* as found */
	struct arch_xstate xstate;
	uint64_t mask;			/* signals blocked, as found */
	bool late;			/* test builds: do not wait for the next stop */
};

/*
 * PTRACE_SEIZE.  Never PTRACE_O_EXITKILL: our death must not be the target's.
 * suspend_seccomp needs CAP_SYS_ADMIN, 4.3.  One that tracee_release() could not let go is
 * ours already.  -ESRCH, -EPERM, -EINVAL.
 */
int tracee_seize(struct tracee *t, pid_t pid, pid_t tid, bool suspend_seccomp, uint64_t deadline);

/*
 * PTRACE_INTERRUPT and wait.  -ETIMEDOUT: in an uninterruptible sleep; -ESRCH, also if it
 * has executed another program since it was seized.
 */
int tracee_stop(struct tracee *t);

/* Registers, signal mask and, if asked, the extended state. */
int tracee_save(struct tracee *t, bool with_xstate);

int tracee_get_regs(const struct tracee *t, struct arch_regs *ret);
int tracee_put_regs(const struct tracee *t, const struct arch_regs *regs);
int tracee_put_mask(const struct tracee *t, uint64_t mask);

/*
 * Run to the next entry to or exit from a system call.  Group stops on the way are
 * passed through, so that a SIGSTOP does what its sender wanted once we are gone.
 * -EFAULT: a fault signal arrived instead.
 */
int tracee_run_to_call(struct tracee *t);

/*
 * After a time-out in tracee_run_to_call(): wait again, and if the call has not begun
 * let it not be made.  aside: registers that make no call.  *ret_made: it was made, and
 * gave *ret_result.
 */
int tracee_rescue(struct tracee *t, const struct arch_regs *aside, bool *ret_made,
		  int64_t *ret_result);

/*
 * Let go of one that has not stopped yet, by stopping it: PTRACE_DETACH wants that.  If
 * it does not stop in time it stays seized, and our own end lets it go.
 */
void tracee_release(struct tracee *t, uint64_t deadline);

/*
 * Let it go.  The kernel sets TIF_SIGPENDING of a stopped tracee here
 * (__ptrace_unlink), and so applies the restart of an interrupted call whose
 * registers have been put back.
 */
int tracee_detach(struct tracee *t);

#endif
