/* SPDX-License-Identifier: MIT */
/* Heat: nothing is lost by folding, and every cell is where it belongs. */

#include <string.h>

#include "report/heat.h"
#include "suite.h"

#define TICK HEAT_TICK_NS

static uint64_t cells(const struct heat_map *m)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->n; i++)
		for (unsigned int k = 0; k < HEAT_COLUMNS; k++)
			sum += m->rows[i]->column[k];
	return sum;
}

static void test_places(void)
{
	struct heat h = HEAT_NULL;

	h.origin = 5 * TICK;
	CU_ASSERT_EQUAL(heat_add(&h, 1, 100, 2, 5 * TICK), 0);
	CU_ASSERT_EQUAL(heat_add(&h, 1, 7, 1, 6 * TICK), 0);
	CU_ASSERT_EQUAL(heat_add(&h, 1, 101, 1, 7 * TICK + 1), 0);
	CU_ASSERT_EQUAL(heat_add(&h, 1, 101, 1, 0), 0);
	CU_ASSERT_EQUAL_FATAL(h.n, 2);
	CU_ASSERT_EQUAL(h.maps[0].n, 0);
	CU_ASSERT_EQUAL_FATAL(h.maps[1].n, 3);
	heat_sort(&h.maps[1]);
	CU_ASSERT_EQUAL(h.maps[1].rows[0]->page, 7);
	CU_ASSERT_EQUAL(h.maps[1].rows[0]->column[1], 1);
	CU_ASSERT_EQUAL(h.maps[1].rows[1]->page, 100);
	CU_ASSERT_EQUAL(h.maps[1].rows[1]->column[0], 1);
	CU_ASSERT_EQUAL(h.maps[1].rows[2]->column[0], 2);
	CU_ASSERT_EQUAL(h.maps[1].rows[2]->column[2], 1);
	CU_ASSERT_EQUAL(h.used, 3);
	CU_ASSERT_EQUAL(h.maps[1].sum, 5);
	heat_done(&h);
}

/* More pages than rows: rows grow, and hold what they held. */
static void test_addresses(void)
{
	struct heat h = HEAT_NULL;
	struct heat_map *m;

	for (uint64_t i = 0; i < 100000; i++)
		CU_ASSERT_EQUAL(heat_add(&h, 0, i * 3 + (i & 1 ? 1 << 30 : 0), 1, 0), 0);
	m = &h.maps[0];
	heat_sort(m);
	CU_ASSERT(m->n <= HEAT_MAP_ROWS);
	CU_ASSERT(m->n > HEAT_MAP_ROWS / 8);
	CU_ASSERT_EQUAL(cells(m), 100000);
	CU_ASSERT_EQUAL(h.rows, m->n);
	for (size_t i = 0; i < m->n; i++) {
		CU_ASSERT_EQUAL(m->rows[i]->page & ((UINT64_C(1) << m->shift) - 1), 0);
		CU_ASSERT(!i || m->rows[i - 1]->page < m->rows[i]->page);
	}
	heat_done(&h);
}

static void test_time(void)
{
	struct heat h = HEAT_NULL;

	for (uint64_t i = 0; i < 100000; i++)
		CU_ASSERT_EQUAL(heat_add(&h, 0, 1, 1, i * TICK), 0);
	CU_ASSERT_EQUAL(heat_column_ns(&h), 512 * TICK);
	CU_ASSERT_EQUAL(h.used, 196);
	for (unsigned int i = 0; i < 195; i++)
		CU_ASSERT_EQUAL(h.maps[0].rows[0]->column[i], 512);
	CU_ASSERT_EQUAL(h.maps[0].rows[0]->column[195], 100000 % 512);
	heat_done(&h);
}

/* A span as long as an address space ends, and is all there. */
static void test_long_span(void)
{
	struct heat h = HEAT_NULL;

	CU_ASSERT_EQUAL(heat_add(&h, 3, 5, UINT64_C(1) << 40, 0), 0);
	CU_ASSERT_EQUAL(h.maps[3].sum, UINT64_C(1) << 40);
	CU_ASSERT(h.maps[3].n <= HEAT_MAP_ROWS);
	heat_done(&h);
}

/* Many maps: all rows together stay below their bound, and nothing is lost. */
static void test_many_maps(void)
{
	struct heat h = HEAT_NULL;
	uint64_t sum = 0;

	for (uint32_t map = 0; map < 40000; map++)
		CU_ASSERT_EQUAL(heat_add(&h, map, 64 * map, 2, 0), 0);
	CU_ASSERT(h.rows <= HEAT_ROWS_MAX);
	for (size_t i = 0; i < h.n; i++)
		sum += h.maps[i].sum;
	CU_ASSERT_EQUAL(sum + h.left_out, 80000);
	CU_ASSERT_EQUAL(h.rows, HEAT_ROWS_MAX);
	heat_done(&h);
}

static const struct suite_test tests[] = {
	{ "a cell for each page and tick", test_places },
	{ "addresses fold", test_addresses },
	{ "time folds", test_time },
	{ "a span without end", test_long_span },
	{ "more maps than rows", test_many_maps },
};

SUITE_MAIN("heat", tests)
