/* SPDX-License-Identifier: MIT */
/* Doubt: the list against a plain array of pages, and its bounds. */

#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "watch/doubt.h"

static struct range span(uint64_t lo, uint64_t hi)
{
	return (struct range){ lo, hi };
}

static void add(struct doubts *d, uint64_t lo, uint64_t hi, uint64_t since, uint64_t until)
{
	doubt_add(d, (struct doubt){ .r = { lo, hi }, .since = since, .until = until });
}

static void test_neighbours_join(void)
{
	static struct doubts d;
	struct range part;

	d.n = 0;
	add(&d, 10, 20, 5, 50);
	add(&d, 40, 50, 6, 60);
	CU_ASSERT_EQUAL(d.n, 2);
	add(&d, 20, 40, 7, 55);
	CU_ASSERT_EQUAL_FATAL(d.n, 1);
	CU_ASSERT_EQUAL(d.v[0].since, 5);
	CU_ASSERT_EQUAL(d.v[0].until, 60);
	CU_ASSERT_PTR_NOT_NULL(doubt_first(&d, span(0, 11), &part));
	CU_ASSERT_EQUAL(part.lo, 10);
	CU_ASSERT_EQUAL(part.hi, 11);
	CU_ASSERT_PTR_NULL(doubt_first(&d, span(50, 60), &part));
	CU_ASSERT_PTR_NULL(doubt_first(&d, span(0, 10), &part));
	add(&d, 70, 70, 1, 1);
	CU_ASSERT_EQUAL(d.n, 1);
}

static void test_scanned(void)
{
	static struct doubts d;

	d.n = 0;
	add(&d, 10, 20, 5, 50);
	add(&d, 30, 40, 5, 70);
	/* Begun before the second can be relied on. */
	doubt_scanned(&d, 60);
	CU_ASSERT_EQUAL_FATAL(d.n, 1);
	CU_ASSERT_EQUAL(d.v[0].r.lo, 30);
	CU_ASSERT_EQUAL(d.v[0].since, 60);
	doubt_scanned(&d, 71);
	CU_ASSERT_EQUAL(d.n, 0);
}

static void test_copied(void)
{
	static struct doubts d;
	struct range part;

	d.n = 0;
	add(&d, 10, 20, 5, 50);
	add(&d, 28, 40, 5, 50);
	doubt_copy(&d, span(15, 30), 115);
	CU_ASSERT_EQUAL(d.n, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(doubt_first(&d, span(100, 125), &part));
	CU_ASSERT_EQUAL(part.lo, 115);
	CU_ASSERT_EQUAL(part.hi, 120);
	CU_ASSERT_PTR_NOT_NULL_FATAL(doubt_first(&d, span(125, 200), &part));
	CU_ASSERT_EQUAL(part.lo, 128);
	CU_ASSERT_EQUAL(part.hi, 130);
}

/* Whatever is added stays in doubt, and the list stays in order and within its bounds. */
static void test_random(void)
{
	static struct doubts d;
	static bool in[4096];
	unsigned int seed = 11;
	struct range part;

	d.n = 0;
	memset(in, 0, sizeof(in));
	for (int i = 0; i < 3000; i++) {
		uint64_t lo = (uint64_t)rand_r(&seed) % 4090;
		uint64_t hi = lo + 1 + (uint64_t)rand_r(&seed) % 4;

		add(&d, lo, hi, 1, 2);
		memset(in + lo, true, hi - lo);
		CU_ASSERT_FATAL(d.n <= DOUBTS_MAX);
		for (unsigned int k = 1; k < d.n; k++)
			CU_ASSERT_FATAL(d.v[k - 1].r.hi < d.v[k].r.lo);
	}
	for (uint64_t p = 0; p < 4096; p++)
		if (in[p])
			CU_ASSERT_PTR_NOT_NULL(doubt_first(&d, span(p, p + 1), &part));
}

static const struct suite_test tests[] = {
	{ "neighbours join", test_neighbours_join },
	{ "scanned", test_scanned },
	{ "copied", test_copied },
	{ "random", test_random },
};

SUITE_MAIN("doubt", tests)
