/* SPDX-License-Identifier: MIT */
/*
 * Restore crew: the processes that a restore is made by, and what becomes of them.
 *
 * One brings the pages, the pager, a fork of this process in a process group of its own, so
 * that no key of a terminal reaches it, with a pipe for its standard error.  The other is
 * criu, in our group and with our standard input, output and error, for those may become the
 * restored ones' (--shell-job, --inherit-fd).  SIGINT and SIGTSTP are blocked in it: in the
 * middle it would leave processes behind that are half made; we decide.
 *
 * Until the restored processes run this process is their subreaper, prctl(2): whatever is left
 * of a restore that failed is a descendant of it and can be found.
 */
#ifndef MONITOR_RESTORE_CREW_H
#define MONITOR_RESTORE_CREW_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct crew_member {
	pid_t pid;		/* 0: not started */
	int fd;			/* a pidfd: readable when it has ended */
	int status;		/* as wait(2) gives it; once it has ended */
	bool ended;
};

struct crew {
	struct crew_member pager, criu;
	int words;		/* what the pager says, non-blocking; -1: it has closed it */
	int ready;		/* readable when it listens, or never will */
};

#define CREW_NULL ((struct crew){ .pager.fd = -1, .criu.fd = -1, .words = -1, .ready = -1 })

/*
 * run(arg, ready) is the pager's whole life, and what it returns its exit status; it writes a
 * byte to `ready` once it listens, and closes it.  0 or -errno.
 */
int crew_start_pager(struct crew *c, int (*run)(void *arg, int ready), void *arg);
/*
 * mask: the signal mask that it shall have, but for the two.  quiet: its standard output is our
 * standard error, for ours is somebody else's.  0, or -errno of the exec.
 */
int crew_start_criu(struct crew *c, char *const argv[], const sigset_t *mask, bool quiet);
/* Who has ended?  Also of others whose parent has gone. */
void crew_reap(struct crew *c);
/* To the pager. */
void crew_signal(const struct crew_member *m, int sig);
/* Until it has ended, at most so long.  True: it has. */
bool crew_await(struct crew *c, const struct crew_member *m, int ms);
/* Kill criu and all that it has made, and wait for them.  The number of those that are left. */
unsigned int crew_undo(struct crew *c);
/* The processes run: who loses its parent is not ours any more. */
void crew_let_go(void);
void crew_close(struct crew *c);

#endif
