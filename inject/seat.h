/* SPDX-License-Identifier: MIT */
/*
 * Seat: the injector on the CPU of the thread that it stops.
 *
 * Each stop of a thread is two wake-ups, its tracer's and then its own.  On one CPU that is
 * two switches, between two that were idle it is many times as long.
 *
 * That is no CPU that the caller may run on, maybe: it is told so with taskset(1) to keep it
 * away from the target.  But while we are there the target stands, and the sooner it goes on
 * the better.  Where a cpuset forbids it we stay away.
 *
 * Whoever else wants that CPU would run between two of our calls, for a slice each time, and
 * we could not even go again before our turn.  So we go there before all others (SCHED_FIFO,
 * CAP_SYS_NICE), who lose some tens of microseconds by it, or not at all.
 */
#ifndef INJECT_SEAT_H
#define INJECT_SEAT_H

#include <sched.h>
#include <stdbool.h>

#include "facts.h"

struct seat {
	cpu_set_t home;			/* where we may run */
	int policy;			/* and how, otherwise */
	struct sched_param param;
	bool taken;
};

/* Beside the thread of whose stat this is; without effect where that cannot be. */
void seat_take(struct seat *s, const struct facts *thread);
/* Away from there, for it wants to run on. */
void seat_leave(struct seat *s);

#endif
