/* SPDX-License-Identifier: MIT */
/* Figures: what is said of the times of faults, and how wrong it may be. */

#include "restore/figures.h"
#include "suite.h"

static void test_empty(void)
{
	struct figures f = { 0 };

	CU_ASSERT_EQUAL(figures_quantile(&f, 500), 0);
	CU_ASSERT_EQUAL(figures_quantile(&f, 1000), 0);
}

/* Of any single time each quantile is that time, whatever the bucket's edge. */
static void test_one(void)
{
	for (uint64_t ns = 1; ns < UINT64_C(1) << 62; ns = ns * 3 / 2 + 1) {
		struct figures f = { 0 };

		figures_answered(&f, ns);
		CU_ASSERT_EQUAL(figures_get(&f.slowest), ns);
		CU_ASSERT(figures_quantile(&f, 990) <= ns);
		/* But for what is longer than an hour. */
		if (ns < UINT64_C(1) << 41)
			CU_ASSERT_EQUAL(figures_quantile(&f, 990), ns);
	}
}

/* At most an eighth too high, and never too low. */
static void test_error(void)
{
	for (uint64_t ns = 600; ns < UINT64_C(1) << 41; ns = ns * 21 / 20) {
		struct figures f = { 0 };
		uint64_t q;

		for (int i = 0; i < 99; i++)
			figures_answered(&f, ns);
		figures_answered(&f, ns * 2);
		q = figures_quantile(&f, 990);
		CU_ASSERT(q >= ns);
		CU_ASSERT(q <= ns + ns / 8 + 1);
		CU_ASSERT_EQUAL(figures_quantile(&f, 991), ns * 2);
	}
}

static void test_ranks(void)
{
	struct figures f = { 0 };

	for (uint64_t i = 1; i <= 1000; i++)
		figures_answered(&f, i * 1000);
	CU_ASSERT(figures_quantile(&f, 500) >= 500000);
	CU_ASSERT(figures_quantile(&f, 500) <= 562500);
	CU_ASSERT(figures_quantile(&f, 990) >= 990000);
	CU_ASSERT_EQUAL(figures_quantile(&f, 1000), 1000000);
	CU_ASSERT_EQUAL(figures_get(&f.slowest), 1000000);
}

/* It is one page of shared memory. */
static void test_size(void)
{
	CU_ASSERT(sizeof(struct figures) <= 4096);
}

static const struct suite_test tests[] = {
	{ "nothing answered", test_empty },
	{ "a single time", test_one },
	{ "an eighth too high at most", test_error },
	{ "a quantile is a rank", test_ranks },
	{ "one page", test_size },
};

SUITE_MAIN("figures", tests)
