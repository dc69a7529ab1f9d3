/* SPDX-License-Identifier: MIT */
/*
 * Writers: who wrote, as chains of functions.
 *
 * Fed with the records that were asked for, each after model_record() has seen it; counts
 * faults with write:true by thread and by how the thread came there.  Only writers_chains()
 * asks for symbols, and so is not pure: once for each frame, not for each fault.
 */
#ifndef REPORT_WRITERS_H
#define REPORT_WRITERS_H

#include <stdint.h>

#include "report/chains.h"
#include "report/model.h"
#include "report/symbols.h"
#include "trace/record.h"

struct writers;

struct writers_sums {
	uint64_t writes;	/* faults with write:true */
	uint64_t with_code;	/* of those, with a stack or an instruction */
	uint64_t dirty;		/* pages of dirty records, of which nobody knows the writer */
};

/* The model is borrowed until writers_free().  -ENOMEM. */
int writers_new(struct writers **ret, const struct model *m);
/* NULL in, NULL out. */
struct writers *writers_free(struct writers *w);
/* -ENOMEM. */
int writers_record(struct writers *w, const struct record *r);
const struct writers_sums *writers_sums(const struct writers *w);

/*
 * The chains, outermost frame first, sorted.  With `threads` each begins with the name of its
 * thread.  A write of which no code is known has the mapping that was written for a frame; so
 * the total of the root is the sum of the writes.  Where there is no write at all, but dirty
 * pages are told of, these are the counts, below the name of their process.  -ENOMEM.
 */
int writers_chains(const struct writers *w, struct symbols *s, bool threads,
		   struct chains **ret);

/* The mapping of code as symbols_find() wants it. */
struct symbols_where writers_where(const struct model_vma *v);

#endif
