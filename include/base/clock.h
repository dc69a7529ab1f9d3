/* SPDX-License-Identifier: MIT */
/*
 * Clock: nanoseconds on CLOCK_MONOTONIC.
 *
 * Knows nothing about pagetap.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

static inline uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* n in so many nanoseconds, by the second, rounded down; UINT64_MAX: that or more. */
static inline uint64_t clock_rate(double n, uint64_t ns)
{
	const double rate = ns ? n * 1e9 / (double)ns : 0;

	return rate < 0x1p64 ? (uint64_t)rate : UINT64_MAX;
}

#endif
