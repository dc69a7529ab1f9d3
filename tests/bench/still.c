/* SPDX-License-Identifier: MIT */
/*
 * Still: how long a thread stands still, as it sees it itself.
 *
 *	still FILE
 *
 * One thread reads a counter of the CPU without end; two readings further apart than
 * FLOOR are a gap.  FILE, which it maps, holds numbers of 64 bits: who changes the first
 * is answered with the same number in the second, and with the sum, the longest and the
 * count of the gaps (nanoseconds) since the answer before in the next three.
 *
 * In between it makes no system call and writes to no memory, so that it is only being
 * attached to that can hold it, not what is done there.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"

/* Above a tick of the clock on a virtual machine. */
#define FLOOR 40000u
#define BYTES 4096u

/* asked, answered, sum, longest, count */
static volatile uint64_t *shared;

static inline uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return clock_now();
#endif
}

/* Its variables are in registers. */
static void count_until_asked(double per_ns, uint64_t gaps[3])
{
	uint64_t floor = (uint64_t)(FLOOR * per_ns), last = ticks();
	uint64_t sum = 0, longest = 0, n = 0;

	while (shared[0] == shared[1]) {
		uint64_t now = ticks();

		if (now - last > floor) {
			sum += now - last;
			longest = now - last > longest ? now - last : longest;
			n++;
		}
		last = now;
	}
	gaps[0] = sum;
	gaps[1] = longest;
	gaps[2] = n;
}

int main(int argc, char **argv)
{
	uint64_t gaps[3], since, since_ticks;
	double per_ns;
	cpu_set_t cpus;
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return 2;
	alarm(600);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	shared = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return 1;
	/* The last CPU: who attaches runs on the first. */
	CPU_ZERO(&cpus);
	CPU_SET((size_t)sysconf(_SC_NPROCESSORS_ONLN) - 1, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	since = clock_now();
	since_ticks = ticks();
	while (clock_now() - since < 20 * NSEC_PER_MSEC)
		;
	per_ns = (double)(ticks() - since_ticks) / (double)(clock_now() - since);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		count_until_asked(per_ns, gaps);
		shared[2] = (uint64_t)((double)gaps[0] / per_ns);
		shared[3] = (uint64_t)((double)gaps[1] / per_ns);
		shared[4] = gaps[2];
		shared[1] = shared[0];
	}
}
