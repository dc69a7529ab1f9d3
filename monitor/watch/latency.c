/* SPDX-License-Identifier: MIT */
/* Latency: a log-linear histogram.  See latency.h. */

#include "watch/latency.h"

/* Values below 16 have a bucket each; above, the top five bits choose it. */
static unsigned int bucket_of(uint64_t ns)
{
	unsigned int msb;

	if (ns < LATENCY_STEPS)
		return (unsigned int)ns;
	msb = 63 - (unsigned int)__builtin_clzll(ns);
	return (msb - 3) * LATENCY_STEPS + (unsigned int)((ns >> (msb - 4)) & (LATENCY_STEPS - 1));
}

static uint64_t bucket_top(unsigned int b)
{
	unsigned int octave = b / LATENCY_STEPS;
	uint64_t low;

	if (!octave)
		return b;
	low = (uint64_t)(LATENCY_STEPS + b % LATENCY_STEPS) << (octave - 1);
	return low + ((UINT64_C(1) << (octave - 1)) - 1);
}

void latency_add(struct latency *l, uint64_t ns)
{
	l->bucket[bucket_of(ns)]++;
	l->n++;
}

uint64_t latency_quantile(const struct latency *l, unsigned int permille)
{
	uint64_t want = (l->n * permille + 999) / 1000, seen = 0;

	if (!l->n)
		return 0;
	for (unsigned int b = 0; b < LATENCY_BUCKETS; b++) {
		seen += l->bucket[b];
		if (seen >= want && seen)
			return bucket_top(b);
	}
	return bucket_top(LATENCY_BUCKETS - 1);
}
