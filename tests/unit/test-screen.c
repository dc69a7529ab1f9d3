/* SPDX-License-Identifier: MIT */
/* Screen: what is put where, cut, and never more than characters. */

#include <locale.h>
#include <string.h>

#include "report/screen.h"
#include "suite.h"

static char row[4096];

static const char *text(const struct screen *s, unsigned int r)
{
	screen_row(s, r, row, sizeof(row));
	return row;
}

static void test_put(void)
{
	struct screen s;

	CU_ASSERT_EQUAL_FATAL(screen_init(&s, 3, 10, false), 0);
	CU_ASSERT_STRING_EQUAL(text(&s, 0), "");
	CU_ASSERT_EQUAL(screen_say(&s, 0, 2, SCREEN_STRONG, "abc"), 3);
	CU_ASSERT_STRING_EQUAL(text(&s, 0), "  abc");
	CU_ASSERT_EQUAL(screen_at(&s, 0, 2)->tone, SCREEN_STRONG);
	CU_ASSERT_EQUAL(screen_at(&s, 0, 5)->tone, SCREEN_PLAIN);
	CU_ASSERT_EQUAL(screen_put(&s, 1, 0, 4, SCREEN_PLAIN, "abcdef", 6), 4);
	CU_ASSERT_STRING_EQUAL(text(&s, 1), "abc~");
	CU_ASSERT_EQUAL(screen_put(&s, 1, 0, 4, SCREEN_PLAIN, "wxyz", 4), 4);
	CU_ASSERT_STRING_EQUAL(text(&s, 1), "wxyz");
	CU_ASSERT_EQUAL(screen_put(&s, 1, 0, 1, SCREEN_PLAIN, "wxyz", 4), 1);
	CU_ASSERT_STRING_EQUAL(text(&s, 1), "~xyz");
	/* The edge of the screen cuts as well; beyond it there is nothing. */
	CU_ASSERT_EQUAL(screen_say(&s, 2, 8, SCREEN_PLAIN, "abc"), 2);
	CU_ASSERT_STRING_EQUAL(text(&s, 2), "        a~");
	CU_ASSERT_EQUAL(screen_say(&s, 3, 0, SCREEN_PLAIN, "abc"), 0);
	CU_ASSERT_EQUAL(screen_say(&s, 0, 10, SCREEN_PLAIN, "abc"), 0);
	CU_ASSERT_PTR_NULL(screen_at(&s, 3, 0));
	screen_right(&s, 2, 0, 6, SCREEN_PLAIN, "12");
	CU_ASSERT_STRING_EQUAL(text(&s, 2), "    12  a~");
	screen_tint(&s, 2, SCREEN_HEAD);
	CU_ASSERT_EQUAL(screen_at(&s, 2, 9)->tone, SCREEN_HEAD);
	screen_clear(&s);
	CU_ASSERT_STRING_EQUAL(text(&s, 2), "");
	screen_done(&s);
	CU_ASSERT_EQUAL_FATAL(screen_init(&s, 0, 100000, false), 0);
	CU_ASSERT_EQUAL(s.rows, 1);
	CU_ASSERT_EQUAL(s.columns, SCREEN_COLUMNS_MAX);
	screen_done(&s);
}

/* Whatever a process calls itself, no cell holds a control character. */
static void test_hostile(void)
{
	static const char name[] = "a\033[2J\r\n\x7f\xc2\x9b" "31m\xff\xe2\x80\xae" "b\xed\xa0\x80";
	struct screen s;

	for (int unicode = 0; unicode < 2; unicode++) {
		CU_ASSERT_EQUAL_FATAL(screen_init(&s, 1, 40, unicode), 0);
		screen_put(&s, 0, 0, 40, SCREEN_PLAIN, name, sizeof(name) - 1);
		CU_ASSERT_STRING_EQUAL(text(&s, 0), "a?[2J????31m??b???");
		screen_done(&s);
	}
	/* All single bytes, and all pairs. */
	CU_ASSERT_EQUAL_FATAL(screen_init(&s, 1, 8, true), 0);
	for (unsigned int i = 0; i < 0x10000; i++) {
		const char pair[2] = { (char)(i >> 8), (char)i };

		screen_put(&s, 0, 0, 8, SCREEN_PLAIN, pair, 2);
		for (unsigned int c = 0; c < 2; c++) {
			const unsigned char *t = (const unsigned char *)screen_at(&s, 0, c)->text;

			if ((t[0] && t[0] < 0x20) || t[0] == 0x7f || (t[0] == 0xc2 && t[1] < 0xa0))
				CU_FAIL("a control character");
		}
	}
	screen_done(&s);
}

static void test_wide(void)
{
	struct screen s;

	if (!setlocale(LC_CTYPE, "C.UTF-8")) {
		CU_FAIL("no C.UTF-8");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(screen_init(&s, 1, 6, true), 0);
	CU_ASSERT_EQUAL(screen_say(&s, 0, 0, SCREEN_PLAIN, "\xe4\xb8\xad\xc3\xa9"), 3);
	CU_ASSERT_STRING_EQUAL(screen_at(&s, 0, 0)->text, "\xe4\xb8\xad");
	CU_ASSERT_STRING_EQUAL(screen_at(&s, 0, 1)->text, "");
	CU_ASSERT_STRING_EQUAL(screen_at(&s, 0, 2)->text, "\xc3\xa9");
	/* What is put over half of it leaves no half. */
	screen_say(&s, 0, 1, SCREEN_PLAIN, "x");
	CU_ASSERT_STRING_EQUAL(text(&s, 0), " x\xc3\xa9");
	screen_say(&s, 0, 0, SCREEN_PLAIN, "\xe4\xb8\xad");
	screen_say(&s, 0, 0, SCREEN_PLAIN, "y");
	CU_ASSERT_STRING_EQUAL(text(&s, 0), "y \xc3\xa9");
	screen_clear(&s);
	CU_ASSERT_EQUAL(screen_put(&s, 0, 0, 3, SCREEN_PLAIN, "\xe4\xb8\xad\xe4\xb8\xad", 6), 2);
	CU_ASSERT_STRING_EQUAL(text(&s, 0), "~");
	CU_ASSERT_EQUAL(screen_put(&s, 0, 5, 1, SCREEN_PLAIN, "\xe4\xb8\xad", 3), 1);
	CU_ASSERT_STRING_EQUAL(text(&s, 0), "~    ~");
	screen_done(&s);
	setlocale(LC_CTYPE, "C");
}

static void test_heat(void)
{
	struct screen s;

	CU_ASSERT_EQUAL(screen_shade(0, 100), 0);
	CU_ASSERT_EQUAL(screen_shade(5, 0), 0);
	CU_ASSERT_EQUAL(screen_shade(1, UINT64_MAX), 1);
	CU_ASSERT_EQUAL(screen_shade(50, 100), 5);
	CU_ASSERT_EQUAL(screen_shade(99, 100), 8);
	CU_ASSERT_EQUAL(screen_shade(UINT64_MAX, UINT64_MAX), 9);
	CU_ASSERT_EQUAL_FATAL(screen_init(&s, 1, 12, false), 0);
	for (unsigned int i = 0; i < 12; i++)
		screen_heat(&s, 0, i, i);
	CU_ASSERT_STRING_EQUAL(text(&s, 0), " .:-=+*#%@@@");
	CU_ASSERT_EQUAL(screen_at(&s, 0, 3)->tone, SCREEN_HEAT + 3);
	screen_heat(&s, 0, 12, 3);
	screen_heat(&s, 1, 0, 3);
	screen_done(&s);
}

static const struct suite_test tests[] = {
	{ "text where it belongs, and cut", test_put },
	{ "hostile names", test_hostile },
	{ "wide characters", test_wide },
	{ "shades", test_heat },
};

SUITE_MAIN("screen", tests)
