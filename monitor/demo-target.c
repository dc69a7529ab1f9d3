/* SPDX-License-Identifier: MIT */
/*
 * Demo target: a small program that uses its memory and checks it.
 *
 * Knows nothing of being watched; `pagetap demo` attaches to it from outside like
 * to any other process.  Three threads:
 *
 *	sweep	64 MiB of anonymous memory, page after page; one half was never touched
 *	heap	8 MiB of heap, at random, more often in the middle
 *	stack	128 KiB deep into the stack of the main thread
 *
 * It ends when its standard input does, exit status 0 if every byte was as written.
 */

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/range.h"
#include "cmd.h"
#include "exit.h"

#define PAGE 4096
#define SWEEP_PAGES 16384
#define HEAP_PAGES 2048
#define STACK_BYTES (128 * 1024)
#define SWEEP_A_REST 64		/* pages between two rests: a sweep lasts some seconds */
#define LIFE_SECONDS 120	/* whatever happens to the parent */

static atomic_bool ending;
static atomic_uint wrong;

struct area {
	unsigned char *at;
	uint32_t *written;	/* what each page should hold; 0: never written */
};

static void rest(long us)
{
	struct timespec ts = { .tv_nsec = us * 1000 };

	nanosleep(&ts, NULL);
}

/* xorshift32; never 0. */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void check_page(const struct area *a, unsigned int page)
{
	uint32_t v;

	memcpy(&v, a->at + (size_t)page * PAGE, sizeof(v));
	if (v != a->written[page])
		atomic_fetch_add(&wrong, 1);
}

static void write_page(struct area *a, unsigned int page, uint32_t v)
{
	check_page(a, page);
	a->written[page] = v;
	memcpy(a->at + (size_t)page * PAGE, &v, sizeof(v));
}

static void *sweep(void *arg)
{
	struct area *a = arg;
	uint32_t round = 1;

	for (; !ending; round++)
		for (unsigned int i = 0; i < SWEEP_PAGES && !ending; i++) {
			write_page(a, i, round << 16 | (i + 1));
			if (i % SWEEP_A_REST == 0)
				rest(5000);
		}
	for (unsigned int i = 0; i < SWEEP_PAGES; i++)
		check_page(a, i);
	return NULL;
}

static void *heap(void *arg)
{
	struct area *a = arg;
	uint32_t state = 2463534242u;

	for (unsigned int n = 0; !ending; n++) {
		/* The sum of three is likelier in the middle than at the ends. */
		unsigned int page = (next_random(&state) % HEAP_PAGES +
				     next_random(&state) % HEAP_PAGES +
				     next_random(&state) % HEAP_PAGES) / 3;

		write_page(a, page, next_random(&state));
		if (n % 4 == 0)
			rest(1000);
	}
	for (unsigned int i = 0; i < HEAP_PAGES; i++)
		check_page(a, i);
	return NULL;
}

/* Each level owns a page of stack and finds it unchanged on the way back. */
static unsigned int __attribute__((noinline)) dig(unsigned int depth, uint32_t seed)
{
	volatile uint32_t own[PAGE / sizeof(uint32_t)];
	unsigned int below = 0;

	own[0] = seed ^ depth;
	own[PAGE / sizeof(uint32_t) - 1] = seed + depth;
	if (depth)
		below = dig(depth - 1, seed);
	return below + (own[0] != (seed ^ depth)) +
	       (own[PAGE / sizeof(uint32_t) - 1] != seed + depth);
}

static bool input_ended(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 20) != 0;
}

/* From brk, as malloc does it for what is below its mmap threshold. */
static unsigned char *heap_memory(size_t bytes)
{
	unsigned char *at = sbrk((intptr_t)(bytes + PAGE));

	if (at == (void *)-1)
		return NULL;
	return (unsigned char *)(uintptr_t)align_up((uintptr_t)at, PAGE);
}

static bool set_up(struct area *anon, struct area *brk_area)
{
	anon->at = mmap(NULL, (size_t)SWEEP_PAGES * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	brk_area->at = heap_memory((size_t)HEAP_PAGES * PAGE);
	anon->written = calloc(SWEEP_PAGES, sizeof(*anon->written));
	brk_area->written = calloc(HEAP_PAGES, sizeof(*brk_area->written));
	if (anon->at == MAP_FAILED || !brk_area->at || !anon->written || !brk_area->written)
		return false;
	for (unsigned int i = 0; i < SWEEP_PAGES / 2; i++)
		write_page(anon, i, i + 1);
	for (unsigned int i = 0; i < HEAP_PAGES; i++)
		write_page(brk_area, i, i + 1);
	return true;
}

int cmd_demo_target(int argc, char **argv)
{
	struct area anon, brk_area;
	pthread_t sweeper, heaper;
	uint32_t seed = 1;

	(void)argc;
	(void)argv;
	alarm(LIFE_SECONDS);
	prctl(PR_SET_NAME, "pagetap-demo");
	if (!set_up(&anon, &brk_area) || pthread_create(&sweeper, NULL, sweep, &anon) ||
	    pthread_create(&heaper, NULL, heap, &brk_area))
		return EXIT_RUNTIME;
	if (write(STDOUT_FILENO, "r", 1) != 1)
		return EXIT_RUNTIME;
	while (!input_ended())
		atomic_fetch_add(&wrong, dig(STACK_BYTES / PAGE, seed++));
	ending = true;
	pthread_join(sweeper, NULL);
	pthread_join(heaper, NULL);
	return wrong ? EXIT_RUNTIME : EXIT_OK;
}
