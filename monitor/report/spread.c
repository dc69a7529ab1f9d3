/* SPDX-License-Identifier: MIT */
/* Spread: a log-linear histogram.  See spread.h. */

#include "report/spread.h"

/* Below 16 each value has a bucket; above, the four bits behind the highest choose it. */
static unsigned int bucket_of(uint64_t v)
{
	unsigned int high;

	if (v < 16)
		return (unsigned int)v;
	high = 63u - (unsigned int)__builtin_clzll(v);
	return (high - 3) * 16 + (unsigned int)(v >> (high - 4) & 15);
}

static uint64_t highest(unsigned int bucket)
{
	unsigned int high = bucket / 16 + 3;

	if (bucket < 16)
		return bucket;
	return ((UINT64_C(16) + bucket % 16 + 1) << (high - 4)) - 1;
}

void spread_add(struct spread *s, uint64_t v)
{
	s->n++;
	s->sum += v;
	s->max = v > s->max ? v : s->max;
	s->bucket[bucket_of(v)]++;
}

uint64_t spread_quantile(const struct spread *s, unsigned int per_mille)
{
	uint64_t rank = s->n / 1000 * per_mille + (s->n % 1000 * per_mille + 999) / 1000, seen = 0;

	for (unsigned int i = 0; i < SPREAD_BUCKETS; i++) {
		seen += s->bucket[i];
		if (seen && seen >= rank)
			return highest(i) < s->max ? highest(i) : s->max;
	}
	return 0;
}

uint64_t spread_octave(const struct spread *s, unsigned int i)
{
	uint64_t lo = i ? UINT64_C(1) << i : 0, hi = i < 63 ? (UINT64_C(2) << i) - 1 : UINT64_MAX;
	uint64_t n = 0;

	for (unsigned int b = bucket_of(lo); b <= bucket_of(hi); b++)
		n += s->bucket[b];
	return n;
}
