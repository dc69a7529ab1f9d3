/* SPDX-License-Identifier: MIT */
/* Seat: the injector on the CPU of the thread that it stops. */

#include "seat.h"

#include "base/clock.h"

/*
 * Waiting for one's turn for longer than a busy thread's slice: there are more who want that
 * CPU, and between two of our calls we would wait for each of them again.
 */
#define CROWDED (8 * NSEC_PER_MSEC)

/* Behind a thread with another policy than these we might wait for ever. */
static bool is_fair(int policy)
{
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

/* A CPU that is still allowed is not left (sched_setaffinity(2)): so without it, for once. */
void seat_leave(struct seat *p)
{
	cpu_set_t elsewhere = p->home;
	int here;

	if (!p->taken)
		return;
	p->taken = false;
	here = sched_getcpu();
	if (here >= 0 && here < CPU_SETSIZE)
		CPU_CLR((size_t)here, &elsewhere);
	if (CPU_COUNT(&elsewhere) && !CPU_EQUAL(&elsewhere, &p->home))
		sched_setaffinity(0, sizeof(elsewhere), &elsewhere);
	sched_setaffinity(0, sizeof(p->home), &p->home);
}

void seat_take(struct seat *p, const struct facts *thread)
{
	uint64_t begin = clock_now();
	cpu_set_t there;

	p->taken = false;
	if (thread->cpu < 0 || thread->cpu >= CPU_SETSIZE || !is_fair(thread->policy))
		return;
	if (sched_getaffinity(0, sizeof(p->home), &p->home) < 0)
		return;
	CPU_ZERO(&there);
	CPU_SET((size_t)thread->cpu, &there);
	p->taken = !sched_setaffinity(0, sizeof(there), &there);
	if (clock_now() - begin > CROWDED)
		seat_leave(p);
}
