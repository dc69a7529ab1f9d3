/* SPDX-License-Identifier: MIT */
/*
 * Who: which thread wrote a page that the census has found dirty.
 *
 * Pure: no fd, no clock, no log.  The witness sees every page fault of the target, with
 * thread, address and call chain, and perhaps whether it was a write; the census sees
 * which pages were written, but not by whom.  Together they tell:
 *
 *	touches of a page	A ──── B ─ C                  (perf, in time)
 *	census			dirty between t0 and t1
 *
 * Where faults say that they are writes, reads are left out and each of the others is by
 * a thread that wrote.  Where they do not:
 *
 * With WP_ASYNC the first write of a page since the last pass is its last fault: from
 * then on it is there and not protected.  So of a dirty page the last touch is the
 * write, and those before it were reads, or repeated by a signal.  Only a thread that
 * was still in its fault when the last one began may have written as well: a thread's
 * fault is over, for sure, when it has the next one.  Where that is not known, all of
 * them are told, with write:null.  The same where touches are known to be lost later
 * than a touch: then it may have been a read.
 *
 * A fault is seen when it begins, and its page is written when it ends: a pass may have gone
 * over the page in between.  So where nobody touched a dirty page between t0 and t1, those
 * who were perhaps still in a fault of it at t0 are told, with write:null as well.
 *
 * What the kernel writes without a fault of the process (process_vm_writev, O_DIRECT,
 * MADV_POPULATE_WRITE) has no witness.
 */
#ifndef WATCH_WHO_H
#define WATCH_WHO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/range.h"
#include "watch/emit.h"
#include "watch/threads.h"
#include "watch/witness-decode.h"

/* A second and three quarters of 300,000 a second; 18 MiB. */
#define WHO_TOUCHES (1u << 19)
#define WHO_CHAINS (1u << 16)
#define WHO_FRAMES (1u << 20)
/* How long a fault may have been under way: unless it waits for a disk, some microseconds. */
#define WHO_FLIGHT (10 * NSEC_PER_MSEC)

struct who;

/* Pages that the census has found dirty. */
struct who_run {
	pid_t pid;
	uint32_t mm;
	uint32_t vma;
	uint32_t page_size;	/* of the mapping: huge pages are written as one */
	pid_t (*inner)(void *arg, pid_t tid);	/* a thread's id in its own pid namespace, 0:
						 * not known; NULL: it is the same */
	void *inner_arg;
	struct threads *threads;	/* their names; NULL: none is told */
	const struct layout *layout;	/* of the process, to tell code from what is none; NULL:
					 * frames are told as they are */
	struct range run;
	uint64_t t0, t1;	/* written between them */
	uint64_t begun;		/* since then the pass may have been there; after t0 */
	bool came;		/* by mremap or fork since t0, perhaps written before that: then
				 * a touch may have been a read */
};

/* touches: a power of two, at most WHO_TOUCHES.  base_page: bytes.  -ENOMEM, -EINVAL. */
int who_new(struct who **ret, uint32_t touches, uint32_t base_page);
struct who *who_free(struct who *w);

/*
 * A page fault of a process that is watched, and may have no name yet; if there is no
 * room the oldest one goes.
 */
void who_touch(struct who *w, const struct witness_event *ev);
/* Touches have been lost, the last of them before that. */
void who_lost(struct who *w, uint64_t time);
/*
 * Tell who wrote these pages: faults via perf, and stacks before them; every touch until
 * t1 has been taken before.  now: when it is known.
 */
void who_dirty(struct who *w, struct emit *e, const struct who_run *r, uint64_t now);
/* A process runs another program: addresses mean another thing. */
void who_exec(struct who *w);
/* Every pass that may ask of touches before that is over. */
void who_passed(struct who *w, uint64_t before);

/* Is most of the room taken by touches that a pass has not asked for yet? */
bool who_crowded(const struct who *w);
/* Pages that were dirty, and nobody was told of with them. */
uint64_t who_unwitnessed(const struct who *w);

#endif
