/* SPDX-License-Identifier: MIT */
/*
 * Tally: how much of what.
 *
 * Pure.  Fed with the records that were asked for, each after model_record() has seen it.
 *
 * What one write is.  A page is watched from its arming to its first write, and a *write*
 * here is that first write, once for each arming; later ones were not seen.  Of the
 * synchronous engine it is a fault with write:true, of the asynchronous one a page of a
 * dirty record (each collection arms anew).  With --who the asynchronous engine tells of
 * the same write a second time, by a fault via perf with the thread and the code: the
 * *witness* of it.  So, and never otherwise:
 *
 *	written = faults with write:true, but those of witnesses
 *		  + pages of dirty records
 *
 * A fault is a witness if it comes via perf in a trace whose engine is async or both.
 * Whose a write was (thread, stack, instruction) tells the fault in either case, so these
 * have `writes`, not `written`; what nobody saw is total.written less the sum of them.
 */
#ifndef REPORT_TALLY_H
#define REPORT_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/course.h"
#include "report/heat.h"
#include "report/keys.h"
#include "report/model.h"
#include "report/pages.h"
#include "report/spread.h"
#include "trace/reader.h"

struct tally_counts {
	uint64_t faults;		/* fault records */
	uint64_t kind[FAULT_NR];	/* of those, of each kind */
	uint64_t writes;		/* of those, write:true */
	uint64_t unsure;		/* of those, write:null */
	uint64_t witnesses;		/* of the writes, those also told by a dirty record */
	uint64_t dirty;			/* pages of dirty records */
	uint64_t written;		/* see above */
	uint64_t pages;			/* different ones among those written; where writes are not
					   watched, among those of faults */
};

struct tally_label {
	struct tally_counts c;
	uint64_t gaps;			/* that name a place in it */
	uint64_t first, last;		/* ts of the first and last record counted */
};

struct tally_thread {
	int32_t pid, tid;		/* tid 0: nobody knows */
	uint32_t mm;			/* the last it was seen in */
	struct tally_counts c;		/* no dirty, written, pages: nobody knows whose */
	uint64_t stop_ns;		/* how long it stood still in all */
};

struct tally_space {
	uint32_t mm;
	struct tally_counts c;
};

/* Of faults that carry one. */
struct tally_stack {
	uint32_t id;
	struct tally_counts c;
};

struct tally_ip {
	uint64_t ip;
	uint32_t mm;
	const struct model_vma *vma;	/* where the instruction lies; NULL: not known */
	struct tally_counts c;
};

struct tally_gap {
	uint64_t n;			/* gap records */
	uint64_t ns, longest_ns;	/* ts - ts0 of them, summed; the longest */
	uint64_t pages;			/* of their spans, summed */
	uint64_t whole;			/* of them, of a whole address space */
};

struct tally_lost {
	uint64_t records;		/* lost records */
	uint64_t n;			/* the sum of their n */
	bool uncounted;			/* one does not know how many */
};

enum tally_engine { TALLY_SYNC, TALLY_ASYNC, TALLY_BOTH };

/* Everything is for reading. */
struct tally_error {
	uint32_t len;
	char msg[256];			/* raw bytes, as much of it as there is room for */
};

struct tally {
	const struct model *model;	/* borrowed */
	uint32_t page_size;
	enum tally_engine engine;
	bool watches_writes;		/* else what is counted over time and place are faults */

	struct tally_counts total;
	uint64_t records[RECORD_NR];	/* that were given */
	uint64_t src[SRC_NR];		/* faults of a restore, by whence the page came */
	uint64_t dropped_pages;		/* of remove and unmap */
	struct tally_error first_error;
	struct tally_lost lost[LOST_NR];
	struct tally_gap gap[GAP_NR];
	uint64_t first_ts, last_ts;	/* of what was given */
	uint64_t arm_ts;		/* of the first arm; UINT64_MAX: none */
	uint64_t armed_pages;		/* of all arms, each as often as it was armed */
	uint64_t unreported;		/* pages too many to count one by one */

	struct tally_label *labels;	/* by index of the label; nr_labels */
	struct tally_thread *threads;	/* in the order of their first fault */
	struct tally_space *spaces;
	struct tally_stack *stacks;
	struct tally_ip *ips;
	size_t nr_labels, nr_threads, nr_spaces, nr_stacks, nr_ips;

	struct spread latency, stop;	/* ns */
	struct spread interval;		/* ts - ts0 of dirty records, ns */
	struct course course;		/* of what was written, or, without writes, of faults */
	struct pages pages;
	struct heat heat;		/* the same, by index of the label */

	struct record_stats stats;	/* the last that was given */
	bool has_stats;
	uint8_t detach_reason;
	bool detached, clean;

	/* Private. */
	struct keys thread_keys, space_keys, stack_keys, ip_keys;
	size_t label_room, thread_room, space_room, stack_room, ip_room;
};

/* The header is looked at during the call only, the model is read until tally_free(). -ENOMEM. */
int tally_new(struct tally **ret, const struct reader_header *h, const struct model *m);
/* -ENOMEM. */
int tally_record(struct tally *t, const struct record *r);
/*
 * What the record adds to `written`: 0 or 1 of a fault, the pages of a dirty record.  By
 * the engine of its trace.
 */
uint64_t tally_written(enum tally_engine engine, const struct record *r);
enum tally_engine tally_engine_of(const struct reader_header *h);
/* NULL in, NULL out. */
struct tally *tally_free(struct tally *t);

#endif
