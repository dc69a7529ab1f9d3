/* SPDX-License-Identifier: MIT */
/* Course: every window of every length, held against sets of pages. */

#include <string.h>

#include "report/course.h"
#include "report/pages.h"
#include "report/spread.h"
#include "suite.h"

#define WRITES 4000
#define PAGES 64

static struct course course;
static struct {
	uint32_t tick, page;
} made[WRITES];

static uint64_t state = 88172645463325252u;

static uint32_t random_below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state % n);
}

/* Writes in order of time, some in bursts; up to `longest` ticks apart. */
static void make(uint32_t longest)
{
	uint32_t last[PAGES], tick = random_below(longest);

	memset(last, 0xff, sizeof(last));
	memset(&course, 0, sizeof(course));
	for (unsigned int i = 0; i < WRITES; i++) {
		tick += random_below(4) ? 0 : random_below(longest);
		made[i].tick = tick;
		made[i].page = random_below(PAGES);
		course_add(&course, tick, last[made[i].page], 1);
		last[made[i].page] = tick;
	}
}

static void check_window(unsigned int level, uint32_t i)
{
	struct course_window w = course_window(&course, level, i);
	uint64_t writes = 0, seen = 0, before = 0;

	for (unsigned int k = 0; k < WRITES; k++)
		if (made[k].tick >> (course.shift + level) == i) {
			writes++;
			seen |= UINT64_C(1) << made[k].page;
		} else if (made[k].tick >> (course.shift + level) < i) {
			before |= UINT64_C(1) << made[k].page;
		}
	CU_ASSERT_EQUAL(w.writes, writes);
	CU_ASSERT_EQUAL(w.pages, (uint64_t)__builtin_popcountll(seen));
	CU_ASSERT_EQUAL(w.fresh, (uint64_t)__builtin_popcountll(seen & ~before));
}

static void check_all(void)
{
	for (unsigned int level = 0; level < 11; level++) {
		uint32_t n = course_windows(&course, level);

		CU_ASSERT(n > 0);
		CU_ASSERT_EQUAL(course_window_ns(&course, level),
				COURSE_TICK_NS << (course.shift + level));
		for (uint32_t i = 0; i < n; i += n > 64 ? 17 : 1)
			check_window(level, i);
	}
}

static void test_windows(void)
{
	make(1);
	CU_ASSERT_EQUAL(course.used, 1);
	check_all();
	make(3);
	check_all();
	make(90);
	CU_ASSERT(course.shift > 0);
	check_all();
	make(100000);
	check_all();
}

static void test_levels(void)
{
	memset(&course, 0, sizeof(course));
	course_add(&course, 999, COURSE_NEVER, 5);
	CU_ASSERT_EQUAL(course_windows(&course, 0), 1000);
	CU_ASSERT_EQUAL(course_level(&course, 100), 4);
	CU_ASSERT_EQUAL(course_windows(&course, 4), 63);
	CU_ASSERT_EQUAL(course_level_of(&course, 100 * COURSE_TICK_NS), 7);
	CU_ASSERT_EQUAL(course_level_of(&course, 1), 0);
	CU_ASSERT_EQUAL(course_tick(COURSE_TICK_NS * 7 + 1), 7);
	CU_ASSERT_EQUAL(course_tick(UINT64_MAX), COURSE_NEVER - 1);
	/* The farthest that there is fits. */
	course_add(&course, COURSE_NEVER - 1, 999, 1);
	CU_ASSERT_EQUAL(course_window(&course, 10, 0).writes, 6);
	CU_ASSERT_EQUAL(course_window(&course, 10, 0).pages, 5);
}

/* What pages.c makes of spans is what single writes would have made. */
static void test_pages(void)
{
	struct pages p = { .keys = KEYS_NULL };
	struct page_top top[3];
	uint64_t fresh;

	memset(&course, 0, sizeof(course));
	CU_ASSERT_EQUAL(pages_write(&p, 1, 60, 10, 5, &course, &fresh), 0);
	CU_ASSERT_EQUAL(fresh, 10);
	CU_ASSERT_EQUAL(pages_write(&p, 1, 64, 2, 6, &course, &fresh), 0);
	CU_ASSERT_EQUAL(fresh, 0);
	CU_ASSERT_EQUAL(pages_write(&p, 2, 64, 1, 6, &course, &fresh), 0);
	CU_ASSERT_EQUAL(fresh, 1);
	CU_ASSERT_EQUAL(pages_fault(&p, 1, 65), 0);
	CU_ASSERT_EQUAL(pages_fault(&p, 1, 1000), 0);
	CU_ASSERT_EQUAL(p.distinct, 11);
	CU_ASSERT_EQUAL(p.touched, 12);
	CU_ASSERT_EQUAL(p.left_out, 0);
	CU_ASSERT_EQUAL(pages_top(&p, top, 3), 3);
	CU_ASSERT_EQUAL(top[0].page, 65);
	CU_ASSERT_EQUAL(top[0].written, 2);
	CU_ASSERT_EQUAL(top[0].faults, 1);
	CU_ASSERT_EQUAL(top[1].page, 64);
	CU_ASSERT_EQUAL(top[1].mm, 1);
	CU_ASSERT_EQUAL(top[2].page, 60);
	CU_ASSERT_EQUAL(course_window(&course, 3, 0).writes, 13);
	CU_ASSERT_EQUAL(course_window(&course, 3, 0).pages, 11);
	pages_done(&p);
}

/* When there is no room any more, what has ended goes; it stays counted. */
static void test_release(void)
{
	struct pages p = { .keys = KEYS_NULL };
	struct page_top top[2];
	uint64_t fresh, all = 0, i;

	for (i = 0; !p.released && i < 3000000; i++) {
		uint32_t mm = 2 + (uint32_t)(i / 1000);

		CU_ASSERT_EQUAL(pages_write(&p, i % 10 ? mm : 1, i * 16, 1, 5, &course, &fresh), 0);
		all += fresh;
		if (i % 1000 == 999)
			CU_ASSERT_EQUAL(pages_end(&p, mm), 0);
	}
	CU_ASSERT(p.released > 500000);
	CU_ASSERT_EQUAL(all, i);
	CU_ASSERT_EQUAL(p.distinct, i);
	CU_ASSERT_EQUAL(p.left_out, 0);
	/* Of space 1 nothing has gone. */
	CU_ASSERT_EQUAL(pages_write(&p, 1, 0, 1, 6, &course, &fresh), 0);
	CU_ASSERT_EQUAL(fresh, 0);
	CU_ASSERT_EQUAL(pages_top(&p, top, 2), 2);
	CU_ASSERT_EQUAL(top[0].mm, 1);
	CU_ASSERT_EQUAL(top[0].written, 2);
	pages_done(&p);
}

static void test_spread(void)
{
	static struct spread s;
	uint64_t all = 0;

	CU_ASSERT_EQUAL(spread_quantile(&s, 500), 0);
	for (uint64_t v = 1; v <= 1000; v++)
		spread_add(&s, v * 1000);
	CU_ASSERT(spread_quantile(&s, 500) >= 500000);
	CU_ASSERT(spread_quantile(&s, 500) <= 531250);
	CU_ASSERT_EQUAL(spread_quantile(&s, 1000), 1000000);
	CU_ASSERT_EQUAL(s.max, 1000000);
	spread_add(&s, 0);
	spread_add(&s, UINT64_MAX);
	CU_ASSERT_EQUAL(spread_octave(&s, 0), 1);
	CU_ASSERT_EQUAL(spread_octave(&s, 63), 1);
	CU_ASSERT_EQUAL(spread_octave(&s, 9), 1);	/* 512 .. 1023 ns: 1000 */
	for (unsigned int i = 0; i < 64; i++)
		all += spread_octave(&s, i);
	CU_ASSERT_EQUAL(all, s.n);
}

static const struct suite_test tests[] = {
	{ "windows against sets", test_windows },
	{ "levels and the end of time", test_levels },
	{ "spans of pages", test_pages },
	{ "what has ended goes first", test_release },
	{ "how long things took", test_spread },
};

SUITE_MAIN("course", tests)
