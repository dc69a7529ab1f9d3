/* SPDX-License-Identifier: MIT */
/*
 * Crowd: very many threads.
 *
 *	crowd [options] KIND
 *
 *	asleep	each has a page of its own, sleeps, writes, checks
 *	page	all write to words of one page, and check their own
 *	short	threads that live for a page's worth of work, -p of them a second, made
 *		by -t threads
 *
 * A sleep that ends early or with EINTR is an error: nobody sends signals here.
 */
#include <sys/mman.h>
#include <time.h>

#include "target.h"

#define STACK (64u << 10)
#define NAP_NS 50000000

struct crowd;

struct member {
	struct crowd *crowd;
	pthread_t thread;
	uint64_t state;
	unsigned int me;
	_Atomic uint64_t done;
};

struct crowd {
	struct target t;
	const char *kind;
	volatile uint64_t *memory;
	struct member *v;
	pthread_attr_t small;
};

static void nap(uint64_t ns)
{
	struct timespec t = {
		.tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000),
	};
	int r = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);

	if (r && !target_stopped)
		die("clock_nanosleep: %s", strerror(r));
}

static void *asleep(void *arg)
{
	struct member *m = arg;
	volatile uint64_t *page = m->crowd->memory + (size_t)m->me * WORDS;

	while (!target_stopped) {
		uint64_t version = draw(&m->state);

		for (unsigned int w = 0; w < WORDS; w += 64)
			page[w] = mix(version + w);
		nap(NAP_NS);
		for (unsigned int w = 0; w < WORDS; w += 64)
			if (page[w] != mix(version + w))
				die("the page of thread %u holds wrong data", m->me);
		m->done++;
	}
	return NULL;
}

static void *one_page(void *arg)
{
	struct member *m = arg;
	volatile uint64_t *word = m->crowd->memory + m->me % WORDS;

	while (!target_stopped) {
		uint64_t version = draw(&m->state);

		*word = version;
		sched_yield();
		if (*word != version)
			die("the word of thread %u was written by another one", m->me);
		m->done++;
	}
	return NULL;
}

static void *short_life(void *arg)
{
	uint64_t *key = arg, sum = 0;
	uint64_t block[64];

	for (unsigned int i = 0; i < 64; i++)
		block[i] = mix(*key + i);
	for (unsigned int i = 0; i < 64; i++)
		sum += block[i];
	*key = sum;
	return NULL;
}

/* Batches of four, and a nap that makes the rate what was asked for. */
static void *maker(void *arg)
{
	struct member *m = arg;
	uint64_t rate = m->crowd->t.pages / m->crowd->t.threads + 1;
	pthread_t thread[4];
	uint64_t key[4], first[4];

	while (!target_stopped) {
		for (unsigned int i = 0; i < 4; i++) {
			first[i] = key[i] = draw(&m->state);
			if (pthread_create(&thread[i], &m->crowd->small, short_life, &key[i]))
				die("pthread_create: %s", strerror(errno));
		}
		for (unsigned int i = 0; i < 4; i++) {
			uint64_t sum = 0;

			if (pthread_join(thread[i], NULL))
				die("pthread_join");
			for (unsigned int n = 0; n < 64; n++)
				sum += mix(first[i] + n);
			if (key[i] != sum)
				die("a thread computed another sum");
			m->done++;
		}
		nap(4 * UINT64_C(1000000000) / rate);
	}
	return NULL;
}

static uint64_t sum_done(const struct crowd *c)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < c->t.threads; i++)
		sum += c->v[i].done;
	return sum;
}

int main(int argc, char **argv)
{
	struct crowd c = { .t = { .seed = 1, .threads = 2000, .pages = 2000 } };
	void *(*run)(void *);
	int counter;

	target_options(&c.t, argc, argv);
	c.kind = optind < argc ? argv[optind] : "asleep";
	run = !strcmp(c.kind, "page") ? one_page : !strcmp(c.kind, "short") ? maker : asleep;
	counter = target_counter(&c.t);
	c.memory = mmap(NULL, ((size_t)c.t.threads + 1) * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	c.v = calloc(c.t.threads, sizeof(*c.v));
	if (c.memory == MAP_FAILED || !c.v)
		die("out of memory");
	if (pthread_attr_init(&c.small) || pthread_attr_setstacksize(&c.small, STACK))
		die("pthread_attr");
	for (unsigned int i = 0; i < c.t.threads; i++) {
		c.v[i] = (struct member){ .crowd = &c, .me = i, .state = mix(c.t.seed + i) };
		errno = pthread_create(&c.v[i].thread, &c.small, run, &c.v[i]);
		if (errno)
			die("pthread_create: %s", strerror(errno));
	}
	target_ready(&c.t);
	while (!target_stopped && (!c.t.work || sum_done(&c) < c.t.work)) {
		target_count(counter, sum_done(&c));
		nap(20000000);
	}
	target_stopped = 1;
	for (unsigned int i = 0; i < c.t.threads; i++)
		if (pthread_join(c.v[i].thread, NULL))
			die("pthread_join");
	printf("ok done=%" PRIu64 "\n", sum_done(&c));
	return 0;
}
