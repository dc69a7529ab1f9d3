/* SPDX-License-Identifier: MIT */
/*
 * Sweep: copies of our descriptors in processes that another thread of the target
 * forked while they were open.
 *
 * While any copy of the userfaultfd survives, the death of the monitor would hang the
 * target for ever.  That none is left shows without a search: our end of the socket
 * hangs up when the last copy of the target's end is closed, and that end is the first
 * to be opened and the last to be closed.  It also shows forks that are still under
 * way, which no directory of /proc lists yet.
 */
#ifndef INJECT_SWEEP_H
#define INJECT_SWEEP_H

#include <stdint.h>
#include <sys/types.h>

#include "handover.h"
#include "visit.h"

/* Ticks since boot, now: what a process started from here on has as its start time. */
uint64_t sweep_now(void);

/*
 * Wait for the hang-up; meanwhile close copies, by the same means, in processes started
 * since.  v is free for use: no thread is visited.  -EBUSY: copies remain.
 */
int sweep(const struct handover *h, struct visit *v, pid_t pid, uint64_t since);

#endif
