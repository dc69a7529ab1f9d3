/* SPDX-License-Identifier: MIT */
/* Latency: quantiles against a sorted array, within the promised error. */

#include <string.h>

#include "suite.h"
#include "watch/latency.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_empty(void)
{
	static struct latency l;

	CU_ASSERT_EQUAL(latency_quantile(&l, 500), 0);
}

static void test_small_are_exact(void)
{
	static struct latency l;

	for (uint64_t v = 0; v < 16; v++)
		latency_add(&l, v);
	CU_ASSERT_EQUAL(latency_quantile(&l, 500), 7);
	CU_ASSERT_EQUAL(latency_quantile(&l, 1000), 15);
}

static void test_extremes(void)
{
	static struct latency l;

	latency_add(&l, UINT64_MAX);
	CU_ASSERT_EQUAL(latency_quantile(&l, 500), UINT64_MAX);
	latency_add(&l, 0);
	CU_ASSERT_EQUAL(latency_quantile(&l, 500), 0);
}

static void test_against_sorted(void)
{
	static struct latency l;
	static uint64_t v[20000];
	unsigned int seed = 7;
	const unsigned int n = sizeof(v) / sizeof(v[0]);

	for (unsigned int i = 0; i < n; i++) {
		v[i] = ((uint64_t)rand_r(&seed) << 8) >> (rand_r(&seed) % 36);
		latency_add(&l, v[i]);
	}
	qsort(v, n, sizeof(v[0]), by_value);
	for (unsigned int q = 10; q <= 1000; q += 10) {
		uint64_t want = v[(n * (uint64_t)q + 999) / 1000 - 1];
		uint64_t got = latency_quantile(&l, q);

		CU_ASSERT(got >= want);
		CU_ASSERT(got <= want + want / 16);
	}
}

static const struct suite_test tests[] = {
	{ "empty", test_empty },
	{ "small values are exact", test_small_are_exact },
	{ "extremes", test_extremes },
	{ "against a sorted array", test_against_sorted },
};

SUITE_MAIN("latency", tests)
