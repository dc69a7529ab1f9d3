/* SPDX-License-Identifier: MIT */
/* Validate, coverage: what arms, takes, drops, moves and inherits it. */

#include <errno.h>

#include "suite.h"
#include "trace-story.h"

static void test_faults_have_a_place(void)
{
	begin(&s);
	wrote(&s, 1, 1, 160);
	end(&s, 4, 4, 0);
	refuse(&s, s.n - 1, "page 160 is not in vma 1");
	begin(&s);
	wrote(&s, 1, 9, 101);
	end(&s, 4, 4, 0);
	refuse(&s, s.n - 1, "vma 9 is not in mm 1");
	begin(&s);
	vma(&s, 1, VMA_OP_GONE, 2, 150, 50);
	wrote(&s, 1, 2, 160);
	end(&s, 4, 4, 0);
	refuse(&s, s.n - 1, "vma 2 is not in mm 1");
	begin(&s);
	wrote(&s, 1, 0, 160);
	end(&s, 4, 4, 0);
	accept(&s);
}

static void test_coverage(void)
{
	/* Reported once. */
	begin(&s);
	wrote(&s, 1, 1, 100);
	end(&s, 4, 4, 0);
	refuse(&s, s.n - 1, "page 100 is not covered");
	/* Never armed. */
	begin(&s);
	vma(&s, 1, VMA_OP_ADD, 3, 300, 10);
	wrote(&s, 1, 3, 305);
	end(&s, 4, 4, 0);
	refuse(&s, s.n - 1, "page 305 is not covered");
	/* Armed again, reported again. */
	begin(&s);
	arm(&s, 1, 100, 1);
	wrote(&s, 1, 1, 100);
	end(&s, 4, 4, 0);
	accept(&s);
	/* Only what a write armed ends with a write. */
	begin(&s);
	arm(&s, 1, 100, 1)->arm.mode = ARM_MISSING;
	wrote(&s, 1, 1, 100);
	end(&s, 4, 4, 0);
	refuse(&s, s.n - 1, "page 100 is not covered");
	/* A write to a page that was missing ends its coverage too. */
	begin(&s);
	wrote(&s, 1, 1, 120)->fault.kind = FAULT_MISSING;
	wrote(&s, 1, 1, 120);
	end(&s, 5, 5, 0);
	refuse(&s, s.n - 1, "page 120 is not covered");
	/* A read does not. */
	begin(&s);
	wrote(&s, 1, 1, 120)->fault.kind = FAULT_MISSING;
	s.r[s.n - 1].record.fault.write = false;
	wrote(&s, 1, 1, 120);
	end(&s, 5, 4, 0);
	accept(&s);
	/* What another witness saw is not bound to coverage. */
	begin(&s);
	wrote(&s, 1, 1, 100)->fault.via = VIA_PERF;
	end(&s, 4, 4, 0);
	accept(&s);
	/* The block of a huge page is one. */
	begin(&s);
	vma(&s, 1, VMA_OP_ADD, 3, 512, 1024);
	arm(&s, 1, 512, 1024);
	wrote(&s, 1, 3, 700)->npages = 512;
	wrote(&s, 1, 3, 1024)->npages = 512;
	end(&s, 5, 5, 0);
	accept(&s);
	s.r[s.n - 3].record.addr = 900 * PAGE;
	refuse(&s, s.n - 1, "page 900 is not covered");
}

static void test_coverage_ends(void)
{
	static const enum record_kind kinds[] = { RECORD_REMOVE, RECORD_UNMAP };

	for (unsigned int i = 0; i < 2; i++) {
		begin(&s);
		tell_span(&s, kinds[i], 1, 110, 10);
		wrote(&s, 1, 1, 109);
		wrote(&s, 1, 1, 120);
		wrote(&s, 1, 1, 115);
		end(&s, 6, 6, 0);
		refuse(&s, s.n - 1, "page 115 is not covered");
	}
	/* A gap promises nothing, until the next arm. */
	begin(&s);
	tell_span(&s, RECORD_GAP, 1, 110, 10);
	wrote(&s, 1, 1, 115);
	wrote(&s, 1, 1, 115);
	arm(&s, 1, 110, 10);
	wrote(&s, 1, 1, 115);
	end(&s, 6, 6, 0);
	accept(&s);
	begin(&s);
	tell_span(&s, RECORD_GAP, 1, 110, 10);
	arm(&s, 1, 110, 10);
	wrote(&s, 1, 1, 115);
	wrote(&s, 1, 1, 115);
	end(&s, 5, 5, 0);
	refuse(&s, s.n - 1, "page 115 is not covered");
	begin(&s);
	tell_span(&s, RECORD_GAP, 1, 0, 0);
	wrote(&s, 1, 1, 100);
	wrote(&s, 1, 2, 150);
	end(&s, 5, 5, 0);
	accept(&s);
}

static void test_coverage_moves(void)
{
	/* 100 is spent and stays spent; 105 is covered where it goes; the origin is not. */
	begin(&s);
	tell_span(&s, RECORD_REMAP, 1, 100, 20)->remap.new_addr = 1000 * PAGE;
	vma(&s, 1, VMA_OP_ADD, 3, 1000, 20);
	wrote(&s, 1, 3, 1005);
	end(&s, 4, 4, 0);
	accept(&s);
	s.r[s.n - 3].record.addr = 1000 * PAGE;
	refuse(&s, s.n - 1, "page 1000 is not covered");
	s.r[s.n - 3].record.addr = 105 * PAGE;
	s.r[s.n - 3].record.fault.vma = 1;
	refuse(&s, s.n - 1, "page 105 is not covered");
	/* Moved over itself, by less than its length. */
	begin(&s);
	tell_span(&s, RECORD_REMAP, 1, 100, 20)->remap.new_addr = 110 * PAGE;
	wrote(&s, 1, 1, 129);
	wrote(&s, 1, 1, 111);
	end(&s, 5, 5, 0);
	accept(&s);
	s.r[s.n - 3].record.addr = 110 * PAGE;
	refuse(&s, s.n - 1, "page 110 is not covered");
}

static void test_fork(void)
{
	begin(&s);
	fork_to(&s, 2, true);
	vma(&s, 2, VMA_OP_SNAPSHOT, 11, 100, 50);
	wrote(&s, 2, 11, 101);
	wrote(&s, 1, 1, 101);
	end(&s, 5, 5, 0);
	accept(&s);
	/* The child is covered as its parent was: 100 had been written before. */
	s.r[s.n - 4].record.addr = 100 * PAGE;
	refuse(&s, s.n - 2, "page 100 is not covered");
	/* And its coverage is its own. */
	begin(&s);
	fork_to(&s, 2, true);
	wrote(&s, 2, 0, 101);
	wrote(&s, 2, 0, 101);
	end(&s, 5, 5, 0);
	refuse(&s, s.n - 1, "page 101 is not covered");
	begin(&s);
	fork_to(&s, 2, false);
	wrote(&s, 2, 0, 101);
	end(&s, 4, 4, 0);
	CU_ASSERT_EQUAL(run(&s, false), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(heard, "mm 2 is that of a child that is not followed"));
	/* One that there was no room for: a gap says so, and that is all. */
	begin(&s);
	fork_to(&s, 2, false);
	tell_span(&s, RECORD_GAP, 2, 0, 0)->gap.reason = GAP_LIMIT;
	end(&s, 3, 3, 0);
	accept(&s);
	begin(&s);
	fork_to(&s, 1, true);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "mm 1 of the child is in use");
	/* A child whose pid is learned late. */
	begin(&s);
	fork_to(&s, 2, true);
	s.r[s.n - 1].record.fork.child = RECORD_UNKNOWN;
	vma(&s, 2, VMA_OP_SNAPSHOT, 11, 100, 50)->pid = 0;
	wrote(&s, 2, 11, 101);
	wrote(&s, 2, 11, 102);
	end(&s, 5, 5, 0);
	accept(&s);
	s.r[s.n - 3].record.pid = 777;
	refuse(&s, s.n - 1, "mm 2 is that of process 200, not of 777");
}

static void test_exec_and_exit(void)
{
	begin(&s);
	tell(&s, RECORD_EXEC, 100, 1)->exec.new_mm = 5;
	tell(&s, RECORD_ATTACH, 100, 5);
	vma(&s, 5, VMA_OP_SNAPSHOT, 21, 100, 5)->pid = 100;
	arm(&s, 5, 100, 5)->pid = 100;
	wrote(&s, 5, 21, 100)->pid = 100;
	end(&s, 4, 4, 0);
	accept(&s);
	s.r[s.n - 3].record.mm = 1;
	s.r[s.n - 3].record.fault.vma = 0;
	refuse(&s, s.n - 1, "mm 1 has ended before");
	begin(&s);
	tell(&s, RECORD_EXIT, 100, 1);
	wrote(&s, 1, 0, 101);
	end(&s, 4, 4, 0);
	refuse(&s, s.n - 1, "mm 1 has ended before");
	begin(&s);
	tell(&s, RECORD_ATTACH, 100, 1);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "mm 1 is attached a second time");
	begin(&s);
	tell(&s, RECORD_EXEC, 100, 1)->exec.new_mm = 1;
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "new_mm 1 is in use");
	/* A vfork child leaves the memory that it borrowed: that lives on. */
	begin(&s);
	fork_to(&s, 0, false);
	tell(&s, RECORD_EXEC, 300, 1)->exec.new_mm = 6;
	tell(&s, RECORD_EXIT, 300, 6);
	wrote(&s, 1, 1, 101);
	end(&s, 4, 4, 0);
	accept(&s);
	*tell(&s, RECORD_ATTACH, 100, 1) = s.r[0].record;
	begin(&s);
	s.r[0].record.mm = 9;
	CU_ASSERT_EQUAL(run(&s, true), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(heard, "3:mm 1 has not been introduced"));
	CU_ASSERT_EQUAL(heard_n, 1);
}

static void test_header_engine(void)
{
	header.engine = engine_sync;
	CU_ASSERT_PTR_NULL(validate_free(NULL));
}

static void dirty(uint64_t page, uint64_t npages, uint32_t vma_id, uint64_t epoch)
{
	struct record *r = tell_span(&s, RECORD_DIRTY, 1, page, npages);

	r->dirty.vma = vma_id;
	r->dirty.epoch = epoch;
}

static void end_dirty(uint64_t pages)
{
	end(&s, 3, 3, 0);
	s.r[s.n - 2].record.stats.dirty_pages = pages;
}

/* A page stays covered, however often it is told; what is not armed is not told. */
static void test_dirty(void)
{
	header.engine = engine_async;
	begin(&s);
	arm(&s, 1, 100, 20)->arm.mode = ARM_ASYNC;
	dirty(100, 5, 1, 1);
	dirty(103, 2, 1, 2);
	end_dirty(7);
	accept(&s);
	s.r[s.n - 3].record.dirty.epoch = 0;
	refuse(&s, s.n - 1, "epoch 0 after epoch 1");
	begin(&s);
	vma(&s, 1, VMA_OP_ADD, 3, 300, 10);
	dirty(305, 1, 3, 1);
	end_dirty(1);
	refuse(&s, s.n - 1, "page 305 is not covered");
	/* Dropped: in doubt, told or not, until it is armed again. */
	begin(&s);
	tell_span(&s, RECORD_UNMAP, 1, 110, 5);
	dirty(109, 2, 1, 1);
	end_dirty(2);
	refuse(&s, s.n - 1, "page 110 is not covered");
	begin(&s);
	tell_span(&s, RECORD_GAP, 1, 110, 5);
	dirty(109, 2, 1, 1);
	end_dirty(2);
	accept(&s);
	/* The sum. */
	s.r[s.n - 2].record.stats.dirty_pages = 3;
	refuse(&s, s.n, "stats.dirty_pages is 3, the records make it 2");
	s.r[s.n - 2].record.stats.dirty_pages = 2;
	s.r[s.n - 2].record.stats.distinct_pages = 2;
	accept(&s);
	s.r[s.n - 2].record.stats.distinct_pages = 3;
	refuse(&s, s.n, "stats.distinct_pages is 3, the records make it 0 to 2");
	header.engine = engine_sync;
}

static void budget(bool resting)
{
	struct record *r = tell(&s, RECORD_BUDGET, 100, 1);

	r->ts0 = r->ts - 5;
	r->budget.budget_ppm = 50000;
	r->budget.epoch_ns = 1000;
	r->budget.cold_every = 1;
	r->budget.resting = resting;
}

/* Nothing is armed in a rest, and one does not begin twice. */
static void test_rest(void)
{
	header.engine = engine_async;
	begin(&s);
	budget(false);
	budget(true);
	tell_span(&s, RECORD_GAP, 1, 0, 0);
	budget(false);
	arm(&s, 1, 100, 20)->arm.mode = ARM_ASYNC;
	end(&s, 3, 3, 0);
	accept(&s);
	begin(&s);
	budget(true);
	arm(&s, 1, 100, 20)->arm.mode = ARM_ASYNC;
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "mm 1 is armed in a rest");
	begin(&s);
	budget(true);
	budget(true);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "mm 1 rests already");
	header.engine = engine_sync;
}

static const struct suite_test tests[] = {
	{ "engine", test_header_engine },
	{ "faults have a place", test_faults_have_a_place },
	{ "coverage", test_coverage },
	{ "coverage ends", test_coverage_ends },
	{ "coverage moves", test_coverage_moves },
	{ "fork", test_fork },
	{ "dirty", test_dirty },
	{ "rests", test_rest },
	{ "exec and exit", test_exec_and_exit },
};

SUITE_MAIN("validate-cover", tests)
