/* SPDX-License-Identifier: MIT */
/* Restore bar: it fits, whatever the terminal and the numbers; and the rate. */

#include <string.h>

#include "base/clock.h"
#include "restore-bar.h"
#include "suite.h"

#define MIB (UINT64_C(1) << 20)

static const struct bar middle = {
	.bytes = 158 * MIB, .of = 256 * MIB, .rate = 2355 * MIB, .faults = 1204, .p99 = 48000,
};

static void test_whole(void)
{
	char buf[BAR_MAX];

	CU_ASSERT_STRING_EQUAL(bar_draw(&middle, 99, buf), " 61 % [##############----------]"
			       "  158 MiB of 256 MiB  2.3 GiB/s  1,204 faults  p99 48 us");
}

static void test_narrow(void)
{
	char buf[BAR_MAX];

	CU_ASSERT_STRING_EQUAL(bar_draw(&middle, 40, buf),
			       " 61 % [#######-----]  158 MiB of 256 MiB");
	CU_ASSERT_STRING_EQUAL(bar_draw(&middle, 18, buf), " 61 % [######----]");
	CU_ASSERT_STRING_EQUAL(bar_draw(&middle, 5, buf), " 61 %");
}

/* Every width, and numbers from nothing to more than there is. */
static void test_fits(void)
{
	const uint64_t many[] = { 0, 1, 4096, 999 * MIB, UINT64_MAX / 2, UINT64_MAX };
	char buf[BAR_MAX];

	for (unsigned int columns = 0; columns < 300; columns++)
		for (size_t i = 0; i < 6 * 6; i++) {
			const uint64_t n = many[i % 6], of = many[i / 6];
			const struct bar b = { n, of, n, n, n };

			memset(buf, 'x', sizeof(buf));
			bar_draw(&b, columns, buf);
			CU_ASSERT(memchr(buf, '\0', sizeof(buf)) != NULL);
			CU_ASSERT(strlen(buf) <= columns);
			if (columns >= 5)
				CU_ASSERT((n >= of) == !strncmp(buf, "100 %", 5));
		}
}

static void test_rate(void)
{
	struct bar_rate r = { .n = 0 };

	CU_ASSERT_EQUAL(bar_rate(&r, NSEC_PER_SEC, 0), 0);
	CU_ASSERT_EQUAL(bar_rate(&r, 2 * NSEC_PER_SEC, MIB), MIB);
	/* What was long ago is forgotten. */
	for (uint64_t t = 3; t < 40; t++)
		bar_rate(&r, t * NSEC_PER_SEC, (t - 1) * 5 * MIB);
	CU_ASSERT_EQUAL(bar_rate(&r, 40 * NSEC_PER_SEC, 39 * 5 * MIB), 5 * MIB);
	/* Nothing comes any more. */
	for (uint64_t t = 41; t < 50; t++)
		bar_rate(&r, t * NSEC_PER_SEC, 39 * 5 * MIB);
	CU_ASSERT_EQUAL(bar_rate(&r, 50 * NSEC_PER_SEC, 39 * 5 * MIB), 0);
}

static const struct suite_test tests[] = {
	{ "all of it", test_whole },
	{ "what is left out first", test_narrow },
	{ "any width, any numbers", test_fits },
	{ "the rate of late", test_rate },
};

SUITE_MAIN("restore-bar", tests)
