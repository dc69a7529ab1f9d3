/* SPDX-License-Identifier: MIT */
/*
 * libpagetap: borrow a userfaultfd from a process that does not know about us.
 *
 *	r = pagetap_look(pid, NULL, &fail);		touches nothing
 *	r = pagetap_borrow(pid, NULL, &loan, &fail);	target stopped < 1 ms, only in here
 *	... handshake and ioctls on loan.uffd: they act on the target's memory ...
 *	close(loan.uffd);				target unwatched
 *
 * or, for a caller with an event loop (one that may be serving faults of the
 * same target and must not block):
 *
 *	r = pagetap_borrow_start(&b, pid, NULL, &fail);
 *	poll(pagetap_borrow_fd(b), POLLIN);
 *	r = pagetap_borrow_finish(b, &loan, &fail);	frees b
 *
 * Results are 0 or a negative errno.  The library never prints, never exits, keeps
 * no global state and may be used from any thread.  What failed, where, why, and
 * what state the target is in stands in struct pagetap_failure.  See
 * libpagetap(3), ptrace(2), userfaultfd(2), pidfd_getfd(2).
 */
#ifndef PAGETAP_INJECT_H
#define PAGETAP_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)	/* the rest of the library is hidden */

/* Where in the transaction.  The order is the order of events. */
enum pagetap_phase {
	PAGETAP_PHASE_NONE,
	PAGETAP_PHASE_LOOK,		/* reading /proc, nothing touched */
	PAGETAP_PHASE_FORK,		/* starting the injector process */
	PAGETAP_PHASE_SEIZE,
	PAGETAP_PHASE_IDENTITY,		/* still the same process? */
	PAGETAP_PHASE_STOP,
	PAGETAP_PHASE_SAVE,		/* registers, extended state, scratch bytes */
	PAGETAP_PHASE_SCRATCH,		/* memory for arguments and the safety net */
	PAGETAP_PHASE_SOCKET,		/* socketpair in the target */
	PAGETAP_PHASE_GRAB,		/* our end of it by pidfd_getfd */
	PAGETAP_PHASE_LEND,		/* /dev/userfaultfd goes in */
	PAGETAP_PHASE_OPEN,		/* the target opens the userfaultfd */
	PAGETAP_PHASE_RETURN,		/* it comes out */
	PAGETAP_PHASE_CLOSE,		/* the target's copies are closed */
	PAGETAP_PHASE_RESTORE,		/* registers and scratch bytes as before */
	PAGETAP_PHASE_DETACH,
	PAGETAP_PHASE_SWEEP,		/* copies leaked into children of a concurrent fork */
	PAGETAP_PHASE_REPORT,		/* injector to caller */
	PAGETAP_PHASE_NR,
};

/* Why a target is refused: each has its own words and exit status. */
enum pagetap_reason {
	PAGETAP_REASON_NONE,		/* a failure of a call: see error */
	PAGETAP_REASON_NO_PROCESS,
	PAGETAP_REASON_ZOMBIE,
	PAGETAP_REASON_EXITED,		/* during the attach */
	PAGETAP_REASON_KERNEL_THREAD,
	PAGETAP_REASON_THREAD_ID,	/* a thread, not a process */
	PAGETAP_REASON_SELF,
	PAGETAP_REASON_TRACED,
	PAGETAP_REASON_OTHER_USER,
	PAGETAP_REASON_YAMA,
	PAGETAP_REASON_NO_CAPABILITY,	/* root without CAP_SYS_PTRACE (container) */
	PAGETAP_REASON_NOT_DUMPABLE,
	PAGETAP_REASON_SECCOMP,
	PAGETAP_REASON_WORD_SIZE,	/* 32-bit, or another machine */
	PAGETAP_REASON_MONITORED,	/* already has a userfaultfd on its mappings */
	PAGETAP_REASON_VFORK,		/* waits for a vfork child, cannot stop */
	PAGETAP_REASON_STUCK,		/* did not stop in time (uninterruptible, frozen) */
	PAGETAP_REASON_RECYCLED,	/* the pid is another process now */
	PAGETAP_REASON_NO_SYSCALL_INSN,	/* none in any executable mapping */
	PAGETAP_REASON_NO_UFFD,		/* kernel without userfaultfd */
	PAGETAP_REASON_UFFD_FORBIDDEN,	/* sysctl 0 and no /dev/userfaultfd */
	PAGETAP_REASON_FD_LIMIT,	/* target has no free descriptor */
	PAGETAP_REASON_PROC,		/* /proc missing, hidden, of another namespace */
	PAGETAP_REASON_NR,
};

/* What the failure left behind; worst first wins. */
enum pagetap_target_state {
	PAGETAP_TARGET_UNTOUCHED,	/* nothing was executed in it */
	PAGETAP_TARGET_RESTORED,	/* touched, everything undone, it runs on */
	PAGETAP_TARGET_GONE,		/* it has exited */
	PAGETAP_TARGET_DAMAGED,		/* undoing failed: text says what remains */
};

struct pagetap_failure {		/* caller-owned, no allocation */
	int error;			/* positive errno */
	enum pagetap_phase phase;
	enum pagetap_reason reason;
	enum pagetap_target_state state;
	char text[240];			/* words after "cannot attach to PID (comm): ", escaped */
	char hint[240];			/* what to do; may be empty */
};

enum {
	PAGETAP_USER_MODE_ONLY = 1,	/* UFFD_USER_MODE_ONLY: syscalls of the target into
					   armed pages then fail with EFAULT; never implied */
	PAGETAP_ALLOW_MONITORED = 2,	/* attach although mappings have a userfaultfd */
	PAGETAP_NO_PIDFD_GETFD = 4,	/* abstract socket, as on kernels before 5.6 */
	PAGETAP_NO_DEVICE = 8,		/* do not lend /dev/userfaultfd */
	PAGETAP_NO_NET = 16,		/* no self-restoring frames (for comparison) */
};

struct pagetap_opts {
	size_t size;			/* sizeof(struct pagetap_opts) */
	unsigned int flags;		/* PAGETAP_* */
	unsigned int timeout_ms;	/* for the target to stop; 0 = 1000 */
};

struct pagetap_loan {
	size_t size;			/* set by the caller: sizeof(struct pagetap_loan) */
	int uffd;			/* O_CLOEXEC | O_NONBLOCK, before UFFDIO_API; caller's */
	int pidfd;			/* of the very process; caller's */
	pid_t tid;			/* the thread that was stopped */
	uint64_t start_time;		/* field 22 of /proc/PID/stat, the identity */
	uint64_t stop_ns;		/* how long that thread stood still */
	unsigned int calls;		/* system calls executed in the target */
	bool net;			/* our own death would have been harmless at any instant */
	bool lent_device;		/* through /dev/userfaultfd */
	/*
	 * Where the kernel writes 0 when that thread ends, 0 if it does not say.  Such a
	 * write fails on a page that is write-protected or missing then, and whoever joins
	 * the thread waits for ever: leave the page alone.  With musl it is the same word
	 * for all threads; with glibc each has one in its own thread area.
	 */
	uint64_t tid_word;
};

/* "seize", "stop", ...: stable words; NULL out of range. */
const char *pagetap_phase_name(unsigned int phase);
const char *pagetap_reason_name(unsigned int reason);
/* 1..5 as in pagetap(1): 3 not permitted, 4 no process, 5 unsupported, 1 other. */
int pagetap_failure_status(const struct pagetap_failure *f);

/* Look before touching.  0 = can be attached; executes nothing in the target. */
int pagetap_look(pid_t pid, const struct pagetap_opts *opts, struct pagetap_failure *ret);

/* The whole transaction.  Blocks at most timeout_ms and a little. */
int pagetap_borrow(pid_t pid, const struct pagetap_opts *opts, struct pagetap_loan *ret,
		   struct pagetap_failure *ret_failure);

struct pagetap_borrowing;
int pagetap_borrow_start(struct pagetap_borrowing **ret, pid_t pid,
			 const struct pagetap_opts *opts, struct pagetap_failure *ret_failure);
int pagetap_borrow_fd(const struct pagetap_borrowing *b);
/* Waits if the injector has not finished.  Frees b in every case. */
int pagetap_borrow_finish(struct pagetap_borrowing *b, struct pagetap_loan *ret,
			  struct pagetap_failure *ret_failure);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
