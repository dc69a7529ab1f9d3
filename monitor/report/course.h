/* SPDX-License-Identifier: MIT */
/*
 * Course: how many pages were written over time, and how many different ones.
 *
 * Pure, and of fixed size.  Time is counted in units of 1 ms, 2 ms, 4 ms ...; a window is
 * 2^n units that begin at a multiple of that.  How many different pages were written in a
 * window is exact for each window that is not shorter than a unit: a write is filed under
 * the longest windows in which it is the first of its page, which the time of its last write
 * tells.  When the trace is too long for the table the unit doubles.
 */
#ifndef REPORT_COURSE_H
#define REPORT_COURSE_H

#include <stdint.h>

#define COURSE_BINS 1024
#define COURSE_LEVELS 34
#define COURSE_TICK_NS UINT64_C(1000000)	/* the shortest unit */
#define COURSE_NEVER UINT32_MAX			/* it had not been written before */

struct course {
	unsigned int shift;		/* a unit is 2^shift ticks */
	uint32_t used;			/* units from the begin to the last that holds anything */
	uint64_t bin[COURSE_BINS][COURSE_LEVELS];
};

struct course_window {
	uint64_t writes;	/* pages, each as often as it was reported */
	uint64_t pages;		/* different ones */
	uint64_t fresh;		/* of these, never written before */
};

/* The tick of a time. */
uint32_t course_tick(uint64_t ns);
/* n pages were written at a tick, and before that, all of them, at `last`. */
void course_add(struct course *c, uint32_t tick, uint32_t last, uint64_t n);
/* Windows of 2^level units: how many there are, and the length of one. */
uint32_t course_windows(const struct course *c, unsigned int level);
uint64_t course_window_ns(const struct course *c, unsigned int level);
struct course_window course_window(const struct course *c, unsigned int level, uint32_t i);
/* The level that has no more than so many windows. */
unsigned int course_level(const struct course *c, uint32_t windows);
/* The level whose windows are as long as that, or the next longer ones. */
unsigned int course_level_of(const struct course *c, uint64_t window_ns);

#endif
