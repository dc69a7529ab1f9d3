/* SPDX-License-Identifier: MIT */
/* Budget: the share is kept, whatever the target does, and nothing is held back for less. */

#include "suite.h"
#include "watch/budget.h"
#include "watch/price.h"

#define SECOND UINT64_C(1000000000)
#define WRITE_NS 1000

/* A target that runs all the time, and writes. */
struct target {
	uint64_t hot;		/* pages that it writes again and again, at once */
	uint64_t fresh;		/* pages that it writes for the first time in a second */
	double runs;		/* part of the time */
	uint64_t scan_ns;	/* of a pass that looks at everything; cold: a tenth of it */
	uint64_t other_faults;	/* in a second */
};

struct life {
	struct budget b;
	uint64_t now, rested, wall, taken_ns, ran_ns, passes, rests, changes, longest;
};

static struct budget_sample spend(struct life *l, const struct target *t, uint64_t wall, bool cold)
{
	struct budget_sample s = { .wall = wall };

	s.ran = (uint64_t)((double)wall * t->runs);
	s.scanned = cold ? t->scan_ns / 10 : t->scan_ns;
	s.writes = t->hot + (uint64_t)((double)t->fresh * (double)wall / 1e9);
	s.faults = s.writes + (uint64_t)((double)t->other_faults * (double)wall / 1e9);
	l->ran_ns += s.ran;
	l->taken_ns += s.writes * WRITE_NS + (uint64_t)((double)s.scanned * t->runs);
	return s;
}

static void rest(struct life *l, const struct target *t)
{
	enum budget_verdict v = BUDGET_KEEP;

	CU_ASSERT(l->b.resting);
	l->rests++;
	while (v != BUDGET_RESUME && l->now < 10000 * SECOND) {
		struct budget_sample s = { .wall = SECOND / 20 };

		s.ran = (uint64_t)((double)s.wall * t->runs);
		v = budget_look(&l->b, &s);
		CU_ASSERT(v == BUDGET_KEEP || v == BUDGET_RESUME);
		l->now += s.wall;
		l->ran_ns += s.ran;
		l->rested += s.wall;
	}
	CU_ASSERT(!l->b.resting);
}

/* The pass comes when it is due, or when a look hastens it. */
static void epoch(struct life *l, const struct target *t)
{
	uint64_t due = budget_epoch(&l->b), at = 0;
	enum budget_verdict v = BUDGET_KEEP;
	struct budget_sample s;
	struct life not_yet;

	while (at < due && v != BUDGET_HASTEN) {
		at += SECOND / 20;
		at = at > due ? due : at;
		not_yet = *l;
		s = spend(&not_yet, t, at, false);
		s.writes = 0;
		v = budget_look(&l->b, &s);
	}
	s = spend(l, t, at, ++l->passes % budget_cold_every(&l->b));
	l->now += at;
	l->longest = at > l->longest ? at : l->longest;
	v = budget_pass(&l->b, &s);
	l->changes += v != BUDGET_KEEP;
	if (v == BUDGET_REST)
		rest(l, t);
}

static double live(struct life *l, const struct target *t, uint64_t seconds)
{
	uint64_t end = l->now + seconds * SECOND;

	l->rested = l->ran_ns = l->taken_ns = l->passes = l->rests = l->changes = l->longest = 0;
	while (l->now < end)
		epoch(l, t);
	return (double)l->taken_ns / (double)(l->ran_ns - l->taken_ns);
}

static void begin(struct life *l, uint64_t ppm)
{
	*l = (struct life){ .now = 1 };
	budget_init(&l->b, ppm, WRITE_NS, SECOND);
}

static void test_little_is_left_alone(void)
{
	const struct target t = { .hot = 1000, .fresh = 500, .runs = 1, .scan_ns = 100000 };
	struct life l;

	begin(&l, 50000);
	CU_ASSERT(live(&l, &t, 100) < 0.01);
	CU_ASSERT_EQUAL(l.changes, 0);
	CU_ASSERT_EQUAL(l.passes, 100);
	CU_ASSERT_EQUAL(budget_epoch(&l.b), SECOND);
	CU_ASSERT_EQUAL(budget_cold_every(&l.b), 1);
}

/* 200 ms of faults an epoch: at 5 per cent an epoch of four seconds or more. */
static void test_epochs_stretch(void)
{
	struct target t = { .hot = 200000, .runs = 1, .scan_ns = 3000000 };
	struct life l;

	begin(&l, 50000);
	CU_ASSERT(live(&l, &t, 200) <= 0.052);
	CU_ASSERT_EQUAL(l.rests, 0);
	CU_ASSERT(l.longest >= 4 * SECOND && l.longest <= 8 * SECOND);
	/* No back and forth. */
	CU_ASSERT(l.changes <= 3);
	live(&l, &t, 200);
	CU_ASSERT_EQUAL(l.changes, 0);
	/* It calms down: back to the user's, in steps. */
	t.hot = 100;
	live(&l, &t, 100);
	CU_ASSERT_EQUAL(budget_epoch(&l.b), SECOND);
	/* Two threads that run may pay twice as much. */
	t = (struct target){ .hot = 200000, .runs = 2 };
	CU_ASSERT(live(&l, &t, 200) <= 0.052);
	CU_ASSERT(l.longest < 5 * SECOND);
}

/* Ever new memory: no epoch is long enough, so nothing is watched most of the time. */
static void test_rests(void)
{
	const struct target t = { .fresh = 500000, .runs = 1, .scan_ns = 3000000 };
	struct life l;
	double slow;

	begin(&l, 50000);
	slow = live(&l, &t, 300);
	CU_ASSERT(slow <= 0.055 && slow > 0.03);
	CU_ASSERT(l.rests >= 3);
	CU_ASSERT(l.rested < 300 * SECOND);
	/* Without a budget it is as it is. */
	begin(&l, 0);
	CU_ASSERT(live(&l, &t, 20) > 0.9);
	CU_ASSERT_EQUAL(l.rests + l.changes, 0);
	CU_ASSERT_EQUAL(budget_slowdown(l.b.ran, l.b.taken) / 10000, 101);
}

/* The horizon grows with the user's epoch; a short one has two seconds. */
static void test_horizon(void)
{
	struct budget b;

	budget_init(&b, 50000, WRITE_NS, SECOND / 100);
	CU_ASSERT_EQUAL(b.horizon_ns, 2 * SECOND);
	budget_init(&b, 50000, WRITE_NS, 4 * SECOND);
	CU_ASSERT_EQUAL(b.horizon_ns, 40 * SECOND);
}

/* Many faults that are no first writes: one look for nothing, and then it is known. */
static void test_other_faults(void)
{
	const struct target t = { .hot = 10, .other_faults = 3000000, .runs = 1 };
	struct life l;

	begin(&l, 50000);
	live(&l, &t, 60);
	CU_ASSERT_EQUAL(l.rests, 0);
	CU_ASSERT(l.passes <= 62);
}

/* Much memory, little written: the passes are what costs. */
static void test_cold(void)
{
	struct target t = { .hot = 100, .runs = 1, .scan_ns = 40000000 };
	struct life l;

	begin(&l, 50000);
	CU_ASSERT(live(&l, &t, 200) < 0.03);
	CU_ASSERT(budget_cold_every(&l.b) > 1 && budget_cold_every(&l.b) <= 64);
	CU_ASSERT_EQUAL(l.rests, 0);
	live(&l, &t, 200);
	CU_ASSERT_EQUAL(l.changes, 0);
	t.scan_ns = 100000;
	live(&l, &t, 1000);
	CU_ASSERT_EQUAL(budget_cold_every(&l.b), 1);
}

/* One that sleeps runs a hundredth at least; and it may wake up. */
static void test_sleepers(void)
{
	struct target t = { .hot = 20, .runs = 0, .scan_ns = 1000 };
	struct life l;

	begin(&l, 50000);
	live(&l, &t, 100);
	CU_ASSERT_EQUAL(l.changes, 0);
	t = (struct target){ .hot = 20000, .runs = 1, .scan_ns = 300000 };
	CU_ASSERT(live(&l, &t, 100) < 0.05);
	CU_ASSERT_EQUAL(l.rests, 0);
}

/* Most of it is waiting: that ends first, and then nothing is left to rest from. */
static void test_release(void)
{
	struct budget_sample s = { .wall = SECOND, .ran = SECOND / 2, .waited = SECOND / 2 };
	struct budget b;

	budget_init(&b, 50000, WRITE_NS, SECOND);
	CU_ASSERT_EQUAL(budget_pass(&b, &s), BUDGET_CHANGE);
	CU_ASSERT_EQUAL(b.slowdown_ppm, 1000000);
	CU_ASSERT_EQUAL(budget_look(&b, &s), BUDGET_HASTEN);
	CU_ASSERT_EQUAL(budget_pass(&b, &s), BUDGET_RELEASE);
	CU_ASSERT(!b.resting);
	s = (struct budget_sample){ .wall = SECOND, .ran = SECOND, .writes = 10 };
	CU_ASSERT_NOT_EQUAL(budget_pass(&b, &s), BUDGET_RELEASE);
	/* Waiting is the lesser part: then it is the other that rests. */
	budget_init(&b, 50000, WRITE_NS, SECOND);
	s = (struct budget_sample){
		.wall = SECOND, .ran = SECOND, .writes = 900000, .waited = SECOND / 10,
	};
	CU_ASSERT_EQUAL(budget_pass(&b, &s), BUDGET_REST);
}

static void test_slowdown(void)
{
	CU_ASSERT_EQUAL(budget_slowdown(1e9, 0), 0);
	CU_ASSERT_EQUAL(budget_slowdown(0, 0), 0);
	CU_ASSERT_EQUAL(budget_slowdown(1.05e9, 0.05e9), 50000);
	/* A clock that lags behind does not make it endless. */
	CU_ASSERT(budget_slowdown(1e6, 2e6) <= UINT64_C(200000000));
	CU_ASSERT(budget_slowdown(0, 1) > 0);
}

static void test_price(void)
{
	uint64_t ns = price_first_write();

	CU_ASSERT(ns >= 50 && ns < 1000000);
}

static const struct suite_test tests[] = {
	{ "what costs little is left alone", test_little_is_left_alone },
	{ "epochs stretch, and shrink", test_epochs_stretch },
	{ "rests", test_rests },
	{ "horizon", test_horizon },
	{ "faults that are no first writes", test_other_faults },
	{ "what is cold", test_cold },
	{ "sleepers", test_sleepers },
	{ "waiting ends first", test_release },
	{ "slowdown", test_slowdown },
	{ "price of a first write", test_price },
};

SUITE_MAIN("budget", tests)
