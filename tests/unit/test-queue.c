/* SPDX-License-Identifier: MIT */
/*
 * Queue: nothing is lost in silence, nothing is left behind with a sleeper.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "starve.h"
#include "suite.h"
#include "trace/queue.h"

static struct record fault(uint64_t n)
{
	return (struct record){ .kind = RECORD_FAULT, .ts = n, .addr = n * 3, .npages = 1 };
}

static struct record layout(uint64_t n)
{
	return (struct record){
		.kind = RECORD_VMA, .ts = n, .text = record_text_new("name", 4, NULL, 0),
	};
}

static void test_refusals(void)
{
	struct queue *q = NULL;

	CU_ASSERT_EQUAL(queue_new(&q, 0), -EINVAL);
	CU_ASSERT_EQUAL(queue_new(&q, 32), -EINVAL);
	CU_ASSERT_EQUAL(queue_new(&q, 100), -EINVAL);
	for (long n = 1;; n++) {
		int r;

		starve_after(n);
		r = queue_new(&q, 64);
		if (!starve_hit())
			break;
		CU_ASSERT_EQUAL(r, -ENOMEM);
	}
	CU_ASSERT_PTR_NULL(queue_free(q));
	CU_ASSERT_PTR_NULL(queue_free(NULL));
}

static void test_order(void)
{
	struct queue *q;
	struct record r;

	CU_ASSERT_EQUAL_FATAL(queue_new(&q, 64), 0);
	for (uint64_t round = 0; round < 100; round++) {
		for (uint64_t i = 0; i < 40; i++) {
			r = fault(round * 40 + i);
			CU_ASSERT(queue_push(q, &r));
		}
		for (uint64_t i = 0; i < 40; i++) {
			CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
			CU_ASSERT_EQUAL(r.ts, round * 40 + i);
			CU_ASSERT_EQUAL(r.addr, r.ts * 3);
		}
		CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 0);
	}
	CU_ASSERT_EQUAL(queue_dropped(q, NULL), 0);
	queue_free(q);
}

/* Full for faults is not full for what says where the faults are. */
static void test_reserve(void)
{
	uint64_t faults = 0, others = 0, dropped;
	struct queue *q;
	struct record r;

	CU_ASSERT_EQUAL_FATAL(queue_new(&q, 64), 0);
	while (r = fault(faults), queue_push(q, &r))
		faults++;
	CU_ASSERT_EQUAL(faults, 64 - 1 - 8);
	while (r = layout(others), queue_push(q, &r)) {
		CU_ASSERT_PTR_NULL(r.text);
		others++;
	}
	/* One slot of the reserve told of the fault that was dropped. */
	CU_ASSERT_EQUAL(others, 8 - 1 - 4);
	CU_ASSERT_PTR_NULL(r.text);
	CU_ASSERT_EQUAL(queue_dropped(q, &dropped), 2);
	CU_ASSERT_EQUAL(dropped, 1);
	queue_free(q);	/* with text inside: a leak checker watches */
}

static void test_lost_is_told(void)
{
	struct queue *q;
	struct record r;
	uint64_t n = 0, faults;

	CU_ASSERT_EQUAL_FATAL(queue_new(&q, 64), 0);
	while (r = fault(n), queue_push(q, &r))
		n++;
	for (uint64_t i = 0; i < 4; i++) {
		r = fault(1000 + i);
		CU_ASSERT(!queue_push(q, &r));
	}
	CU_ASSERT_EQUAL(queue_dropped(q, &faults), 5);
	CU_ASSERT_EQUAL(faults, 5);
	/* One free slot cannot hold both the account and the record. */
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
	r = fault(2000);
	CU_ASSERT(!queue_push(q, &r));
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
	r = fault(3000);
	CU_ASSERT(queue_push(q, &r));
	for (uint64_t i = 3; i < n; i++) {
		CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
		CU_ASSERT_EQUAL(r.ts, i);
	}
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
	CU_ASSERT_EQUAL(r.kind, RECORD_LOST);
	CU_ASSERT_EQUAL(r.lost.reason, LOST_RING);
	CU_ASSERT_EQUAL(r.lost.n, 6);
	CU_ASSERT_EQUAL(r.lost.faults, 6);
	CU_ASSERT_EQUAL(r.ts, 3000);
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
	CU_ASSERT_EQUAL(r.ts, 3000);
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 0);
	queue_free(q);
}

static struct record many(uint64_t ts, size_t n)
{
	struct record r = { .kind = RECORD_DIRTY, .ts = ts };
	struct record_run *runs;

	r.text = record_runs_new(n, &runs);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.text);
	for (size_t i = 0; i < n; i++)
		runs[i] = (struct record_run){ .addr = i * 8192, .npages = 1 };
	return r;
}

/* One slot, and as many lines as it stands for: that many bound what is inside. */
static void test_many_in_one(void)
{
	uint32_t room;
	struct queue *q;
	struct record r;

	CU_ASSERT_EQUAL_FATAL(queue_new(&q, 64), 0);
	room = queue_room(q);
	CU_ASSERT_EQUAL(room, 64 - 1 - 8 - 1);
	r = many(1, room + 1);
	CU_ASSERT(!queue_push(q, &r));
	CU_ASSERT_PTR_NULL(r.text);
	CU_ASSERT_EQUAL(queue_dropped(q, NULL), room + 1);
	r = many(2, 20);
	CU_ASSERT(queue_push(q, &r));
	/* What was lost before has taken a line. */
	CU_ASSERT_EQUAL(queue_room(q), room - 21);
	CU_ASSERT(queue_roomy(q));
	r = many(3, queue_room(q));
	CU_ASSERT(queue_push(q, &r));
	CU_ASSERT(!queue_roomy(q));
	CU_ASSERT_EQUAL(queue_room(q), 0);
	/* Others have their slots all the same. */
	for (uint64_t i = 0; i < 40; i++) {
		r = fault(i);
		CU_ASSERT(queue_push(q, &r));
	}
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
	CU_ASSERT_EQUAL(r.kind, RECORD_LOST);
	CU_ASSERT_EQUAL(r.lost.n, room + 1);
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
	CU_ASSERT_EQUAL(record_lines(&r), 20);
	CU_ASSERT_EQUAL(record_line(&r, 19).addr, 19 * 8192);
	CU_ASSERT_PTR_NULL(record_line(&r, 19).text);
	record_release(&r);
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), 1);
	record_release(&r);
	CU_ASSERT(queue_room(q) > 0);
	queue_free(q);	/* with faults inside */
}

static void test_close(void)
{
	struct queue *q;
	struct record r;
	uint64_t n = 0;

	CU_ASSERT_EQUAL_FATAL(queue_new(&q, 64), 0);
	while (r = layout(n), queue_push(q, &r))
		n++;
	queue_close(q);
	for (uint64_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(queue_pop(q, &r, -1), 1);
		CU_ASSERT_EQUAL(r.ts, i);
		record_release(&r);
	}
	/* Nothing came after what was dropped last: it is told all the same. */
	CU_ASSERT_EQUAL(queue_pop(q, &r, -1), 1);
	CU_ASSERT_EQUAL(r.kind, RECORD_LOST);
	CU_ASSERT_EQUAL(r.lost.n, 1);
	CU_ASSERT_EQUAL(r.lost.faults, 0);
	CU_ASSERT_EQUAL(r.ts, n);
	CU_ASSERT_EQUAL(queue_pop(q, &r, -1), -EPIPE);
	CU_ASSERT_EQUAL(queue_pop(q, &r, 0), -EPIPE);
	queue_free(q);
}

static void test_timeout(void)
{
	uint64_t before = clock_now(), spent;
	struct queue *q;
	struct record r;

	CU_ASSERT_EQUAL_FATAL(queue_new(&q, 64), 0);
	CU_ASSERT_EQUAL(queue_pop(q, &r, 30), 0);
	queue_doze(q, 30);
	spent = clock_now() - before;
	CU_ASSERT(spent >= 58 * NSEC_PER_MSEC);
	CU_ASSERT(spent < 10 * NSEC_PER_SEC);
	queue_close(q);
	queue_doze(q, 100000);
	queue_free(q);
}

/*
 * A record at a time between two threads: a sleep to the end is a wake-up that was lost.
 * The producer spins, so that it meets the consumer at every point of its falling asleep.
 */

#define ROUNDS 60000

struct ping {
	struct queue *q;
	_Atomic uint64_t taken;
	_Atomic unsigned int late;
};

static void *ping_consumer(void *arg)
{
	struct ping *p = arg;
	uint64_t before = clock_now();
	struct record r;

	/* A time-out looks once more, so it is the time that tells. */
	while (queue_pop(p->q, &r, 5000) >= 0) {
		p->late += clock_now() - before > 4 * NSEC_PER_SEC;
		p->taken++;
		before = clock_now();
	}
	return NULL;
}

static void test_no_lost_wakeup(void)
{
	struct ping p = { .late = 0 };
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(queue_new(&p.q, 64), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, ping_consumer, &p), 0);
	for (uint64_t i = 0; i < ROUNDS && !p.late; i++) {
		struct record r = fault(i);

		for (uint64_t spin = i * 7919 % 6007; spin--;)
			__asm__ volatile("" ::: "memory");
		CU_ASSERT(queue_push(p.q, &r));
		queue_kick(p.q);
		for (uint64_t spin = 1; p.taken <= i; spin++)
			if (spin % 20000 == 0)
				sched_yield();
	}
	queue_close(p.q);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(p.late, 0);
	queue_free(p.q);
}

/* Two threads at full speed, now the one, now the other faster: every record arrives
 * in order or is told to be lost, and what it points to arrives with it. */

#define MANY 600000

struct storm {
	struct queue *q;
	uint64_t arrived, lost, lost_faults, out_of_order, wrong_text;
	bool dozes;
};

static void storm_take(struct storm *s, struct record *r, uint64_t *last)
{
	if (r->kind == RECORD_LOST) {
		s->lost += (uint64_t)r->lost.n;
		s->lost_faults += (uint64_t)r->lost.faults;
		return;
	}
	s->out_of_order += r->ts <= *last;
	*last = r->ts;
	s->arrived++;
	if (r->kind == RECORD_VMA)
		s->wrong_text += !r->text || memcmp(r->text->bytes, "name", 4);
	record_release(r);
}

static void *storm_consumer(void *arg)
{
	struct storm *s = arg;
	uint64_t last = 0, turns = 0;
	struct record r;
	int got;

	while ((got = queue_pop(s->q, &r, turns % 3 ? 0 : 5)) >= 0) {
		if (got)
			storm_take(s, &r, &last);
		else if (s->dozes && turns % 5 == 0)
			queue_doze(s->q, 1);
		else
			sched_yield();
		if (++turns % 10000 == 0)
			usleep(1000);
	}
	return NULL;
}

static void storm(bool dozes)
{
	struct storm s = { .dozes = dozes };
	uint64_t refused = 0, dropped_faults;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(queue_new(&s.q, 1024), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, storm_consumer, &s), 0);
	for (uint64_t i = 1; i <= MANY; i++) {
		struct record r = i % 16 ? fault(i) : layout(i);

		refused += !queue_push(s.q, &r);
		if (i % 8 == 0)
			queue_kick(s.q);
		if (i % 50000 == 0)
			usleep(2000);
	}
	CU_ASSERT_EQUAL(queue_dropped(s.q, &dropped_faults), refused);
	queue_close(s.q);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(s.arrived + s.lost, MANY);
	CU_ASSERT_EQUAL(s.lost, refused);
	CU_ASSERT_EQUAL(s.lost_faults, dropped_faults);
	CU_ASSERT_EQUAL(s.out_of_order, 0);
	CU_ASSERT_EQUAL(s.wrong_text, 0);
	CU_ASSERT(s.arrived > 0);
	queue_free(s.q);
}

static void test_storm(void)
{
	storm(false);
	storm(true);
}

/* A quarter of the ring wakes who dozes, without anybody's asking for it. */
static void *doze_consumer(void *arg)
{
	queue_doze(arg, 60000);
	return NULL;
}

static void test_doze(void)
{
	uint64_t before = clock_now();
	struct queue *q;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(queue_new(&q, 64), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, doze_consumer, q), 0);
	for (uint64_t i = 0; i < 20; i++) {
		struct record r = fault(i);

		usleep(500);
		queue_push(q, &r);
		queue_kick(q);
	}
	pthread_join(thread, NULL);
	CU_ASSERT(clock_now() - before < 30 * NSEC_PER_SEC);
	queue_free(q);
}

static const struct suite_test tests[] = {
	{ "sizes and memory refused", test_refusals },
	{ "order", test_order },
	{ "the reserve", test_reserve },
	{ "what is dropped is told", test_lost_is_told },
	{ "many lines in one slot", test_many_in_one },
	{ "close", test_close },
	{ "time-outs", test_timeout },
	{ "no lost wake-up", test_no_lost_wakeup },
	{ "two threads at full speed", test_storm },
	{ "dozing", test_doze },
};

SUITE_MAIN("queue", tests)
