/* SPDX-License-Identifier: MIT */
/*
 * Report times: the course of a tally in windows that people can read.
 *
 * Pure.
 */
#ifndef MONITOR_REPORT_TIMES_H
#define MONITOR_REPORT_TIMES_H

#include "report/tally.h"

#define REPORT_TIMES_NR 5
#define REPORT_TIMES_NAMES { "p50", "p75", "p95", "p99", "max" }

struct report_times {
	unsigned int level;		/* of course_window() */
	uint64_t window_ns;
	uint32_t first, n;		/* of the windows: what was before was not asked for */
	uint64_t rate[REPORT_TIMES_NR];	/* pages written in a window, by the second */
	uint64_t pages[REPORT_TIMES_NR];	/* different ones in a window */
};

/* At most so many windows. */
#define REPORT_TIMES_WINDOWS 128

/*
 * What half, three quarters ... of the windows do not exceed, those in which nothing
 * happened included.  since: the begin of what was asked for.
 */
void report_times(const struct tally *t, uint64_t since, struct report_times *ret);

#endif
