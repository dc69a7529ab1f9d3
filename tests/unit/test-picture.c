/* SPDX-License-Identifier: MIT */
/* Picture: where faults land, how dark they are, how many pages. */

#include "picture.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

#define PAGE 4096
#define BASE UINT64_C(0x7f0000000000)

static char buf[PICTURE_COLUMNS + 1];

static void make(struct picture *p, uint64_t npages)
{
	CU_ASSERT_EQUAL_FATAL(
		picture_init(p, (struct range){ BASE, BASE + npages * PAGE }, PAGE), 0);
}

static void test_refusals(void)
{
	struct picture p;

	CU_ASSERT_EQUAL(picture_init(&p, (struct range){ BASE, BASE }, PAGE), -EINVAL);
	CU_ASSERT_EQUAL(picture_init(&p, (struct range){ BASE + 1, BASE + PAGE }, PAGE), -EINVAL);
	CU_ASSERT_EQUAL(picture_init(&p, (struct range){ 0, UINT64_C(1) << 41 }, PAGE), -EINVAL);
	CU_ASSERT_EQUAL(picture_init(&p, (struct range){ 0, PAGE }, 0), -EINVAL);
}

static void test_empty(void)
{
	struct picture p;

	make(&p, 100);
	CU_ASSERT_EQUAL(strspn(picture_draw(&p, buf), " "), PICTURE_COLUMNS);
	picture_done(&p);
}

static void test_columns(void)
{
	struct picture p;

	make(&p, 320);
	picture_add(&p, BASE);				/* first page, first column */
	picture_add(&p, BASE + 320 * PAGE - 1);		/* last byte, last column */
	picture_add(&p, BASE + 160 * PAGE);
	picture_add(&p, BASE - 1);			/* outside */
	picture_add(&p, BASE + 320 * PAGE);
	CU_ASSERT_EQUAL(p.faults, 3);
	CU_ASSERT_EQUAL(p.touched, 3);
	picture_draw(&p, buf);
	CU_ASSERT_EQUAL(strlen(buf), PICTURE_COLUMNS);
	for (int i = 0; i < PICTURE_COLUMNS; i++)
		CU_ASSERT_EQUAL(buf[i], i == 0 || i == 16 || i == 31 ? '@' : ' ');
	picture_done(&p);
}

static void test_shades(void)
{
	struct picture p;

	make(&p, PICTURE_COLUMNS);
	for (int i = 0; i < 900; i++)
		picture_add(&p, BASE + 5);
	picture_add(&p, BASE + PAGE);
	for (int i = 0; i < 450; i++)
		picture_add(&p, BASE + 2 * PAGE);
	picture_draw(&p, buf);
	CU_ASSERT_EQUAL(buf[0], '@');
	CU_ASSERT_EQUAL(buf[1], '.');		/* one of 900 still shows */
	CU_ASSERT_EQUAL(buf[2], '+');
	CU_ASSERT_EQUAL(p.touched, 3);
	CU_ASSERT_EQUAL(p.faults, 1351);
	picture_done(&p);
}

/* Fewer pages than columns: every page has a column of its own. */
static void test_small(void)
{
	struct picture p;

	make(&p, 3);
	for (int i = 0; i < 3; i++)
		picture_add(&p, BASE + (uint64_t)i * PAGE);
	CU_ASSERT_EQUAL(p.touched, 3);
	CU_ASSERT_EQUAL(p.column[0] + p.column[10] + p.column[21], 3);
	picture_done(&p);
}

static const struct suite_test tests[] = {
	{ "what cannot be drawn", test_refusals },
	{ "nothing happened", test_empty },
	{ "first, last and outside", test_columns },
	{ "shades", test_shades },
	{ "fewer pages than columns", test_small },
};

SUITE_MAIN("picture", tests)
