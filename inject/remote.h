/* SPDX-License-Identifier: MIT */
/*
 * Remote: one system call in a stopped thread.
 *
 * Two stops a call (entry and exit), and nothing left behind: the registers at the exit
 * stop are the beginning of the net again.
 */
#ifndef INJECT_REMOTE_H
#define INJECT_REMOTE_H

#include "visit.h"

/*
 * 0 if the call was made; its result, which may be a negative errno, in *ret.
 * Otherwise tracing failed: -ESRCH the thread is gone, -ETIMEDOUT, -EFAULT.
 */
int remote_call(struct visit *v, long *ret, long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		uint64_t a3, uint64_t a4, uint64_t a5);

/* The same for a call that opens a descriptor: if we die right then, it is closed. */
int remote_call_open(struct visit *v, long *ret, long nr, uint64_t a0, uint64_t a1, uint64_t a2);

/* close(2) of what slot holds.  0, or a negative errno of either kind. */
int remote_close(struct visit *v, unsigned int slot);

/*
 * The same for all that is held, by one close_range(2) where that closes nothing else;
 * 0 and nothing done where it cannot be.
 */
int remote_close_range(struct visit *v);

#endif
