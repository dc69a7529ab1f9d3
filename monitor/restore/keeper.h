/* SPDX-License-Identifier: MIT */
/*
 * Keeper: the pager may be killed at any instant, and nobody sees a page of zeroes.
 *
 * Three processes that share one table of descriptors (clone(2), CLONE_FILES): this one,
 * which waits; the pager; and a second keeper, asleep.  A userfaultfd is closed when the last
 * of them has gone, also one that the kernel has put there for the pager while it was being
 * killed.  When the pager dies the keeper clones another one, which goes on from the roster;
 * when the second keeper dies, another one of it; when this one dies, the second one goes on
 * in its place, out of the same call.
 *
 * Both keepers have one thread, and hold memory of before the first pager: so a clone of
 * them is as good as new.
 */
#ifndef RESTORE_KEEPER_H
#define RESTORE_KEEPER_H

#include <stdbool.h>

#include "restore/pager.h"
#include "restore/roster.h"

/* Sorted numbers of descriptors that are open. */
struct keeper_fds {
	int *fd;
	unsigned int n;
};

/* What is open now.  -errno.  Freed by keeper_fds_free(), also if it was never filled. */
int keeper_fds_note(struct keeper_fds *ret);
void keeper_fds_free(struct keeper_fds *f);

struct keeper_setup {
	struct roster *roster;
	bool kill;		/* what was restored, when the pager dies; else begin another */
	int signals;		/* readable: somebody wants us to end (signalfd(2)) */
	int asked;		/* eventfd(2) by which the pager learns of it */
	/*
	 * In a process of its own, with all signals blocked that the keeper's are; again: one
	 * has died before.  Its exit status, or -errno if processes still wait for a pager.
	 */
	int (*pager)(void *arg, bool again);
	/* What only a pager needs that is gone, beside what it opens itself: between these two. */
	const struct keeper_fds *before, *after;
	void (*say)(void *arg, enum pager_tone tone, const char *words);
	void *arg;
};

/*
 * Returns in this process or, if that dies, in the one that took its place.  0 and the exit
 * status, or -errno: nothing could be started.
 */
int keeper_run(const struct keeper_setup *setup, int *ret_status);

#endif
