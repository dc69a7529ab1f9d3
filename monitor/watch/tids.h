/* SPDX-License-Identifier: MIT */
/*
 * Tids: thread ids of the target's pid namespace as thread ids of ours.
 *
 * userfaultfd messages carry ids of the faulting thread's own pid namespace
 * (userfaultfd(2), UFFD_FEATURE_THREAD_ID).  Where that is not ours, NSpid of
 * /proc/PID/task/TID/status translates; a found pair is kept.
 */
#ifndef WATCH_TIDS_H
#define WATCH_TIDS_H

#include <stdbool.h>
#include <sys/types.h>

struct tids;

/*
 * Does the process of this directory fd of /proc/PID live in our pid namespace?  Needs
 * the right to trace it.  -ESRCH, -EACCES.
 */
int tids_same(int procfd, bool *ret);
/* procfd is borrowed; same: what tids_same() says of it.  -ENOMEM. */
int tids_new(struct tids **ret, int procfd, bool same);
struct tids *tids_free(struct tids *t);
/* True if the target lives in our pid namespace: then tids_host() is the identity. */
bool tids_same_namespace(const struct tids *t);
/*
 * The host's id of a thread of this process; 0 if it cannot be told (it has gone).
 * A hit costs a look-up; a miss reads /proc, at most once a millisecond.
 */
pid_t tids_host(struct tids *t, pid_t ns_tid);
/*
 * The other way: a thread's id in its own namespace, by the host's; 0 if it cannot be
 * told, also because it went before anybody asked.  Costs as tids_host() does.
 */
pid_t tids_inner(struct tids *t, pid_t host);
/*
 * A thread was made: its id may be one that another, now gone, had before.  `host` is
 * its id in our namespace.
 */
void tids_born(struct tids *t, pid_t host);
/* Forget all pairs (after an exec, or when a thread id may have been reused). */
void tids_forget(struct tids *t);

#endif
