/* SPDX-License-Identifier: MIT */
/*
 * Hurry: writes at full speed, and tells what that has cost.
 *
 *	hurry GATE MIB
 *
 * A word in each page of so much memory, round by round, from the opening of the gate
 * until SIGTERM:
 *
 *	ok pages=N user=NS kernel=NS
 *
 * That is its own running time, getrusage(2): what others on the machine do does not count as
 * long as they leave it its caches, and in the kernel's share, where all it waits for being
 * watched is, not even then.  By itself it has nothing to do there.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "target.h"

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * UINT64_C(1000000000) + (uint64_t)tv->tv_usec * 1000;
}

int main(int argc, char **argv)
{
	struct rusage before, after;
	uint64_t n, pages = 0;
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
	getrusage(RUSAGE_SELF, &before);
	for (; !stop; pages += n)
		for (uint64_t i = 0; i < n; i++)
			((volatile uint64_t *)(p + i * PAGE))[0] += 1;
	getrusage(RUSAGE_SELF, &after);
	for (uint64_t i = 0; i < n; i++)
		if (*(uint64_t *)(p + i * PAGE) != 1 + pages / n) {
			printf("wrong %llu\n", (unsigned long long)i);
			return 1;
		}
	printf("ok pages=%llu user=%llu kernel=%llu\n", (unsigned long long)pages,
	       (unsigned long long)(ns(&after.ru_utime) - ns(&before.ru_utime)),
	       (unsigned long long)(ns(&after.ru_stime) - ns(&before.ru_stime)));
	return 0;
}
