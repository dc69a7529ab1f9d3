/* SPDX-License-Identifier: MIT */
/*
 * Choose: which thread of a process to stop.
 *
 * Stopping a thread interrupts the call it sleeps in.  Most calls then start again
 * by themselves, some only seem to, and a few would show EINTR to the program
 * (signal(7), "Interruption of system calls").  /proc/PID/task/TID/syscall tells in
 * which call each thread is before it is touched.  The ranking is pure.
 */
#ifndef INJECT_CHOOSE_H
#define INJECT_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "memory.h"

/* Best first. */
enum choose_rank {
	CHOOSE_RESTARTS,		/* sleeps in a call that the kernel restarts as it was */
	CHOOSE_RUNNING,			/* user code, most likely */
	CHOOSE_RESTART_BLOCK,		/* a time-out that the kernel continues */
	CHOOSE_REISSUE,			/* may show EINTR: we issue it again, time-out anew */
	CHOOSE_UNKNOWN,
	CHOOSE_UNINTERRUPTIBLE,		/* state D: does not stop before it wakes */
	CHOOSE_NEVER,			/* dead, or traced */
};

#define CHOOSE_MAX 8			/* candidates kept */
#define CHOOSE_LOOK_AT 256		/* threads looked at */

struct choose_thread {
	pid_t tid;
	enum choose_rank rank;
	bool poor_stack;		/* its stack pointer is in no stack that we know */
	int seccomp;
};

struct choose {
	pid_t pid;			/* whose threads they are */
	struct choose_thread threads[CHOOSE_MAX];	/* best first */
	unsigned int n;
	unsigned int seen;
};

/*
 * Pure.  state as in proc_pid_stat(5), call as in proc_pid_syscall(5); *ret_sp is the
 * stack pointer that the text shows, or 0.
 */
enum choose_rank choose_rank(char state, const char *call, uint64_t *ret_sp);

/*
 * A call that returns EINTR only when it has done nothing, so that issuing it again
 * with the same arguments is what the program would do.
 */
bool choose_may_reissue(long nr);

/* A call that the kernel continues as restart_syscall(2). */
bool choose_has_restart_block(long nr);

/*
 * Candidates of a process; stops looking once it has met a perfect one.  -ESRCH: no
 * thread is left alive.
 */
int choose_threads(int procfd, pid_t pid, const struct memory *m, struct choose *ret);

#endif
