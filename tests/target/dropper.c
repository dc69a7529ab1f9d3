/* SPDX-License-Identifier: MIT */
/*
 * Dropper: gives much memory back at once, and writes to it again.
 *
 *	dropper GATE MIB HOW
 *
 * All of so much memory is written; when the gate opens it is dropped, HOW: dontneed, free
 * or remove (of shared memory).  That takes much longer than telling of it.  A second later
 * one page of 64 is written, each once.
 *
 *	ready PAGE
 *	pages PAGE N STEP	the first of them, how many, and from one to the next
 */
#include <sys/mman.h>

#include "target.h"

#define STEP 64

static const struct {
	const char *name;
	int advice, flags;
} ways[] = {
	{ "dontneed", MADV_DONTNEED, MAP_PRIVATE },
	{ "free", MADV_FREE, MAP_PRIVATE },
	{ "remove", MADV_REMOVE, MAP_SHARED },
};

int main(int argc, char **argv)
{
	size_t n, way = 0;
	FILE *gate;
	char *p;

	if (argc != 4)
		return 2;
	while (way < sizeof(ways) / sizeof(ways[0]) && strcmp(ways[way].name, argv[3]))
		way++;
	if (way == sizeof(ways) / sizeof(ways[0]))
		return 2;
	n = strtoull(argv[2], NULL, 10) << 20 >> 12;
	p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, ways[way].flags | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 2;
	madvise(p, n * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i++)
		p[i * PAGE] = 1;
	printf("ready %zu\n", (size_t)p / PAGE);
	fflush(stdout);
	gate = fopen(argv[1], "r");
	if (!gate || fgetc(gate) == EOF || madvise(p, n * PAGE, ways[way].advice))
		return 2;
	sleep(1);
	for (size_t i = 0; i < n; i += STEP)
		p[i * PAGE] = 2;
	printf("pages %zu %zu %d\n", (size_t)p / PAGE, n / STEP, STEP);
	return 0;
}
