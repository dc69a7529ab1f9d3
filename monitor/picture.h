/* SPDX-License-Identifier: MIT */
/*
 * Picture: one mapping as a strip of characters, darker where more happened.
 *
 * Pure.  The left end is the lowest address.
 */
#ifndef MONITOR_PICTURE_H
#define MONITOR_PICTURE_H

#include <stdint.h>

#include "base/range.h"

#define PICTURE_COLUMNS 32

struct picture {
	struct range r;
	uint32_t page_size;
	uint64_t column[PICTURE_COLUMNS];	/* faults */
	uint64_t faults;
	uint64_t touched;			/* pages with at least one fault */
	uint64_t *seen;				/* owned: one bit a page */
};

/* -EINVAL: empty, not aligned, or above 1 TiB; -ENOMEM. */
int picture_init(struct picture *p, struct range r, uint32_t page_size);
void picture_done(struct picture *p);
/* A fault at addr; outside of the range it is ignored. */
void picture_add(struct picture *p, uint64_t addr);
/*
 * Ten shades from ' ' (none) to '@' (the most of any column); a single fault already
 * shows.  Returns buf.
 */
const char *picture_draw(const struct picture *p, char buf[PICTURE_COLUMNS + 1]);

#endif
