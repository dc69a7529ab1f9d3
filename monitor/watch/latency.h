/* SPDX-License-Identifier: MIT */
/*
 * Latency: a log-linear histogram of nanoseconds, 16 steps an octave.
 *
 * Pure.  A quantile is the upper edge of its bucket: at most 6.25 % too high.
 */
#ifndef WATCH_LATENCY_H
#define WATCH_LATENCY_H

#include <stdint.h>

#define LATENCY_STEPS 16
#define LATENCY_BUCKETS (LATENCY_STEPS * 61)

struct latency {
	uint64_t n;
	uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, uint64_t ns);
/* permille: 500 = median.  0 when empty. */
uint64_t latency_quantile(const struct latency *l, unsigned int permille);

#endif
