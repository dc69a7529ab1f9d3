/* SPDX-License-Identifier: MIT */
/*
 * Quills: three functions that write 70, 20 and 10 of each 100 pages, in random order.
 *
 *	quills PAGES ROUNDS MS
 *
 * Every page once a round, rounds MS apart; begins when a line comes by stdin, and says at the
 * end how often each function wrote.  Knows nothing of who may be watching.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

/* Whoever asks for its frame has one, so that frame pointers lead through it. */
#define HAVE_A_FRAME (*(void *volatile *)&frame_of_somebody = __builtin_frame_address(0))
static void *frame_of_somebody;

static unsigned long counts[3];
static unsigned char *memory;

void write_often(unsigned char *p);
void write_some(unsigned char *p);
void write_seldom(unsigned char *p);
void one_page(size_t i);
void one_round(const uint32_t *order, size_t n);

static inline __attribute__((always_inline)) void put_byte(unsigned char *p)
{
	*(volatile unsigned char *)p += 1;
}

__attribute__((noinline)) void write_often(unsigned char *p)
{
	HAVE_A_FRAME;
	put_byte(p);
	counts[0]++;
	HAVE_A_FRAME;	/* still */
}

__attribute__((noinline)) void write_some(unsigned char *p)
{
	HAVE_A_FRAME;
	*(volatile unsigned char *)(p + 100) += 1;
	counts[1]++;
	HAVE_A_FRAME;
}

__attribute__((noinline)) void write_seldom(unsigned char *p)
{
	HAVE_A_FRAME;
	*(volatile unsigned char *)(p + 200) += 1;
	counts[2]++;
	HAVE_A_FRAME;
}

__attribute__((noinline)) void one_page(size_t i)
{
	HAVE_A_FRAME;
	if (i % 10 < 7)
		write_often(memory + i * PAGE);
	else if (i % 10 < 9)
		write_some(memory + i * PAGE);
	else
		write_seldom(memory + i * PAGE);
	HAVE_A_FRAME;
}

__attribute__((noinline)) void one_round(const uint32_t *order, size_t n)
{
	HAVE_A_FRAME;
	for (size_t i = 0; i < n; i++)
		one_page(order[i]);
	HAVE_A_FRAME;
}

static void shuffle(uint32_t *order, size_t n)
{
	static uint64_t seed = 1;

	for (size_t i = n - 1; i; i--) {
		size_t k;
		uint32_t swap = order[i];

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		k = (size_t)((seed >> 33) % (i + 1));
		order[i] = order[k];
		order[k] = swap;
	}
}

int main(int argc, char **argv)
{
	size_t pages = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 3;
	long ms = argc > 3 ? strtol(argv[3], NULL, 10) : 300;
	struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
	uint32_t *order = calloc(pages, sizeof(*order));
	char line[8];

	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		      MAP_POPULATE, -1, 0);
	if (!order || !pages || memory == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < pages; i++)
		order[i] = (uint32_t)i;
	pthread_setname_np(pthread_self(), "quill");
	printf("ready pid=%d memory=%p pages=%zu\n", getpid(), (void *)memory, pages);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	for (unsigned long r = 0; r < rounds; r++) {
		shuffle(order, pages);
		one_round(order, pages);
		nanosleep(&pause, NULL);
	}
	printf("wrote write_often=%lu write_some=%lu write_seldom=%lu\n", counts[0], counts[1],
	       counts[2]);
	free(order);
	return 0;
}
