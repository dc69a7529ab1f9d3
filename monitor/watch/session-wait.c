/* SPDX-License-Identifier: MIT */
/*
 * Session, waiting: for the descriptors of the loop, where and as pace.h says.
 *
 * On which CPU the faults happen is told by the rings of the witness, one a CPU, for
 * nothing: by how far each has come.  Where it is told of no touches, /proc is asked where
 * the thread runs that faulted last.
 */

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/clock.h"
#include "watch/session-state.h"

void session_wait_begin(struct session *s)
{
	int n = sched_getaffinity(0, sizeof(s->home), &s->home) ? 1 : CPU_COUNT(&s->home);

	pace_init(&s->pace, (unsigned int)n);
}

static void take_place(struct session *s)
{
	cpu_set_t near;

	CPU_ZERO(&near);
	if (s->pace.way == PACE_NEAR)
		CPU_SET(s->pace.cpu, &near);
	/* Refused, by a cpuset that has changed for example: then nothing is to be chosen. */
	if (sched_setaffinity(0, sizeof(near), s->pace.way == PACE_NEAR ? &near : &s->home)) {
		sched_setaffinity(0, sizeof(s->home), &s->home);
		pace_init(&s->pace, 1);
	}
}

void session_wait_end(struct session *s)
{
	if (s->pace.way == PACE_NEAR)
		sched_setaffinity(0, sizeof(s->home), &s->home);
	pace_init(&s->pace, 1);
}

void session_wait_served(struct session *s, unsigned int n)
{
	uint64_t now = clock_now();
	int cpu;

	if (!n || !pace_served(&s->pace, n, now))
		return;
	cpu = session_busiest_cpu(s);
	if (cpu >= CPU_SETSIZE || (cpu >= 0 && !CPU_ISSET(cpu, &s->home)))
		cpu = -1;
	if (pace_choose(&s->pace, now, cpu))
		take_place(s);
}

static int wait_once(struct session *s, struct epoll_event *ev, int max, uint64_t ns)
{
	struct timespec wait = {
		.tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC),
	};
	int n = epoll_pwait2(s->epoll, ev, max, &wait, NULL);

	if (n < 0 && errno == ENOSYS)
		n = epoll_wait(s->epoll, ev, max, (int)(ns / NSEC_PER_MSEC));
	return n < 0 ? -errno : n;
}

int session_wait(struct session *s, uint64_t due, struct epoll_event *ev, int max)
{
	uint64_t now = clock_now(), spin = pace_spin(&s->pace), until = now + spin;
	uint64_t idle = pace_due(&s->pace);
	int n = 0;

	if (idle < due)
		due = idle;
	while (spin && !n && now < until && now < due) {
		n = wait_once(s, ev, max, 0);
		now = clock_now();
	}
	if (!n)
		n = wait_once(s, ev, max, due > now ? due - now : 0);
	if (!n && pace_idle(&s->pace, clock_now()))
		take_place(s);
	return n;
}
