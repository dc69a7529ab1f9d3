/* SPDX-License-Identifier: MIT */
/*
 * Launch: start a COMMAND, hold it at its beginning, give back how it ended.
 *
 *	launch_find(name)		is there such a program?
 *	launch_fork(&l, argv, mask)	the process exists and waits
 *	launch_exec(&l)			it is the COMMAND now, stopped
 *	launch_go(&l)			it runs
 *	launch_wait(&l, signal_fd)	it has ended
 *	launch_end(&l)			in every case
 *
 * No ptrace.  An exec replaces the address space, so one can attach only after it,
 * and by then the program runs; see launch-hold.c for how it is stopped in time.
 */
#ifndef MONITOR_LAUNCH_H
#define MONITOR_LAUNCH_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct launch {
	pid_t pid;	/* 0: none */
	int pidfd;	/* of it; -1: the kernel has none (before 5.3) */
	int gate;	/* a byte lets the child go on to exec */
	int report;	/* errno of a failed exec; end of file: it has happened */
	int hold;	/* perf event that stops it; -1 none */
	int status;	/* as wait(2) gives it; valid once reaped */
	bool reaped;
};

#define LAUNCH_NULL { .pidfd = -1, .gate = -1, .report = -1, .hold = -1 }

/* 0, -ENOENT (not in PATH), -EACCES (found, not executable). */
int launch_find(const char *name);
/*
 * mask: the signal mask the COMMAND shall have.  It stays in our process group, so
 * that the keys of the terminal reach it.  Borrows argv until launch_exec().
 */
int launch_fork(struct launch *l, char *const argv[], const sigset_t *mask);
/*
 * 0: it has executed, and stands still (or has ended: launch_ended()).  Otherwise the
 * negative errno of the exec; the process has ended then.
 */
int launch_exec(struct launch *l);
void launch_go(struct launch *l);
/* A signal to it, unless it has been reaped. */
void launch_signal(const struct launch *l, int sig);
/* Has it ended already?  Reaps it if so. */
bool launch_ended(struct launch *l);
/*
 * Wait for the end.  What arrives on signal_fd meanwhile: SIGTERM and SIGHUP are
 * passed on, SIGINT ends the wait with -EINTR.
 */
int launch_wait(struct launch *l, int signal_fd);
/* Not reaped yet: a child that has not executed is ended, a COMMAND is left alone. */
void launch_end(struct launch *l);

/*
 * Make the child stop by itself when its new program begins (launch-hold.c): the
 * descriptor to keep until it has, or -errno where perf events are not allowed.
 */
int launch_hold(pid_t pid);
/* It has stopped, and shall not again; closes. */
void launch_hold_done(int *fd);

/* The exit status that stands for a failure before the COMMAND: 125, 126, 127. */
int launch_status(int error);
/*
 * End as the wait(2) status says: returns the exit status of a program that exited;
 * does not return if it was killed: this process dies by the same signal, without
 * a core of its own.
 */
int launch_finish_like(int wait_status);
/* Die by sig, although it may be blocked or ignored. */
void launch_die_by(int sig);

#endif
