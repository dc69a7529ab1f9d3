/* SPDX-License-Identifier: MIT */
/*
 * Spread: how long things took, as a histogram.
 *
 * Pure.  Sixteen buckets an octave: what it tells is at most 6.25 % too high.
 */
#ifndef REPORT_SPREAD_H
#define REPORT_SPREAD_H

#include <stdint.h>

#define SPREAD_BUCKETS (61 * 16)

struct spread {
	uint64_t n, sum, max;
	uint64_t bucket[SPREAD_BUCKETS];
};

void spread_add(struct spread *s, uint64_t v);
/* The value that so many in 1000 do not exceed; 0 where there are none. */
uint64_t spread_quantile(const struct spread *s, unsigned int per_mille);
/* How many lie in 2^i .. 2^(i+1) - 1; i = 0 holds 0 as well. */
uint64_t spread_octave(const struct spread *s, unsigned int i);

#endif
