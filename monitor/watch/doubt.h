/* SPDX-License-Identifier: MIT */
/*
 * Doubt: ranges of which the next scan cannot say what was written since the last.
 *
 * Pure.  Pages that were dropped (MADV_DONTNEED, MADV_FREE, MADV_REMOVE) take with them
 * what was written in them; the event comes before the pages go, so until some time
 * after it a scan may find them in either state.  Ordered by address, disjoint.
 */
#ifndef WATCH_DOUBT_H
#define WATCH_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"

struct doubt {
	struct range r;
	uint64_t since;		/* what was written after that may be missing */
	uint64_t until;		/* a scan that begins later than this can be relied on */
};

/* More at once, and neighbours are taken together: too much is declared, never too little. */
#define DOUBTS_MAX 256

struct doubts {
	struct doubt v[DOUBTS_MAX];
	unsigned int n;
};

/* Those it overlaps or touches become one with it. */
void doubt_add(struct doubts *d, struct doubt one);
/* The first one that overlaps r, or NULL; with its part in r in *ret. */
const struct doubt *doubt_first(const struct doubts *d, struct range r, struct range *ret);
/* What lies in `from` holds at `to` as well. */
void doubt_copy(struct doubts *d, struct range from, uint64_t to);
/*
 * A scan of everything has ended that began then: those it can be relied on for go, the
 * others are left with nothing before it.
 */
void doubt_scanned(struct doubts *d, uint64_t begun);

#endif
