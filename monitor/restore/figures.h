/* SPDX-License-Identifier: MIT */
/*
 * Figures: how far a lazy restore is, for whoever draws it in another process.
 *
 * One page of shared memory.  The pager alone writes: the sums some times a second, the
 * times of faults as they are answered, all by plain stores of its event thread, so that
 * nothing is formatted, written or waited for where a fault is answered.  Readers see each
 * number whole, and the numbers of one moment only about together.
 */
#ifndef RESTORE_FIGURES_H
#define RESTORE_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

/* Eight steps an octave, from 512 ns to about an hour: at most 12.5 % too high. */
#define FIGURES_STEPS 8u
#define FIGURES_FIRST 9u	/* 2^9 ns, and all that is less */
#define FIGURES_OCTAVES 33u
#define FIGURES_BUCKETS (FIGURES_STEPS * FIGURES_OCTAVES)

/* All in pages, where nothing else is said. */
struct figures {
	_Atomic uint64_t added;		/* that were to come, at the start or by a fork */
	_Atomic uint64_t came;
	_Atomic uint64_t left;
	_Atomic uint64_t unmapped, dropped, of_ended;	/* not wanted any more */
	_Atomic uint64_t unreadable, placeless;
	_Atomic uint64_t faults;	/* answered with a page of the checkpoint */
	_Atomic uint64_t zeros;		/* answered with zeroes: nothing was owed there */
	_Atomic uint64_t tasks, children;	/* processes handed over, forked since */
	_Atomic uint64_t resumed_at;	/* CLOCK_MONOTONIC, they run; 0: not yet */
	_Atomic uint64_t ended_at;	/* CLOCK_MONOTONIC, nothing is owed; 0: not yet */
	_Atomic uint64_t slowest;	/* ns, of all faults */
	_Atomic uint64_t latency[FIGURES_BUCKETS];	/* from reading to answering */
};

/* What was answered after so many nanoseconds.  For one thread. */
void figures_answered(struct figures *f, uint64_t ns);
/* permille: 500 = median.  0 when nothing was answered. */
uint64_t figures_quantile(const struct figures *f, unsigned int permille);

/* For one writer: no locked instruction. */
static inline void figures_set(_Atomic uint64_t *at, uint64_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

static inline uint64_t figures_get(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

#endif
