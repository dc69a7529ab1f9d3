/* SPDX-License-Identifier: MIT */
/*
 * Compare: rates, not counts; what changed most comes first.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <string.h>

#include "report/compare.h"
#include "starve.h"
#include "suite.h"

static void add(struct compare *c, enum compare_side side, const char *name, const char *kind,
		uint64_t written)
{
	CU_ASSERT_EQUAL_FATAL(compare_add(c, side, name, strlen(name), kind, written, 1), 0);
}

static void test_changes(void)
{
	static const char *const expected[] = { "b:new", "a:cooler", "c:gone", "d:hotter",
						"e:same" };
	const uint64_t ns[2] = { UINT64_C(1000000000), UINT64_C(2000000000) };
	const struct compare_row *rows;
	struct compare *c = NULL;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(compare_new(&c), 0);
	add(c, COMPARE_A, "a", "heap", 1000);
	add(c, COMPARE_B, "a", "heap", 1100);	/* 550 a second */
	add(c, COMPARE_B, "b", "anon", 1000);
	add(c, COMPARE_B, "b", "anon", 1000);
	add(c, COMPARE_A, "c", "anon", 30);
	add(c, COMPARE_A, "d", NULL, 10);
	add(c, COMPARE_B, "d", NULL, 22);
	add(c, COMPARE_A, "e", "x", 10);
	add(c, COMPARE_B, "e", "x", 20);
	rows = compare_end(c, ns, &n);
	CU_ASSERT_EQUAL_FATAL(n, 5);
	for (size_t i = 0; i < n; i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s:%s", rows[i].name, compare_word(rows[i].change));
		CU_ASSERT_STRING_EQUAL(text, expected[i]);
	}
	CU_ASSERT_EQUAL(rows[0].written[COMPARE_B], 2000);
	CU_ASSERT_EQUAL(rows[0].pages[COMPARE_B], 2);
	CU_ASSERT_DOUBLE_EQUAL(rows[0].rate[COMPARE_B], 1000, 0.001);
	compare_free(c);
}

static void test_words(void)
{
	const uint64_t ns[2] = { 0, 0 };
	const struct compare_row *rows;
	struct compare *c = NULL;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(compare_new(&c), 0);
	CU_ASSERT_PTR_NULL(compare_end(c, ns, &n));
	CU_ASSERT_EQUAL(n, 0);
	compare_free(c);
	CU_ASSERT_EQUAL_FATAL(compare_new(&c), 0);
	/* One name, two kinds: two rows; a name that gives orders gives none. */
	add(c, COMPARE_A, "x\x1b[2J", "heap", 1);
	add(c, COMPARE_A, "x\x1b[2J", "anon", 2);
	rows = compare_end(c, ns, &n);
	CU_ASSERT_EQUAL_FATAL(n, 2);
	CU_ASSERT_STRING_EQUAL(rows[0].name, "x\\033[2J");
	CU_ASSERT_STRING_EQUAL(rows[0].kind, "anon");
	CU_ASSERT_DOUBLE_EQUAL(rows[0].rate[COMPARE_A], 2, 0.001);
	compare_free(c);
}

/* More than one block of anything. */
static int fill(struct compare *c)
{
	char name[16];
	int r = 0;

	for (unsigned int i = 0; i < 3000 && !r; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		r = compare_add(c, COMPARE_A, name, strlen(name), i % 2 ? "heap" : NULL, i, 1);
	}
	return r;
}

/* Each allocation fails once: it says so, or does without; and leaks nothing. */
static void test_no_memory(void)
{
	const uint64_t ns[2] = { UINT64_C(1000000000), UINT64_C(1000000000) };
	bool hit = true;
	long n;

	for (n = 1; hit; n++) {
		struct compare *c = NULL;
		size_t rows = 0;
		int r;

		starve_ours_after(n);
		r = compare_new(&c);
		if (!r)
			r = fill(c);
		hit = starve_hit();
		CU_ASSERT(!r || (hit && r == -ENOMEM));
		if (!r)
			CU_ASSERT_EQUAL(compare_end(c, ns, &rows)[0].written[COMPARE_A], 2999);
		CU_ASSERT_EQUAL(rows, r ? 0 : 3000);
		compare_free(c);
	}
	CU_ASSERT(n > 10);
}

static const struct suite_test tests[] = {
	{ "what changed, by rate", test_changes },
	{ "words, and no rows", test_words },
	{ "no memory", test_no_memory },
};

SUITE_MAIN("compare", tests)
