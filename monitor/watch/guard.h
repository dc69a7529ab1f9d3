/* SPDX-License-Identifier: MIT */
/*
 * Guard: the watchdog, a process that frees the targets of a monitor that stands still.
 *
 * A monitor that is stopped, swapped out or held by a debugger answers no fault, and
 * threads of the targets wait.  It beats in a page that both share; when the beat is
 * older than the limit, the guard takes copies of the userfaultfds out of it
 * (pidfd_getfd(2) works on a stopped process), reads what waits, unregisters every
 * mapping, wakes, and closes the copies again.  It holds none between two rounds, so
 * that the monitor's death frees everybody as before.  What cannot be released so is
 * released by killing the monitor.
 *
 * The monitor finds out by guard_released(), waits for the end by guard_settle() and
 * then knows: nothing is registered, what it claimed since `since` is void.
 *
 *	guard.c			the monitor's side
 *	guard-process.c		the process: is there a beat?
 *	guard-release.c		one round of releasing
 *
 * Not helped: a monitor whose cgroup is frozen together with the guard.
 */
#ifndef WATCH_GUARD_H
#define WATCH_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A userfaultfd of the monitor, and whose memory it is on. */
struct guard_slot {
	_Atomic int number;		/* of the descriptor in the monitor, + 1; 0: free */
	_Atomic pid_t pid;		/* 0: a forked child without a name yet */
	_Atomic unsigned int children;	/* forks that a release has read, and let go */
};

/* Shared memory; only atomics change after the start. */
struct guard_page {
	pid_t monitor;
	uint64_t limit_ns;
	unsigned int nslots;
	_Atomic uint64_t beat;		/* CLOCK_MONOTONIC, when the monitor last moved on */
	_Atomic uint64_t releases;	/* odd: one is under way */
	_Atomic uint64_t settled;	/* `releases` as the monitor last dealt with it */
	_Atomic uint64_t since;		/* the last beat before the first one after that */
	struct guard_slot slots[];
};

struct guard;

/* What the monitor has slept through. */
struct guard_stall {
	uint64_t since;			/* CLOCK_MONOTONIC: the last beat before it */
	bool again;			/* the guard hung over it, and was ended */
};

#define GUARD_NO_SLOT UINT32_MAX

/*
 * Map the page and start the process.  Call before anything is attached; the child
 * closes every descriptor it inherits.  slots: userfaultfds to be known by pid; more
 * are found all the same.  settle: called in the child to give up what it needs not, and
 * like all of it may neither allocate nor take a lock; may be NULL.  0 or -errno.
 */
int guard_new(struct guard **ret, uint64_t limit_ns, unsigned int slots, void (*settle)(void));
/* Start the process (again).  Harmless while one runs.  0 or -errno. */
int guard_start(struct guard *g);
/*
 * The bare process: a clone of the caller's that watches the process of a pidfd.  Its
 * pidfd, or -errno; it has no exit signal (wait with __WALL).
 */
int guard_spawn(struct guard_page *page, int monitor, void (*settle)(void), pid_t *ret_pid);
/* The memfd that holds the page: from it another process can start one (agent.h). */
int guard_page_fd(const struct guard *g);
/* One that another process has started takes the place of the one that died. */
void guard_adopt(struct guard *g, pid_t pid, int pidfd);
/* A pidfd, readable when the guard has died; -1 none. */
int guard_fd(const struct guard *g);
/* Reap the guard that has died; guard_fd() is -1 then. */
void guard_reap(struct guard *g);
/* Ends the process, frees. */
struct guard *guard_free(struct guard *g);

/* All of these take NULL: no guard. */

/* The monitor moves on.  Cheap; in every long piece of work. */
void guard_beat(struct guard *g);
/* How often it must, at least; UINT64_MAX without a guard. */
uint64_t guard_period(const struct guard *g);
/* Remember whose a userfaultfd is; returns the slot, or GUARD_NO_SLOT if all are taken. */
unsigned int guard_tell(struct guard *g, int uffd, pid_t pid);
void guard_name(struct guard *g, unsigned int slot, pid_t pid);
/* Before the descriptor is closed. */
void guard_forget(struct guard *g, unsigned int slot);
/* Children of this slot that a release has let go, once each. */
unsigned int guard_children(struct guard *g, unsigned int slot);
/* Has the guard released anything since the last guard_settle()?  Cheap. */
bool guard_released(const struct guard *g);
/*
 * Wait until the release is over, at most a bounded time (then the guard is ended).
 * 1: it has happened, *ret says since when; 0: nothing was released.
 */
int guard_settle(struct guard *g, struct guard_stall *ret);

/* guard-process.c: all there is to the process.  monitor: its pidfd, inherited. */
_Noreturn void guard_main(struct guard_page *page, int monitor, void (*settle)(void));

/* guard-release.c */

/*
 * One round: free everybody.  Returns the number of messages that waited, 0 if there
 * is nothing to release, -EPERM or -EACCES if the monitor's descriptors are out of
 * reach, -ESRCH if it has gone.
 */
int guard_release(struct guard_page *page, int monitor);
/* Does anybody wait?  Looks, and reads nothing.  1, 0, or as above. */
int guard_waiting(struct guard_page *page, int monitor);

#endif
