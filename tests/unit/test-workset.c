/* SPDX-License-Identifier: MIT */
/*
 * Workset: against a plain array, and without memory.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <stdlib.h>
#include <string.h>

#include "starve.h"
#include "suite.h"
#include "watch/workset.h"

#define PAGES 8192

static struct range pages(uint64_t lo, uint64_t hi)
{
	return (struct range){ lo * 4096, hi * 4096 };
}

static void test_words(void)
{
	struct range r = pages(0, 64);
	struct workset w;

	workset_init(&w, 4096);
	CU_ASSERT_EQUAL(workset_add(&w, &r, 1), 64);
	CU_ASSERT_EQUAL(workset_add(&w, &r, 1), 0);
	r = pages(63, 65);
	CU_ASSERT_EQUAL(workset_add(&w, &r, 1), 1);
	r = pages(500, 2000);
	CU_ASSERT_EQUAL(workset_add(&w, &r, 1), 1500);
	r = pages(0, 2048);
	CU_ASSERT_EQUAL(workset_add(&w, &r, 1), 2048 - 65 - 1500);
	r = (struct range){ UINT64_MAX - 8191, UINT64_MAX - 4095 };
	CU_ASSERT_EQUAL(workset_add(&w, &r, 1), 1);
	workset_done(&w);
}

static void test_random(void)
{
	static bool in[PAGES];
	struct range runs[16];
	struct workset w;

	srand(7);
	memset(in, 0, sizeof(in));
	workset_init(&w, 4096);
	for (int round = 0; round < 2000; round++) {
		uint64_t at = (uint64_t)rand() % (PAGES - 1), fresh = 0;
		size_t n = 0;

		for (; n < 16 && at < PAGES; n++) {
			uint64_t len = 1 + (uint64_t)rand() % (rand() % 8 ? 2 : 700);
			uint64_t hi = at + len < PAGES ? at + len : PAGES;

			runs[n] = pages(at, hi);
			for (; at < hi; at++) {
				fresh += !in[at];
				in[at] = true;
			}
			at += 1 + (uint64_t)rand() % (rand() % 8 ? 3 : 900);
		}
		CU_ASSERT_EQUAL(workset_add(&w, runs, n), fresh);
		if (round % 500 == 499) {
			memset(in, 0, sizeof(in));
			workset_done(&w);
			workset_init(&w, 4096);
		}
	}
	workset_done(&w);
}

static void test_starving(void)
{
	struct range r = pages(500, 600);
	struct workset w;

	workset_init(&w, 4096);
	starve_after(1);
	CU_ASSERT_EQUAL(workset_add(&w, &r, 1), 88);
	CU_ASSERT(starve_hit());
	CU_ASSERT_EQUAL(workset_add(&w, &r, 1), 12);
	workset_done(&w);
}

static const struct suite_test tests[] = {
	{ "words and chunks", test_words },
	{ "random", test_random },
	{ "no memory", test_starving },
};

SUITE_MAIN("workset", tests)
