/* SPDX-License-Identifier: MIT */
/*
 * Seat: the injector on the CPU of the thread that it stops.
 *
 * Each stop of a thread is two wake-ups, its tracer's and then its own.  On one CPU that is
 * two switches, between two that were idle it is many times as long.
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

/* Beside the thread of whose stat this is, if we may; without effect if not. */
void seat_take(struct seat *p, const struct facts *thread);
/* Away from there, for it wants to run on. */
void seat_leave(struct seat *p);

#endif
