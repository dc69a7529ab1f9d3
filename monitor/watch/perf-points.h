/* SPDX-License-Identifier: MIT */
/*
 * Perf points: the kernel's tracepoints of page faults, exceptions:page_fault_user and
 * exceptions:page_fault_kernel (x86).
 *
 * A sample of theirs has what one of PERF_COUNT_SW_PAGE_FAULTS has not: the error code of
 * the processor, which says whether it was a write.
 */
#ifndef WATCH_PERF_POINTS_H
#define WATCH_PERF_POINTS_H

#include <stdbool.h>
#include <stdint.h>

/* A filter, perf_event_filter(): only those that are writes. */
#define PERF_POINT_WRITES "error_code & 2"

enum perf_point {
	PERF_POINT_USER,	/* faults of the program */
	PERF_POINT_KERNEL,	/* faults of the kernel, in system calls of it too */
	PERF_POINT_NR,
};

/*
 * Look for them, once; later calls cost nothing.  Needs the right to read tracefs, or to
 * mount it (nobody else sees that).  Not for two threads at once.
 */
void perf_points_look(void);
/* What perf_event_attr.config says it by; false: there is none, or nobody has looked. */
bool perf_point_of(enum perf_point point, uint64_t *ret_config);
bool perf_point_is_one(uint64_t config);

#endif
