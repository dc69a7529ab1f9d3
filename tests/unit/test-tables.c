/* SPDX-License-Identifier: MIT */
/* Tables: how much may be armed at the cost of page tables, of all targets together. */

#include "suite.h"
#include "watch/space.h"

#define GIB (UINT64_C(1) << 30)

static struct watch_filter filter;
static struct space_shared shared;
static struct space one, other;

static void begin(bool async)
{
	filter = (struct watch_filter){ .modes = WATCH_MODE_WRITE, .async = async };
	shared = (struct space_shared){ .memory = GIB, .filter = &filter };
	one = (struct space){ .shared = &shared, .filter = &filter, .async = async };
	other = one;
	layout_init(&one.layout, 16);
	layout_init(&other.layout, 16);
}

static struct region region(uint64_t bytes, uint8_t kind, uint32_t prot)
{
	return (struct region){
		.r = { GIB, GIB + bytes }, .kind = kind, .prot = prot | RECORD_PROT_WRITE,
	};
}

static void test_bounds(void)
{
	struct region big = region(GIB + 4096, VMA_KIND_ANON, 0), g[17];

	begin(false);
	CU_ASSERT(!tables_admit(&one, &big, true));
	CU_ASSERT(!tables_admit(&one, &big, false));
	for (int i = 0; i < 16; i++) {
		g[i] = region(GIB, VMA_KIND_ANON, 0);
		CU_ASSERT(tables_admit(i % 2 ? &other : &one, &g[i], true));
		/* Judged again, it counts once. */
		CU_ASSERT(tables_admit(i % 2 ? &other : &one, &g[i], true));
	}
	CU_ASSERT_EQUAL(shared.tabled, 16 * GIB);
	g[16] = region(4096, VMA_KIND_SHMEM, RECORD_PROT_SHARED);
	CU_ASSERT(!tables_admit(&one, &g[16], true));
	CU_ASSERT(tables_admit(&one, &g[16], false));
	tables_forget(&other, &g[1]);
	CU_ASSERT(tables_admit(&one, &g[16], true));
	CU_ASSERT_EQUAL(shared.tabled, 15 * GIB + 4096);
	/* The layout knows nothing of these: they have gone. */
	tables_recount(&one);
	CU_ASSERT_EQUAL(shared.tabled, 7 * GIB);
	CU_ASSERT_EQUAL(one.tabled, 0);
}

/* Private memory costs nothing where nobody waits; shared memory does. */
static void test_async(void)
{
	struct region lazy = region(64 * GIB, VMA_KIND_ANON, 0);
	struct region shm = region(GIB, VMA_KIND_SHMEM, RECORD_PROT_SHARED);

	begin(true);
	CU_ASSERT(tables_admit(&one, &lazy, true));
	CU_ASSERT_EQUAL(shared.tabled, 0);
	CU_ASSERT(tables_admit(&one, &shm, true));
	CU_ASSERT_EQUAL(shared.tabled, GIB);
}

static void test_named(void)
{
	const struct range range = { 0, 128 * GIB };
	struct region big = region(64 * GIB, VMA_KIND_ANON, 0);

	begin(false);
	filter.ranges = &range;
	filter.nr_ranges = 1;
	CU_ASSERT(tables_admit(&one, &big, true));
	CU_ASSERT_EQUAL(shared.tabled, 0);
}

static const struct suite_test tests[] = {
	{ "bounds", test_bounds },
	{ "where nobody waits", test_async },
	{ "named by the user", test_named },
};

SUITE_MAIN("tables", tests)
