/* SPDX-License-Identifier: MIT */
/*
 * Hurry: writes at full speed, and tells what that has cost.
 *
 *	hurry GATE MIB
 *
 * A word in each page of so much memory, round by round, from the opening of the gate
 * until SIGTERM:
 *
 *	ok pages=N cpu=NS
 *
 * cpu is its own running time: what others on the machine do does not count.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "target.h"

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

int main(int argc, char **argv)
{
	uint64_t n, pages = 0, begin;
	char *p, go;
	int gate;

	if (argc != 3)
		return 2;
	n = strtoull(argv[2], NULL, 10) << 20 >> 12;
	p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 2;
	madvise(p, n * PAGE, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < n; i++)
		p[i * PAGE] = 1;
	signal(SIGTERM, on_term);
	printf("ready %p\n", (void *)p);
	fflush(stdout);
	gate = open(argv[1], O_RDONLY);
	if (gate < 0 || read(gate, &go, 1) < 0)
		return 2;
	for (begin = cpu(); !stop; pages += n)
		for (uint64_t i = 0; i < n; i++)
			((volatile uint64_t *)(p + i * PAGE))[0] += 1;
	begin = cpu() - begin;
	for (uint64_t i = 0; i < n; i++)
		if (*(uint64_t *)(p + i * PAGE) != 1 + pages / n) {
			printf("wrong %llu\n", (unsigned long long)i);
			return 1;
		}
	printf("ok pages=%llu cpu=%llu\n", (unsigned long long)pages, (unsigned long long)begin);
	return 0;
}
