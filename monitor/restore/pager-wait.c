/* SPDX-License-Identifier: MIT */
/*
 * Pager, waiting: for the next message, where and how pace.h says.
 *
 * From its fault to our answer a thread of the process stands still, and most of that is
 * waking.  On which CPU it runs /proc says, where CRIU has told us its number.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "restore/pager-parts.h"

/* Field 39 of /proc/PID/stat (proc_pid_stat(5)), counted from the state, behind the name. */
#define FIELDS_BEHIND_STATE 36

/* Of niceness. */
#define HASTE 15
/* There and back, where it is near. */
#define WAY_NS (100 * NSEC_PER_USEC)

void pager_wait_begin(struct pager *p)
{
	int n = sched_getaffinity(0, sizeof(p->home), &p->home) ? 1 : CPU_COUNT(&p->home);

	pace_init(&p->pace, (unsigned int)n);
	/*
	 * A restore is over before the ways have been tried.  Where fillers want the other CPUs
	 * it is best to be near.  Where all comes from afar these are idle, and the kernel wakes
	 * a thread on an idle CPU rather than beside us: who stays near is left behind each time.
	 */
	pace_prefer(&p->pace, p->remote ? PACE_SPIN : PACE_NEAR);
	p->avoid = -1;
	p->more_at = UINT64_MAX;
	p->way_ns = UINT64_MAX;
	p->hot_fillers = n > 2 ? (unsigned int)n - 1 : 1;
	/* Threads wait for this one; it runs for microseconds, and wants CAP_SYS_NICE for it. */
	p->niceness = getpriority(PRIO_PROCESS, (id_t)gettid());
	setpriority(PRIO_PROCESS, (id_t)gettid(), p->niceness - HASTE);
}

/* Where the first thread of the process ran last; -1: nobody knows. */
static int cpu_of(pid_t pid)
{
	char path[40], text[1024], *at;
	_close_ int fd = -1;
	ssize_t n;

	if (pid <= 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	at = strrchr(text, ')');
	at = at ? strchr(at, ' ') : NULL;
	for (int i = 0; at && i < FIELDS_BEHIND_STATE; i++)
		at = strchr(at + 1, ' ');
	return at ? (int)strtol(at, NULL, 10) : -1;
}

/*
 * What follows, unmapping the images above all, takes milliseconds of a CPU: of one on which no
 * restored process was a moment ago.
 */
void pager_wait_end(struct pager *p)
{
	cpu_set_t where = p->home;
	int cpu = p->avoid;

	if (cpu < 0 && p->tenants)
		cpu = cpu_of(p->tenants->host_pid);
	if (cpu >= 0 && cpu < CPU_SETSIZE && CPU_COUNT(&where) > 1)
		CPU_CLR(cpu, &where);
	sched_setaffinity(0, sizeof(where), &where);
	setpriority(PRIO_PROCESS, (id_t)gettid(), p->niceness);
}

static void take_place(struct pager *p)
{
	cpu_set_t near;

	CPU_ZERO(&near);
	if (p->pace.way == PACE_NEAR)
		CPU_SET(p->pace.cpu, &near);
	/* Refused, by a cpuset that has changed for example: then nothing is to be chosen. */
	if (sched_setaffinity(0, sizeof(near), p->pace.way == PACE_NEAR ? &near : &p->home)) {
		sched_setaffinity(0, sizeof(p->home), &p->home);
		pace_init(&p->pace, 1);
	}
	p->avoid = p->pace.way == PACE_NEAR ? p->pace.cpu : -1;
}

void pager_wait_served(struct pager *p, const struct tenant *t, unsigned int nfaults)
{
	uint64_t now = clock_now();
	int cpu;

	if (!nfaults || !pace_served(&p->pace, nfaults, now))
		return;
	cpu = cpu_of(t->host_pid);
	if (cpu >= CPU_SETSIZE || (cpu >= 0 && !CPU_ISSET(cpu, &p->home)))
		cpu = -1;
	if (pace_choose(&p->pace, now, cpu))
		take_place(p);
}

static int wait_once(struct pager *p, struct epoll_event *ev, int max, uint64_t ns)
{
	struct timespec wait = {
		.tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC),
	};
	int n = epoll_pwait2(p->epoll, ev, max, &wait, NULL);

	if (n < 0 && errno == ENOSYS)	/* before 5.11 */
		n = epoll_wait(p->epoll, ev, max, (int)(ns / NSEC_PER_MSEC));
	return n;
}

/*
 * Who waits for a page that is elsewhere does not need this CPU: if it comes about as soon as a
 * wake-up does, it is looked for without sleeping.
 */
static uint64_t spin_for(const struct pager *p, uint64_t now)
{
	if (p->nasked > p->nbulk && p->way_ns < WAY_NS && CPU_COUNT(&p->home) > 1)
		return p->asked_at + 2 * WAY_NS;
	return now + pace_spin(&p->pace);
}

int pager_wait(struct pager *p, uint64_t due, struct epoll_event *ev, int max)
{
	uint64_t now = clock_now(), until = spin_for(p, now);
	uint64_t idle = pace_due(&p->pace);
	int n = 0;

	if (idle < due)
		due = idle;
	if (p->more_at < due)
		due = p->more_at;
	for (; !n && now < until && now < due; now = clock_now())
		n = wait_once(p, ev, max, 0);
	if (!n)
		n = wait_once(p, ev, max, due > now ? due - now : 0);
	if (!n && pace_idle(&p->pace, clock_now()))
		take_place(p);
	return n;
}
