/* SPDX-License-Identifier: MIT */
/*
 * Range: a half-open interval of addresses, and checked arithmetic on it.
 *
 * Knows nothing about pagetap.  A range is never inverted: lo <= hi.
 */
#ifndef BASE_RANGE_H
#define BASE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

struct range {
	uint64_t lo;
	uint64_t hi;	/* first address after the range */
};

static inline bool range_make(uint64_t addr, uint64_t len, struct range *ret)
{
	uint64_t hi;

	if (__builtin_add_overflow(addr, len, &hi))
		return false;
	*ret = (struct range){ addr, hi };
	return true;
}

static inline uint64_t range_len(struct range r)
{
	return r.hi - r.lo;
}

static inline bool range_empty(struct range r)
{
	return r.lo >= r.hi;
}

static inline bool range_has(struct range r, uint64_t addr)
{
	return addr >= r.lo && addr < r.hi;
}

static inline bool range_overlaps(struct range a, struct range b)
{
	return a.lo < b.hi && b.lo < a.hi;
}

static inline bool range_contains(struct range outer, struct range inner)
{
	return inner.lo >= outer.lo && inner.hi <= outer.hi;
}

/* The part that both have; empty (lo == hi) if there is none. */
static inline struct range range_common(struct range a, struct range b)
{
	struct range r = {
		.lo = a.lo > b.lo ? a.lo : b.lo,
		.hi = a.hi < b.hi ? a.hi : b.hi,
	};

	if (r.lo > r.hi)
		r.hi = r.lo;
	return r;
}

static inline uint64_t align_down(uint64_t v, uint64_t a)
{
	return v & ~(a - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t a)
{
	return (v + a - 1) & ~(a - 1);
}

#endif
