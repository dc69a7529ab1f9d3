/* SPDX-License-Identifier: MIT */
/* Follow: each layout event applied to a small world of two mappings. */

#include <errno.h>

#include "suite.h"
#include "watch/follow.h"

#define PAGE UINT64_C(4096)
#define AT(n) (UINT64_C(0x10000000) + (n) * PAGE)

static struct layout layout;
static struct cover cover;
static uint32_t next_id;
static unsigned int notices[VMA_OP_NR];

static void count(void *arg, enum vma_op op, struct region *r)
{
	(void)arg;
	(void)r;
	notices[op]++;
}

/* [0,16) anonymous and [32,40) a file, all of the first armed. */
static void world(void)
{
	static struct map_entry v[2];
	struct maps m = { .v = v, .n = 2 };

	v[0] = (struct map_entry){ .lo = AT(0), .hi = AT(16), .prot = 3, .name = "" };
	v[1] = (struct map_entry){
		.lo = AT(32), .hi = AT(40), .prot = 1, .ino = 7, .name = "/f", .name_len = 2,
	};
	next_id = 1;
	layout_init(&layout, 1000);
	cover_init(&cover, PAGE);
	CU_ASSERT_EQUAL_FATAL(layout_reconcile(&layout, &m, true, &next_id, count, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(cover_arm(&cover, (struct range){ AT(0), AT(16) }), 0);
	for (int i = 0; i < VMA_OP_NR; i++)
		notices[i] = 0;
}

static void world_end(void)
{
	layout_done(&layout);
	cover_done(&cover);
}

static int apply(struct event ev, struct follow_change *ret)
{
	return follow_apply(&layout, &cover, &ev, &next_id, count, NULL, ret);
}

static void test_unmap_middle(void)
{
	struct follow_change c;

	world();
	CU_ASSERT_EQUAL(apply((struct event){ .kind = EVENT_UNMAP, .span = { AT(4), AT(8) } }, &c),
			0);
	CU_ASSERT_EQUAL(c.uncovered, 4);
	CU_ASSERT(c.reread && !c.rearm);
	CU_ASSERT_PTR_NULL(layout_find(&layout, AT(5)));
	CU_ASSERT_PTR_NOT_NULL(layout_find(&layout, AT(3)));
	CU_ASSERT_PTR_NOT_NULL(layout_find(&layout, AT(8)));
	CU_ASSERT_NOT_EQUAL(layout_find(&layout, AT(3))->id, layout_find(&layout, AT(8))->id);
	CU_ASSERT(cover_armed_all(&cover, (struct range){ AT(8), AT(16) }));
	CU_ASSERT(!cover_armed_any(&cover, (struct range){ AT(4), AT(8) }));
	CU_ASSERT_EQUAL(notices[VMA_OP_CHANGE], 1);
	CU_ASSERT_EQUAL(notices[VMA_OP_ADD], 1);
	world_end();
}

/* The range may be gone from our map already: nothing to do, nothing wrong. */
static void test_unmap_hole(void)
{
	struct follow_change c;

	world();
	CU_ASSERT_EQUAL(
		apply((struct event){ .kind = EVENT_UNMAP, .span = { AT(20), AT(24) } }, &c), 0);
	CU_ASSERT_EQUAL(c.uncovered, 0);
	CU_ASSERT(c.reread);
	CU_ASSERT_EQUAL(layout.n, 2);
	world_end();
}

static void test_remove_keeps_mapping(void)
{
	struct follow_change c;
	struct range run;

	world();
	CU_ASSERT_EQUAL(
		apply((struct event){ .kind = EVENT_REMOVE, .span = { AT(2), AT(3) + 5 } }, &c), 0);
	CU_ASSERT_EQUAL(c.uncovered, 2);
	CU_ASSERT(c.rearm && !c.reread);
	CU_ASSERT_EQUAL(c.span.hi, AT(4));
	CU_ASSERT_PTR_NOT_NULL(layout_find(&layout, AT(2)));
	CU_ASSERT(cover_next_unclaimed(&cover, (struct range){ AT(0), AT(16) }, &run));
	CU_ASSERT_EQUAL(run.lo, AT(2));
	CU_ASSERT_EQUAL(run.hi, AT(4));
	world_end();
}

static void test_remap_moves_cover(void)
{
	struct event ev = { .kind = EVENT_REMAP,
			    .remap = { .from = { AT(0), AT(8) }, .to = AT(100) } };
	struct follow_change c;

	world();
	cover_take(&cover, (struct range){ AT(1), AT(2) });
	CU_ASSERT_EQUAL(apply(ev, &c), 0);
	CU_ASSERT(c.reread);
	CU_ASSERT(!cover_armed_any(&cover, (struct range){ AT(0), AT(8) }));
	CU_ASSERT(cover_armed_all(&cover, (struct range){ AT(100), AT(101) }));
	CU_ASSERT(!cover_armed_any(&cover, (struct range){ AT(101), AT(102) }));
	CU_ASSERT(cover_armed_all(&cover, (struct range){ AT(102), AT(108) }));
	CU_ASSERT_PTR_NOT_NULL(layout_find(&layout, AT(107)));
	CU_ASSERT_PTR_NULL(layout_find(&layout, AT(108)));
	CU_ASSERT_PTR_NULL(layout_find(&layout, AT(0)));
	CU_ASSERT_PTR_NOT_NULL(layout_find(&layout, AT(8)));
	world_end();
}

/* Onto an existing mapping (MREMAP_FIXED): what lay there is gone, its claims too. */
static void test_remap_over(void)
{
	struct event ev = { .kind = EVENT_REMAP,
			    .remap = { .from = { AT(32), AT(36) }, .to = AT(4) } };
	struct follow_change c;
	const struct region *g;

	world();
	CU_ASSERT_EQUAL(apply(ev, &c), 0);
	g = layout_find(&layout, AT(5));
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	CU_ASSERT_EQUAL(g->ino, 7);
	CU_ASSERT(!cover_armed_any(&cover, (struct range){ AT(4), AT(8) }));
	CU_ASSERT(cover_armed_all(&cover, (struct range){ AT(8), AT(16) }));
	world_end();
}

static void test_not_its_business(void)
{
	struct follow_change c;

	world();
	CU_ASSERT_EQUAL(apply((struct event){ .kind = EVENT_FAULT }, &c), -EINVAL);
	CU_ASSERT_EQUAL(apply((struct event){ .kind = EVENT_FORK }, &c), -EINVAL);
	CU_ASSERT_EQUAL(layout.n, 2);
	CU_ASSERT_EQUAL(cover.armed, 16);
	world_end();
}

static const struct suite_test tests[] = {
	{ "unmap in the middle", test_unmap_middle },
	{ "unmap of a hole", test_unmap_hole },
	{ "remove keeps the mapping", test_remove_keeps_mapping },
	{ "remap moves the cover", test_remap_moves_cover },
	{ "remap over a mapping", test_remap_over },
	{ "faults and forks are refused", test_not_its_business },
};

SUITE_MAIN("follow", tests)
