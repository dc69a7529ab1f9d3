/* SPDX-License-Identifier: MIT */
/* Figures: the times of faults.  See figures.h. */

#include "restore/figures.h"

/* Nanoseconds above 2^FIGURES_FIRST by their highest bit and the three below it. */
static unsigned int bucket_of(uint64_t ns)
{
	unsigned int octave, step;

	if (ns < UINT64_C(1) << FIGURES_FIRST)
		return 0;
	octave = 63 - (unsigned int)__builtin_clzll(ns);
	step = (unsigned int)(ns >> (octave - 3)) & (FIGURES_STEPS - 1);
	octave -= FIGURES_FIRST;
	return octave < FIGURES_OCTAVES ? octave * FIGURES_STEPS + step : FIGURES_BUCKETS - 1;
}

/* The first one that is in the next bucket. */
static uint64_t edge_of(unsigned int bucket)
{
	unsigned int octave = bucket / FIGURES_STEPS + FIGURES_FIRST;

	return ((uint64_t)FIGURES_STEPS + bucket % FIGURES_STEPS + 1) << (octave - 3);
}

void figures_answered(struct figures *f, uint64_t ns)
{
	_Atomic uint64_t *at = &f->latency[bucket_of(ns)];

	figures_set(at, figures_get(at) + 1);
	if (ns > figures_get(&f->slowest))
		figures_set(&f->slowest, ns);
}

uint64_t figures_quantile(const struct figures *f, unsigned int permille)
{
	uint64_t n = 0, upto = 0, slowest = figures_get(&f->slowest), edge;

	for (unsigned int i = 0; i < FIGURES_BUCKETS; i++)
		n += figures_get(&f->latency[i]);
	/* The rank, counted from 1, and rounded up. */
	n = n / 1000 * permille + (n % 1000 * permille + 999) / 1000;
	for (unsigned int i = 0; n && i < FIGURES_BUCKETS; i++) {
		upto += figures_get(&f->latency[i]);
		if (upto < n)
			continue;
		edge = edge_of(i);
		return edge < slowest ? edge : slowest;
	}
	return 0;
}
