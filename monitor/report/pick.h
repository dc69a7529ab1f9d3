/* SPDX-License-Identifier: MIT */
/*
 * Pick: which records of a trace a question is about.
 *
 * Pure.  What is needed to understand the others (mappings, threads, stacks, who is whose
 * child) is for the model whatever was asked for: ask after model_record().
 */
#ifndef REPORT_PICK_H
#define REPORT_PICK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"
#include "report/model.h"

#define PICK_MAX 64

struct pick {
	struct range ranges[PICK_MAX];		/* -a; none: everywhere */
	const char *globs[PICK_MAX];		/* -m, borrowed; none: all mappings */
	int32_t pids[PICK_MAX];			/* -p; none: all processes */
	unsigned int nr_ranges, nr_globs, nr_pids;
	uint32_t kinds;				/* PICK_KIND_*; 0: all */
	uint64_t since, until;			/* ts from .. to before; until 0: the end */

	/* What was found out about the mappings so far: private. */
	uint8_t *known;				/* by index of the label; owned */
	size_t known_room;
};

/* Of -e; what is of none of these is always in. */
enum {
	PICK_KIND_MISSING = 1,
	PICK_KIND_WP = 2,	/* faults of that kind, and dirty records */
	PICK_KIND_MINOR = 4,
	PICK_KIND_FORK = 8,	/* fork, exec */
	PICK_KIND_EXIT = 16,
	PICK_KIND_MAP = 32,	/* remap, remove, unmap */
};

/*
 * Does the record count?  A fault counts where its address is in a range, a span where
 * any of it is; one that is about no place, or a gap about a whole address space, counts
 * for every place.  Where the mapping is not known, a pattern does not match.
 */
bool pick_takes(struct pick *p, const struct model *m, const struct record *r);
/* Is anything left out by it? */
bool pick_is_empty(const struct pick *p);
void pick_done(struct pick *p);

#endif
