/* SPDX-License-Identifier: MIT */
/* Gate: nobody inside while it is closed, and who closes it wakes up. */

#include "restore/gate.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "suite.h"

#define THREADS 3
#define ROUNDS 3000
#define LIMIT (10 * NSEC_PER_SEC)

static struct gate gate;
static _Atomic bool stop;
static _Atomic unsigned int entered, refused;
static volatile unsigned int inside_seen;	/* of the closer: nobody else writes */
static _Atomic unsigned int inside;

static void *copier(void *arg)
{
	bool slow = arg;

	while (!atomic_load(&stop)) {
		if (!gate_enter(&gate)) {
			atomic_fetch_add(&refused, 1);
			usleep(50);
			continue;
		}
		atomic_fetch_add(&inside, 1);
		/* Long enough now and then for the closer to sleep. */
		if (atomic_fetch_add(&entered, 1) % 64 == 0 && slow)
			usleep(300);
		atomic_fetch_sub(&inside, 1);
		gate_leave(&gate);
	}
	return NULL;
}

/* Enough of it, and both have happened; or it takes too long. */
static bool is_done(int rounds, uint64_t since)
{
	return (rounds >= ROUNDS && entered && refused) || clock_now() > since + LIMIT;
}

static void test_exclusion(void)
{
	uint64_t since = clock_now();
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, copier,
						     i ? &gate : NULL), 0);
	for (int i = 0; !is_done(i, since); i++) {
		gate_close(&gate);
		inside_seen += atomic_load(&inside);
		if (i % 100 == 0)
			usleep(100);
		inside_seen += atomic_load(&inside);
		gate_open(&gate);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(inside_seen, 0);
	CU_ASSERT(entered > 0);
	CU_ASSERT(refused > 0);
	CU_ASSERT_EQUAL(gate.inside, 0);
}

static void test_alone(void)
{
	struct gate g = { 0 };

	CU_ASSERT(gate_enter(&g));
	CU_ASSERT(gate_enter(&g));
	gate_leave(&g);
	gate_leave(&g);
	gate_close(&g);
	CU_ASSERT(!gate_enter(&g));
	gate_open(&g);
	CU_ASSERT(gate_enter(&g));
	gate_leave(&g);
}

static const struct suite_test tests[] = {
	{ "one after the other", test_alone },
	{ "nobody inside while it is closed", test_exclusion },
};

SUITE_MAIN("gate", tests)
