/* SPDX-License-Identifier: MIT */
/*
 * Witness: what the perf rings tell of watched processes.
 *
 * The userfaultfd says nothing of a mapping that is new; the witness does, within a
 * fraction of a millisecond, and it has seen who touched it before it could be
 * registered.  Two events on every thread and CPU: one for mappings, whose ring wakes
 * us for each record, and one for page faults (period 1), whose ring is read when it
 * is half full or something else has woken us.  Threads and children inherit both.
 * Where only writes are wanted the kernel's two tracepoints of page faults take the place
 * of the second: they know which are.
 *
 * Not told by perf: mremap, munmap, a shrinking brk.
 */
#ifndef WATCH_WITNESS_H
#define WATCH_WITNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "watch/agent.h"
#include "watch/witness-decode.h"

/* Entries of a chain: a marker of the kernel's, and frames. */
#define WITNESS_FRAMES 32

struct witness;

/* What of page faults is told. */
enum witness_touches {
	WITNESS_NO_TOUCHES,		/* nothing, and so they cost nothing */
	WITNESS_TOUCHES,
	WITNESS_CHAINS,			/* with the user's call chain, of all pages: large rings */
	WITNESS_WRITES,			/* the same of those that are writes, if that can be told */
};

/*
 * follow: children are witnessed too.  agent: opens what we may not; may be NULL.
 * -EACCES or -EPERM where perf is not allowed (kernel.perf_event_paranoid, CAP_PERFMON),
 * -ENOSYS, -EMFILE, -ENOMEM.
 */
int witness_open(struct witness **ret, bool follow, enum witness_touches touches,
		 struct agent *agent);
struct witness *witness_close(struct witness *w);
/* WITNESS_WRITES was asked for, and touches that are reads are told all the same. */
bool witness_unsure(const struct witness *w);
/* Readable when something has come. */
int witness_fd(const struct witness *w);

/*
 * Every thread of the process, also those that come while this looks; taskfd is a
 * descriptor of /proc/PID/task.  An error leaves some threads unwitnessed.
 */
int witness_add(struct witness *w, int taskfd);

/*
 * Closes events whose threads have gone, when they may be many.  True: it has asked the
 * kernel, and that takes away the word that a ring has something: read the rings now.
 */
bool witness_prune(struct witness *w);

/*
 * Everything but touches, then touches; a bounded number.  The order between rings
 * is that of `time`, not that of the calls.
 */
void witness_read(struct witness *w, void (*take)(void *arg, const struct witness_event *ev),
		  void *arg);
void witness_read_touches(struct witness *w,
			  void (*take)(void *arg, const struct witness_event *ev), void *arg);

/*
 * The CPU on which most of the touches happened since this was last asked; -1: none
 * did, or they were here and there.
 */
int witness_busiest(struct witness *w);

/*
 * Touches (and records of mappings, in *ret_maps) that did not fit into a ring, since
 * this was last asked.  Costs a system call an event, so it asks only if a ring has
 * been nearly full, or if `sure`.
 */
uint64_t witness_lost(struct witness *w, bool sure, uint64_t *ret_maps);

#endif
