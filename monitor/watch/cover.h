/* SPDX-License-Identifier: MIT */
/*
 * Cover: which pages are armed, and which we have taken responsibility for.
 *
 * Pure.  Two bits a page, in chunks of 512 pages, in a tree ordered by address:
 *
 *	claimed armed
 *	   0      0	nothing is promised (new, removed, unmapped, gap)
 *	   1      1	covered: the first write will be reported
 *	   1      0	spent: it was reported; armed again by --rearm
 *
 * So "still to be armed" is "not claimed", and "reported exactly once" is the
 * change of armed from 1 to 0.  cover_take() is on the fault path: it never
 * allocates.
 */
#ifndef WATCH_COVER_H
#define WATCH_COVER_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"

struct cover_chunk;
RB_HEAD(cover_tree, cover_chunk);

struct cover {
	struct cover_tree chunks;
	struct cover_chunk *recent;	/* the last one found */
	uint32_t page_size;
	uint64_t armed;			/* pages armed now */
	uint64_t claimed;		/* pages claimed now */
};

void cover_init(struct cover *c, uint32_t page_size);
void cover_done(struct cover *c);

/* Ranges are page aligned everywhere. */

/* Claim and arm.  -ENOMEM: nothing changed. */
int cover_arm(struct cover *c, struct range r);
/* Disarm, keep claimed.  Returns the number of pages that were armed. */
uint64_t cover_take(struct cover *c, struct range r);
/* Forget both.  Returns the number of pages that were armed. */
uint64_t cover_drop(struct cover *c, struct range r);
/* Is every page / any page of r armed? */
bool cover_armed_all(const struct cover *c, struct range r);
bool cover_armed_any(const struct cover *c, struct range r);
/*
 * The largest block of a power of two pages, `most` at the most, that is aligned to its
 * own length, holds addr, lies in `within` and is armed altogether; at least addr's page.
 */
struct range cover_block(const struct cover *c, struct range within, uint64_t addr,
			 unsigned int most);
/* Both bits of [from) move to `to`; the destination's own are forgotten.  -ENOMEM. */
int cover_move(struct cover *c, struct range from, uint64_t to);
/* A copy, for a fork.  -ENOMEM. */
int cover_clone(struct cover *ret, const struct cover *c);

/* First run of pages in `within` that are not claimed.  False: none. */
bool cover_next_unclaimed(const struct cover *c, struct range within, struct range *ret);
/* First run of pages in `within` that are claimed and not armed. */
bool cover_next_spent(const struct cover *c, struct range within, struct range *ret);
/* First run of pages in `within` that are armed. */
bool cover_next_armed(const struct cover *c, struct range within, struct range *ret);

#endif
