/* SPDX-License-Identifier: MIT */
/*
 * Pace: where and how the event thread waits for the next fault.
 *
 * Pure: times in, a choice out.  A thread of the target stands still from its fault to
 * our answer, and most of that is waking: on one CPU a switch, between two CPUs an
 * interrupt each way, ten times as long.  Which is cheaper depends on the machine and
 * on what the target does, so the ways are tried while faults come in numbers, and the
 * one in which they came fastest is kept, for a while.
 */
#ifndef WATCH_PACE_H
#define WATCH_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum pace_way {
	PACE_REST,	/* sleep, wherever the scheduler likes */
	PACE_NEAR,	/* sleep, on the CPU where the faults happen */
	PACE_SPIN,	/* look again and again for a short while, then sleep */
	PACE_NR,
};

/* Faults that are further apart are told singly: nothing is measured between them. */
#define PACE_HOT_NS UINT64_C(5000000)
/* So long at most is spun after an answer, and only where the next one came sooner. */
#define PACE_SPIN_NS UINT64_C(50000)

struct pace {
	enum pace_way way, best;
	bool trying;			/* a round: each way in turn */
	bool preferred;			/* best has not been held against the others yet */
	unsigned int allowed, tried;	/* a bit a way */
	uint64_t cost[PACE_NR];		/* ns from fault to fault; when tried last */
	uint64_t last;			/* when a fault was answered last */
	uint64_t gap;			/* between the last two */
	uint64_t sum;			/* of the hot gaps of this window ... */
	unsigned int n;			/* ... and of the faults */
	unsigned int settling;		/* faults not to be counted after a change */
	uint64_t next_round, pause;	/* the pause grows while a round changes nothing */
	unsigned int chases;		/* in this round, after faults that moved */
	int cpu;			/* of PACE_NEAR; -1 */
};

/* ncpus: how many CPUs we may run on; with one there is nothing to choose. */
void pace_init(struct pace *p, unsigned int ncpus);
/*
 * This one from the first few faults on, where it can be had: for who has few faults to spend
 * on trying, and mostly finds this one best.  The others are tried after the first pause.
 */
void pace_prefer(struct pace *p, enum pace_way way);
/*
 * n messages were answered by `now`.  True: it is time for pace_choose(), which wants
 * to know where the faults were.
 */
bool pace_served(struct pace *p, unsigned int n, uint64_t now);
/*
 * cpu: where most of the faults since the last choice happened; -1: nobody knows.
 * True: way or cpu are others now.
 */
bool pace_choose(struct pace *p, uint64_t now, int cpu);
/* Nothing came until now.  True: back to resting. */
bool pace_idle(struct pace *p, uint64_t now);
/* When pace_idle() is to be called if nothing comes; UINT64_MAX. */
uint64_t pace_due(const struct pace *p);
/* How long to spin after what was answered last; 0: not at all. */
uint64_t pace_spin(const struct pace *p);

#endif
