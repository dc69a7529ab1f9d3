/* SPDX-License-Identifier: MIT */
/*
 * Emit: the way of every record from the watcher to the queue.
 *
 * Counts what it passes on, so that `stats` and the file agree.  A child's pid is
 * not known at the instant of its fork event (the kernel has not given it one yet),
 * but its place in the order is: emit_hold() keeps what follows back, for some
 * milliseconds at most, until emit_named() fills the pid in.  Held faults have been
 * resolved long before; only their line waits.
 */
#ifndef WATCH_EMIT_H
#define WATCH_EMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/range.h"
#include "trace/queue.h"
#include "watch/layout.h"

#define EMIT_HOLD_MAX 8192
#define EMIT_HOLD_NS (100 * UINT64_C(1000000))

/* A record that waits; or one whose place in the order others wait for. */
struct emit_held {
	struct record r;
	uint64_t since;			/* a fork without a name: when it came; else 0 */
};

struct emit {
	struct queue *queue;		/* borrowed */
	uint64_t base_ns;
	uint32_t page_size;
	uint64_t last_ts;
	uint64_t faults, writes, repeats;
	struct emit_held *held;		/* EMIT_HOLD_MAX, in order */
	unsigned int first, nheld;	/* these wait; the first is a fork without a name */
	bool dropped_layout;		/* the queue refused a record that is no fault */
};

int emit_init(struct emit *e, struct queue *q, uint64_t base_ns, uint32_t page_size);
void emit_done(struct emit *e);

/* Time of the trace for a CLOCK_MONOTONIC reading; 0 before the base. */
uint64_t emit_ts(const struct emit *e, uint64_t mono_ns);

/* Takes the record and its text. */
void emit_push(struct emit *e, struct record *r);
/* The fork record of a child whose pid is not known yet; r->fork.child_mm is. */
void emit_hold(struct emit *e, struct record *r, uint64_t now);
/* The pid of the address space child_mm; pid 0: it will never be known. */
void emit_named(struct emit *e, uint32_t child_mm, pid_t pid);
/* Let everything go that has waited too long. */
void emit_expire(struct emit *e, uint64_t now);
/* When that is the case of something; UINT64_MAX: nothing waits. */
uint64_t emit_due(const struct emit *e);
/* Once after a batch. */
void emit_kick(struct emit *e);

void emit_vma(struct emit *e, pid_t pid, uint32_t mm, uint64_t now, enum vma_op op,
	      const struct region *r);
void emit_arm(struct emit *e, pid_t pid, uint32_t mm, uint64_t t0, uint64_t now,
	      struct range span, enum arm_mode mode);
/* Of n runs, n > 0, all in one record of the queue. */
void emit_dirty_runs(struct emit *e, pid_t pid, uint32_t mm, uint64_t t0, uint64_t now,
		     const struct range *runs, size_t n, uint32_t vma, uint64_t epoch);
/* An empty span means the whole address space. */
void emit_gap(struct emit *e, pid_t pid, uint32_t mm, uint64_t t0, uint64_t now,
	      struct range span, enum gap_reason reason);
void emit_error(struct emit *e, pid_t pid, uint32_t mm, uint64_t now, int error,
		const char *what, const char *msg);

#endif
