/* SPDX-License-Identifier: MIT */
/*
 * Pulse: measures how long it was ever held up.  One thread each writes pages, maps
 * and unmaps, discards, moves, and forks (the last with -x), all in a circle; every
 * step is timed, and the longest of each thread is told at the end:
 *
 *	ok write=MS map=MS discard=MS move=MS fork=MS steps=N
 *
 * What they write they check when they come by again.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "target.h"

enum { WRITE, MAP, DISCARD, MOVE, FORK, KINDS };

static const char *const names[KINDS] = { "write", "map", "discard", "move", "fork" };

struct pulse {
	pthread_t thread;
	unsigned int kind;
	uint64_t longest;		/* ns, of one step */
	_Atomic uint64_t steps;
	uint64_t pages;
	uint64_t *memory;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static uint64_t *pages_new(uint64_t n)
{
	void *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return p;
}

/* Each page holds the number of the step that wrote it last. */
static void step_write(struct pulse *p, uint64_t n)
{
	volatile uint64_t *at = p->memory + n % p->pages * WORDS;

	if (*at != (n < p->pages ? 0 : n - p->pages + 1))
		die("page %" PRIu64 " holds %" PRIu64 " at step %" PRIu64, n % p->pages, *at, n);
	*at = n + 1;
}

static void step_map(struct pulse *p, uint64_t n)
{
	uint64_t *m = pages_new(4);

	(void)p;
	*(volatile uint64_t *)m = n;
	if (munmap(m, 4 * PAGE))
		die("munmap: %s", strerror(errno));
}

static void step_discard(struct pulse *p, uint64_t n)
{
	volatile uint64_t *at = p->memory + n % p->pages * WORDS;

	*at = n + 1;
	if (madvise((void *)at, PAGE, MADV_DONTNEED))
		die("madvise: %s", strerror(errno));
	if (*at)
		die("a discarded page holds %" PRIu64, *at);
}

static void step_move(struct pulse *p, uint64_t n)
{
	uint64_t *to = pages_new(p->pages);

	((volatile uint64_t *)p->memory)[n % p->pages * WORDS] = n + 1;
	to = mremap(p->memory, p->pages * PAGE, p->pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED)
		die("mremap: %s", strerror(errno));
	p->memory = to;
	if (((volatile uint64_t *)to)[n % p->pages * WORDS] != n + 1)
		die("a moved page is not what it was");
}

static void step_fork(struct pulse *p, uint64_t n)
{
	volatile uint64_t *at = p->memory + n % p->pages * WORDS;
	uint64_t before = *at;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		if (*at != before)
			_exit(1);
		*at = n + 7;
		_exit(*at == n + 7 ? 0 : 2);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("child: status %#x", status);
	if (*at != before)
		die("the child's write is in its parent");
	*at = n;
}

static void *run(void *arg)
{
	static void (*const step[KINDS])(struct pulse *, uint64_t) = {
		step_write, step_map, step_discard, step_move, step_fork,
	};
	struct pulse *p = arg;

	p->memory = pages_new(p->pages);
	while (!target_stopped) {
		uint64_t t0 = now(), took;

		step[p->kind](p, p->steps++);
		took = now() - t0;
		if (took > p->longest)
			p->longest = took;
		usleep(200);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct target t = { .pages = 64 };
	struct pulse pulses[KINDS] = { 0 };
	uint64_t steps = 0;
	unsigned int kinds;
	int counter;

	target_options(&t, argc, argv);
	counter = target_counter(&t);
	kinds = t.flag ? KINDS : FORK;
	target_ready(&t);
	for (unsigned int i = 0; i < kinds; i++) {
		pulses[i].kind = i;
		pulses[i].pages = t.pages;
		if (pthread_create(&pulses[i].thread, NULL, run, &pulses[i]))
			die("cannot start a thread");
	}
	while (!target_stopped) {
		target_count(counter, pulses[WRITE].steps);
		usleep(20000);
	}
	for (unsigned int i = 0; i < kinds; i++) {
		pthread_join(pulses[i].thread, NULL);
		steps += pulses[i].steps;
	}
	printf("ok");
	for (unsigned int i = 0; i < kinds; i++)
		printf(" %s=%" PRIu64, names[i], pulses[i].longest / 1000000);
	printf(" steps=%" PRIu64 "\n", steps);
	return 0;
}
