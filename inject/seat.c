/* SPDX-License-Identifier: MIT */
/* Seat: the injector on the CPU of the thread that it stops. */

#include "seat.h"

/* Whoever has another policy than these may keep us from running there. */
static bool is_fair(int policy)
{
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

/* A CPU that is still allowed is not left (sched_setaffinity(2)): so without it, for once. */
void seat_leave(struct seat *s)
{
	cpu_set_t elsewhere = s->home;
	int here;

	if (!s->taken)
		return;
	s->taken = false;
	here = sched_getcpu();
	if (here >= 0 && here < CPU_SETSIZE)
		CPU_CLR((size_t)here, &elsewhere);
	if (CPU_COUNT(&elsewhere) && !CPU_EQUAL(&elsewhere, &s->home))
		sched_setaffinity(0, sizeof(elsewhere), &elsewhere);
	sched_setaffinity(0, sizeof(s->home), &s->home);
	sched_setscheduler(0, s->policy, &s->param);
}

void seat_take(struct seat *s, const struct facts *thread)
{
	const struct sched_param first = { .sched_priority = sched_get_priority_min(SCHED_FIFO) };
	cpu_set_t there;

	s->taken = false;
	if (thread->cpu < 0 || thread->cpu >= CPU_SETSIZE || !is_fair(thread->policy))
		return;
	s->policy = sched_getscheduler(0);
	if (s->policy < 0 || sched_getparam(0, &s->param) < 0 ||
	    sched_getaffinity(0, sizeof(s->home), &s->home) < 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &first) < 0)
		return;
	CPU_ZERO(&there);
	CPU_SET((size_t)thread->cpu, &there);
	s->taken = !sched_setaffinity(0, sizeof(there), &there);
	if (!s->taken)
		sched_setscheduler(0, s->policy, &s->param);
}
