/* SPDX-License-Identifier: MIT */
/* Emit: order and counts, and the waiting for a child's pid. */

#include <errno.h>

#include "suite.h"
#include "watch/emit.h"

static struct queue *queue;
static struct emit emit;

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(queue_new(&queue, 1024), 0);
	CU_ASSERT_EQUAL_FATAL(emit_init(&emit, queue, 1000, 4096), 0);
}

static void finish(void)
{
	emit_done(&emit);
	queue = queue_free(queue);
}

static void fault(pid_t pid, uint32_t mm, bool write)
{
	struct record r = { .kind = RECORD_FAULT, .pid = pid, .mm = mm, .fault.write = write };

	emit_push(&emit, &r);
}

static void fork_of(uint32_t child_mm, uint64_t now)
{
	struct record r = {
		.kind = RECORD_FORK, .pid = 10, .mm = 1,
		.fork = { .child = RECORD_UNKNOWN, .child_mm = child_mm, .followed = true },
	};

	emit_hold(&emit, &r, now);
}

static bool pop(struct record *ret)
{
	return queue_pop(queue, ret, 0) == 1;
}

static void test_runs(void)
{
	const struct range runs[3] = { { 4096, 8192 }, { 16384, 32768 }, { 65536, 69632 } };
	struct record r, one;

	begin();
	emit_dirty_runs(&emit, 10, 1, 1100, 1200, runs, 1, 7, 3);
	emit_dirty_runs(&emit, 10, 1, 1100, 1200, runs, 3, 7, 3);
	CU_ASSERT(pop(&r));
	CU_ASSERT_PTR_NULL(r.text);
	CU_ASSERT_EQUAL(r.addr, 4096);
	CU_ASSERT(pop(&r));
	CU_ASSERT_EQUAL_FATAL(record_lines(&r), 3);
	one = record_line(&r, 1);
	CU_ASSERT_EQUAL(one.addr, 16384);
	CU_ASSERT_EQUAL(one.npages, 4);
	CU_ASSERT_EQUAL(one.ts0, 100);
	CU_ASSERT_EQUAL(one.ts, 200);
	CU_ASSERT_EQUAL(one.dirty.vma, 7);
	CU_ASSERT_EQUAL(one.dirty.epoch, 3);
	record_release(&r);
	CU_ASSERT(!pop(&r));
	finish();
}

static void test_counts(void)
{
	struct record r;

	begin();
	fault(10, 1, true);
	fault(10, 1, false);
	CU_ASSERT_EQUAL(emit.faults, 2);
	CU_ASSERT_EQUAL(emit.writes, 1);
	CU_ASSERT(pop(&r));
	CU_ASSERT(pop(&r));
	CU_ASSERT(!pop(&r));
	CU_ASSERT_EQUAL(emit_ts(&emit, 999), 0);
	CU_ASSERT_EQUAL(emit_ts(&emit, 1500), 500);
	finish();
}

static void test_named_in_order(void)
{
	struct record r;

	begin();
	fork_of(2, 5000);
	fault(0, 2, true);
	fault(10, 1, true);
	CU_ASSERT(!pop(&r));
	emit_named(&emit, 2, 77);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.kind, RECORD_FORK);
	CU_ASSERT_EQUAL(r.fork.child, 77);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.pid, 77);
	CU_ASSERT_EQUAL(r.mm, 2);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.pid, 10);
	finish();
}

/* Two forks: nothing goes before the first is named; naming twice changes nothing. */
static void test_two_children(void)
{
	struct record r;

	begin();
	fork_of(2, 5000);
	fork_of(3, 6000);
	emit_named(&emit, 3, 33);
	emit_named(&emit, 3, 34);
	CU_ASSERT(!pop(&r));
	emit_named(&emit, 2, 22);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.fork.child, 22);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.fork.child, 33);
	CU_ASSERT_EQUAL(emit_due(&emit), UINT64_MAX);
	finish();
}

/* One that stays without a name holds back what follows it, and nothing before it. */
static void test_storm_of_children(void)
{
	struct record r;

	begin();
	fork_of(2, 5000);
	fault(0, 2, true);
	fork_of(3, 6000);
	fault(0, 2, true);
	emit_named(&emit, 2, 22);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.fork.child, 22);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.pid, 22);
	CU_ASSERT(!pop(&r));
	CU_ASSERT_EQUAL(emit_due(&emit), 6000 + EMIT_HOLD_NS);
	fork_of(4, 7000);
	emit_expire(&emit, 6000 + EMIT_HOLD_NS);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.fork.child, RECORD_UNKNOWN);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.pid, 22);
	CU_ASSERT(!pop(&r));
	emit_named(&emit, 4, 44);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.fork.child, 44);
	finish();
}

static void test_never_named(void)
{
	struct record r;

	begin();
	fork_of(2, 5000);
	emit_named(&emit, 2, 0);
	CU_ASSERT_FATAL(pop(&r));
	CU_ASSERT_EQUAL(r.fork.child, RECORD_UNKNOWN);
	fork_of(3, 5000);
	emit_expire(&emit, 5000 + EMIT_HOLD_NS - 1);
	CU_ASSERT(!pop(&r));
	emit_expire(&emit, 5000 + EMIT_HOLD_NS);
	CU_ASSERT(pop(&r));
	finish();
}

/* More than can be held: everything goes, in order, nothing is dropped. */
static void test_hold_overflows(void)
{
	struct record r;
	unsigned int n = 0;

	CU_ASSERT_EQUAL_FATAL(queue_new(&queue, 32768), 0);
	CU_ASSERT_EQUAL_FATAL(emit_init(&emit, queue, 0, 4096), 0);
	fork_of(2, 5000);
	for (int i = 0; i < EMIT_HOLD_MAX + 10; i++)
		fault(10, 1, true);
	while (pop(&r))
		n++;
	CU_ASSERT_EQUAL(n, EMIT_HOLD_MAX + 11);
	CU_ASSERT_EQUAL(queue_dropped(queue, NULL), 0);
	finish();
}

static void test_dropped_layout_is_told(void)
{
	begin();
	for (int i = 0; i < 4000; i++)
		fault(10, 1, true);
	CU_ASSERT(!emit.dropped_layout);
	for (int i = 0; i < 4000; i++)
		emit_gap(&emit, 10, 1, 0, 0, (struct range){ 0, 0 }, GAP_RESYNC);
	CU_ASSERT(emit.dropped_layout);
	CU_ASSERT(queue_dropped(queue, NULL) > 0);
	finish();
}

static const struct suite_test tests[] = {
	{ "counts", test_counts },
	{ "runs of pages", test_runs },
	{ "a child is named in its place", test_named_in_order },
	{ "two children", test_two_children },
	{ "a storm of children", test_storm_of_children },
	{ "a child never named", test_never_named },
	{ "more than can be held", test_hold_overflows },
	{ "dropped layout records are told", test_dropped_layout_is_told },
};

SUITE_MAIN("emit", tests)
