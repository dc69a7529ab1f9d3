/* SPDX-License-Identifier: MIT */
/*
 * Cover: against a naive array of pages, the cost of what is huge, out of memory.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "starve.h"
#include "suite.h"
#include "watch/cover.h"

#define PAGE UINT64_C(4096)
#define N 4000u			/* pages of the model: eight chunks and a bit */
#define BASE (UINT64_C(0x7f0000000000) / PAGE + 300)	/* not on a chunk border */

static unsigned char model[N];	/* 0 unclaimed, 1 spent, 2 armed */

static struct range span(unsigned int lo, unsigned int hi)
{
	return (struct range){ (BASE + lo) * PAGE, (BASE + hi) * PAGE };
}

static unsigned int count(unsigned int lo, unsigned int hi, int at_least)
{
	unsigned int n = 0;

	for (unsigned int i = lo; i < hi; i++)
		n += model[i] >= at_least;
	return n;
}

static bool naive_next(unsigned int lo, unsigned int hi, int what, struct range *ret)
{
	unsigned int i = lo, j;

	while (i < hi && model[i] != what)
		i++;
	if (i == hi)
		return false;
	for (j = i; j < hi && model[j] == what; j++)
		;
	*ret = span(i, j);
	return true;
}

/* The largest aligned block in [lo, hi) that is armed, around each of some pages. */
static void compare_blocks(const struct cover *c, unsigned int lo, unsigned int hi)
{
	for (unsigned int i = lo; i < hi && i < lo + 40; i++) {
		struct range want = span(i, i + 1), got;

		for (unsigned int n = 2; n <= 64; n *= 2) {
			uint64_t first = (BASE + i) / n * n;
			unsigned int at = (unsigned int)(first - BASE);

			if (first < BASE + lo || first + n > BASE + hi || count(at, at + n, 2) != n)
				break;
			want = span(at, at + n);
		}
		got = cover_block(c, span(lo, hi), (BASE + i) * PAGE + 77, 64);
		CU_ASSERT_EQUAL_FATAL(got.lo, want.lo);
		CU_ASSERT_EQUAL_FATAL(got.hi, want.hi);
	}
}

static void compare(const struct cover *c, unsigned int lo, unsigned int hi)
{
	bool (*const next[])(const struct cover *, struct range, struct range *) = {
		cover_next_unclaimed, cover_next_spent, cover_next_armed,
	};

	CU_ASSERT_EQUAL_FATAL(c->armed, count(0, N, 2));
	CU_ASSERT_EQUAL_FATAL(c->claimed, count(0, N, 1));
	CU_ASSERT_EQUAL_FATAL(cover_armed_any(c, span(lo, hi)), count(lo, hi, 2) > 0);
	compare_blocks(c, lo, hi);
	if (hi > lo)
		CU_ASSERT_EQUAL_FATAL(cover_armed_all(c, span(lo, hi)),
				      count(lo, hi, 2) == hi - lo);
	for (int what = 0; what < 3; what++) {
		struct range want = { 0, 0 }, got = { 0, 0 };
		bool there = naive_next(lo, hi, what, &want);

		CU_ASSERT_EQUAL_FATAL(next[what](c, span(lo, hi), &got), there);
		if (there) {
			CU_ASSERT_EQUAL_FATAL(got.lo, want.lo);
			CU_ASSERT_EQUAL_FATAL(got.hi, want.hi);
		}
	}
}

static void move(struct cover *c, unsigned int lo, unsigned int hi, unsigned int to)
{
	unsigned char moved[N];

	memcpy(moved, model + lo, hi - lo);
	CU_ASSERT_EQUAL_FATAL(cover_move(c, span(lo, hi), span(to, to).lo), 0);
	memset(model + lo, 0, hi - lo);
	memcpy(model + to, moved, hi - lo);
}

static void step(struct cover *c, unsigned int *seed)
{
	unsigned int lo = (unsigned int)rand_r(seed) % N;
	unsigned int hi = lo + (unsigned int)rand_r(seed) % (rand_r(seed) % 4 ? 20 : 1500);

	if (hi > N)
		hi = N;
	switch (rand_r(seed) % 8) {
	case 0: case 1:
		CU_ASSERT_EQUAL_FATAL(cover_arm(c, span(lo, hi)), 0);
		memset(model + lo, 2, hi - lo);
		break;
	case 2: case 3: case 4:
		CU_ASSERT_EQUAL_FATAL(cover_take(c, span(lo, hi)), count(lo, hi, 2));
		for (unsigned int i = lo; i < hi; i++)
			model[i] = model[i] ? 1 : 0;
		break;
	case 5:
		CU_ASSERT_EQUAL_FATAL(cover_drop(c, span(lo, hi)), count(lo, hi, 2));
		memset(model + lo, 0, hi - lo);
		break;
	case 6:
		if (hi <= N / 2)
			move(c, lo, hi, lo + N / 2);
		else if (lo >= N / 2)
			move(c, lo, hi, lo - N / 2);
		break;
	}
	compare(c, lo, hi);
}

static void test_model(void)
{
	for (unsigned int seed = 1; seed <= 20; seed++) {
		unsigned int s = seed;
		struct cover c;

		memset(model, 0, sizeof(model));
		cover_init(&c, PAGE);
		for (int i = 0; i < 3000; i++)
			step(&c, &s);
		compare(&c, 0, N);
		cover_done(&c);
		CU_ASSERT_EQUAL(c.claimed, 0);
	}
}

static void test_clone(void)
{
	struct cover c, twin;
	unsigned int seed = 99;

	memset(model, 0, sizeof(model));
	cover_init(&c, PAGE);
	for (int i = 0; i < 500; i++)
		step(&c, &seed);
	CU_ASSERT_EQUAL_FATAL(cover_clone(&twin, &c), 0);
	compare(&twin, 0, N);
	cover_drop(&c, span(0, N));
	compare(&twin, 0, N);
	cover_done(&c);
	cover_done(&twin);
}

/* A fork checks all addresses, and a JVM reserves a terabyte: neither may cost. */
static void test_huge_ranges(void)
{
	struct range all = { 0, UINT64_MAX & ~(PAGE - 1) }, run;
	uint64_t t0 = clock_now();
	struct cover c;

	cover_init(&c, PAGE);
	CU_ASSERT(!cover_next_armed(&c, all, &run));
	CU_ASSERT(cover_next_unclaimed(&c, all, &run));
	CU_ASSERT_EQUAL(run.hi, all.hi);
	CU_ASSERT_EQUAL_FATAL(cover_arm(&c, span(10, 11)), 0);
	CU_ASSERT(cover_next_armed(&c, all, &run));
	CU_ASSERT_EQUAL(run.lo, span(10, 11).lo);
	CU_ASSERT_EQUAL(run.hi, span(10, 11).hi);
	CU_ASSERT_EQUAL(cover_drop(&c, all), 1);
	CU_ASSERT(clock_now() - t0 < NSEC_PER_SEC);
	cover_done(&c);
}

static void test_gibibyte(void)
{
	struct range gib = { UINT64_C(1) << 40, (UINT64_C(1) << 40) + (UINT64_C(1) << 30) };
	struct cover c;
	uint64_t t0 = clock_now(), t1;

	cover_init(&c, PAGE);
	CU_ASSERT_EQUAL(cover_arm(&c, gib), 0);
	t1 = clock_now();
	CU_ASSERT_EQUAL(c.armed, 262144);
	for (uint64_t a = gib.lo; a < gib.hi; a += PAGE)
		CU_ASSERT_FATAL(cover_take(&c, (struct range){ a, a + PAGE }) == 1);
	printf("arm 1 GiB %.1f ms, take %.0f ns/page ", (double)(t1 - t0) / 1e6,
	       (double)(clock_now() - t1) / 262144);
	CU_ASSERT_EQUAL(c.armed, 0);
	CU_ASSERT_EQUAL(c.claimed, 262144);
	cover_done(&c);
}

/* Arming that fails has changed nothing; the fault path needs no memory at all. */
static void test_starved(void)
{
	struct cover c, twin;
	long n;
	int r;

	memset(model, 0, sizeof(model));
	cover_init(&c, PAGE);
	CU_ASSERT_EQUAL_FATAL(cover_arm(&c, span(300, 700)), 0);
	memset(model + 300, 2, 400);
	for (n = 1; starve_after(n), r = cover_arm(&c, span(0, N)), starve_hit(); n++) {
		CU_ASSERT_EQUAL(r, -ENOMEM);
		compare(&c, 0, N);
	}
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT(n > 1);
	memset(model, 2, N);
	compare(&c, 0, N);
	for (n = 1; starve_after(n), r = cover_clone(&twin, &c), starve_hit(); n++) {
		CU_ASSERT_EQUAL(r, -ENOMEM);
		CU_ASSERT_EQUAL(twin.claimed, 0);
	}
	CU_ASSERT_EQUAL(r, 0);
	compare(&twin, 0, N);
	cover_done(&twin);
	starve_after(1);
	CU_ASSERT_EQUAL(cover_take(&c, span(1, 3000)), 2999);
	CU_ASSERT_EQUAL(cover_drop(&c, span(2000, N)), 1000);
	CU_ASSERT(!starve_hit());
	cover_done(&c);
}

/* A move that fails promises less than before, never more. */
static void test_starved_move(void)
{
	struct cover c;
	uint64_t before;
	long n;
	int r;

	for (n = 1;; n++) {
		bool hit;

		cover_init(&c, PAGE);
		CU_ASSERT_EQUAL_FATAL(cover_arm(&c, span(0, 1500)), 0);
		cover_take(&c, span(100, 900));
		before = c.armed;
		starve_after(n);
		r = cover_move(&c, span(0, 1500), span(2000, 2000).lo);
		hit = starve_hit();
		CU_ASSERT_EQUAL(r, hit ? -ENOMEM : 0);
		CU_ASSERT(!cover_armed_any(&c, span(0, 2000)));
		CU_ASSERT(!cover_armed_any(&c, span(2100, 2900)));
		CU_ASSERT(hit ? c.armed <= before : c.armed == before);
		cover_done(&c);
		if (!hit)
			break;
	}
	CU_ASSERT(n > 1);
}

static const struct suite_test tests[] = {
	{ "against a naive model", test_model },
	{ "clone", test_clone },
	{ "huge ranges cost nothing", test_huge_ranges },
	{ "without memory", test_starved },
	{ "a move without memory", test_starved_move },
	{ "a gibibyte", test_gibibyte },
};

SUITE_MAIN("cover", tests)
