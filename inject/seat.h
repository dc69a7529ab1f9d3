/* SPDX-License-Identifier: MIT */
/*
 * Seat: the injector on the CPU of the thread that it stops.
 *
 * Each stop of a thread is two wake-ups, its tracer's and then its own.  On one CPU that is
 * two switches, between two that were idle it is many times as long.
 *
 * That is no CPU that the caller may run on, maybe: it is told so with taskset(1) to keep it
 * away from the target.  But while we are there the target stands, and the sooner it goes on
 * the better.  Where a cpuset forbids it, or many others want that CPU, we stay away.
 */
#ifndef INJECT_SEAT_H
#define INJECT_SEAT_H

#include <sched.h>
#include <stdbool.h>

#include "facts.h"

struct seat {
	cpu_set_t home;			/* where we may run */
	bool taken;
};

/* Beside the thread of whose stat this is; without effect where that cannot be. */
void seat_take(struct seat *p, const struct facts *thread);
/* Away from there, for it wants to run on. */
void seat_leave(struct seat *p);

#endif
