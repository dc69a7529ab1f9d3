/* SPDX-License-Identifier: MIT */
/* Judge: a truth and a trace written by hand, and the verdict on them. */

#include <sys/mman.h>

#include "../judge/truth-file.h"
#include "judge-story.h"

static void test_found(void)
{
	begin();
	wrote(100, 40, 50, P);
	fault(100, 46, P);
	expect(V_FOUND, E_NR);
	/* Told after the answer had let the thread go: it stood still at ts - lat_ns. */
	begin();
	wrote(100, 40, 50, P);
	fault(100, 52, P);
	expect(V_FOUND, E_NR);
	/* Begun before the arm was over: nothing required it. */
	begin();
	wrote(100, 25, 50, P);
	fault(100, 46, P);
	expect(V_TOLD, E_NR);
}

static void test_lost(void)
{
	begin();
	wrote(100, 40, 50, P);
	expect(V_LOST, E_LOST);
	/* A later write is told, with no arm in between: the first arm came too late. */
	begin();
	wrote(100, 40, 50, P);
	wrote(101, 60, 70, P);
	fault(101, 66, P);
	expect(V_LATE, E_LATE);
	/* With one it is a lost record. */
	begin();
	wrote(100, 40, 50, P);
	wrote(101, 60, 70, P);
	arm(52, 54, P, 1);
	fault(101, 66, P);
	expect(V_LOST, E_LOST);
	/* A gap that is told later excuses it. */
	begin();
	wrote(100, 40, 50, P);
	declare(GAP_REMOVE_RACE, 30, 90, P, 1);
	expect(V_BLIND, E_NR);
}

static void test_uncovered(void)
{
	/* Spent, and at the same instant as another's. */
	begin();
	wrote(100, 40, 50, P);
	fault(100, 46, P);
	wrote(101, 60, 70, P);
	expect(V_SPENT, E_NR);
	begin();
	wrote(100, 40, 50, P);
	fault(100, 46, P);
	wrote(101, 42, 48, P);
	expect(V_SHARED, E_NR);
	/* Another's that was over before the fault is none of these. */
	begin();
	wrote(100, 40, 50, P);
	fault(100, 46, P);
	wrote(101, 35, 42, P);
	expect(V_LATE, E_LATE);
	/* Across an arm. */
	begin();
	wrote(100, 40, 50, P);
	fault(100, 46, P);
	arm(60, 70, P, 1);
	wrote(101, 58, 72, P);
	expect(V_AMBIGUOUS, E_NR);
	/* Contents dropped: not covered until the next arm. */
	begin();
	say(0, 100, TRUTH_ADVISE, 40, 44, P, 1, 0, MADV_DONTNEED);
	span(RECORD_REMOVE, 31, 45, P, 1);
	wrote(100, 46, 50, P);
	expect(V_BLIND, E_NR);
}

static void test_phantoms(void)
{
	begin();
	wrote(100, 40, 50, P);
	fault(100, 46, P);
	fault(100, 66, P + 1);
	expect(V_FOUND, E_PHANTOM);
	/* The thread stood still on the other page when this was read, whatever it did then. */
	begin();
	wrote(100, 40, 50, P);
	fault(100, 46, P);
	tell((struct record){ .kind = RECORD_FAULT, .fault = {
		.tid = 100, .kind = FAULT_WP, .write = true, .act = ACT_UNPROTECT,
		.via = VIA_UFFD, .lat_ns = 6, .stop_ns = 6 } }, 0, 53, P + 1, 1);
	wrote(100, 51, 55, P + 1);
	say(0, 100, TRUTH_THREAD_END, 90, 90, 0, 0, 0, 0);
	say(1, 101, TRUTH_THREAD_END, 90, 90, 0, 0, 0, 0);
	judge_it();
	CU_ASSERT_EQUAL(c.judge.errors[E_PHANTOM], 1);
	done();
	begin();
	wrote(100, 40, 50, P);
	fault(101, 46, P);
	say(1, 101, TRUTH_THREAD_END, 90, 90, 0, 0, 0, 0);
	judge_it();
	CU_ASSERT_EQUAL(c.judge.errors[E_WRONG_THREAD], 1);
	done();
	begin();
	wrote(100, 40, 50, P);
	fault(100, 46, P);
	fault(100, 47, P);
	expect(V_FOUND, E_DUPLICATE);
	/* A dropped page that the truth does not know. */
	begin();
	span(RECORD_REMOVE, 31, 45, P, 1);
	wrote(100, 50, 60, P);
	expect(V_BLIND, E_LAYOUT_PHANTOM);
}

static void test_layout(void)
{
	/* It is not told; and the same in a stall, when nothing is. */
	for (int stall = 0; stall < 2; stall++) {
		begin();
		say(0, 100, TRUTH_UNMAP, 40, 50, P, 8, 0, 0);
		wrote(100, 31, 34, P + 9);
		fault(100, 33, P + 9);
		if (stall)
			declare(GAP_STALL, 38, 60, 0, 0);
		expect(V_FOUND, stall ? E_NR : E_LAYOUT_MISSING);
	}
	/* Half of it is told. */
	begin();
	say(0, 100, TRUTH_UNMAP, 40, 50, P, 8, 0, 0);
	span(RECORD_UNMAP, 35, 45, P, 4);
	wrote(100, 31, 34, P + 9);
	fault(100, 35, P + 9);
	expect(V_FOUND, E_LAYOUT_MISSING);
	/* New memory in its place that nobody declares, and the same with a gap. */
	for (int declared = 0; declared < 2; declared++) {
		begin();
		say(0, 100, TRUTH_UNMAP, 40, 50, P, 8, 0, 0);
		span(RECORD_UNMAP, 35, 45, P, 8);
		say(0, 100, TRUTH_AREA, 51, 52, P, 8, 3, 0);
		wrote(100, 60, 61, P);
		if (declared)
			declare(GAP_NEW_MAPPING, 46, 80, P, 8);
		arm(82, 84, P, 8);
		expect(declared ? V_BLIND : V_UNDECLARED, declared ? E_NR : E_UNDECLARED);
	}
	/* That gap does not excuse what was lost in the mapping before. */
	begin();
	wrote(100, 36, 38, P);
	say(0, 100, TRUTH_UNMAP, 40, 50, P, 8, 0, 0);
	span(RECORD_UNMAP, 39, 45, P, 8);
	declare(GAP_NEW_MAPPING, 10, 80, P, 8);
	expect(V_LOST, E_LOST);
	/* The record ends after the next act has begun: that one is of new memory. */
	begin();
	say(0, 100, TRUTH_REPLACE, 40, 45, P, 8, 3, 0);
	say(0, 100, TRUTH_ADVISE, 47, 50, P, 8, 0, MADV_DONTNEED);
	span(RECORD_UNMAP, 35, 60, P, 8);
	declare(GAP_NEW_MAPPING, 41, 62, P, 8);
	wrote(100, 63, 68, P + 9);
	fault(100, 65, P + 9);
	expect(V_FOUND, E_NR);
	/* What is moved is covered at its new place. */
	begin();
	say(0, 100, TRUTH_REMAP, 40, 50, P, 4, TO * PAGE, MREMAP_MAYMOVE);
	tell((struct record){ .kind = RECORD_REMAP, .remap.new_addr = TO * PAGE }, 31, 45, P, 4);
	wrote(100, 51, 55, TO + 1);
	expect(V_LOST, E_LOST);
}

static void test_plants_are_found(void)
{
	begin();
	for (uint64_t t = 100; t < 40000; t += 100) {
		wrote(100, t, t + 10, P + t / 100 % 32);
		fault(100, t + 6, P + t / 100 % 32);
		wrote(101, t + 20, t + 22, P + t / 100 % 32);
		arm(t + 30, t + 31, P + t / 100 % 32, 1);
	}
	say(0, 100, TRUTH_UNMAP, 60000, 60010, P, 8, 0, 0);
	span(RECORD_UNMAP, 59000, 60011, P, 8);
	say(0, 100, TRUTH_AREA, 60020, 60030, P, 8, 3, 0);
	wrote(100, 60040, 60050, P);
	declare(GAP_NEW_MAPPING, 60011, 60100, P, 8);
	arm(60101, 60102, P, 8);
	span(RECORD_REMOVE, UINT32_MAX, UINT32_MAX, 4096, 1);
	judge_it();
	CU_ASSERT_EQUAL(judge_errors(&c.judge), 0);
	CU_ASSERT_EQUAL(c.judge.verdicts[V_FOUND], 399);
	judge_free(&c.judge);
	CU_ASSERT_EQUAL(plants_run(&c.truths, c.path, PLANT_NONE, 3), 0);
	/* Each kind has its places. */
	judge_begin(&c.judge, &c.truths, c.path);
	c.judge.plant = PLANT_LOOK;
	CU_ASSERT_EQUAL(trace_read(&c.judge), 0);
	judge_end(&c.judge);
	for (enum plant k = PLANT_NONE + 1; k < PLANT_DROP_DIRTY; k++)
		CU_ASSERT(c.judge.nsites[k] > 0);
	done();
}

static void begin_async(void)
{
	engine = "async";
	begin();
	engine = "sync";
	tell((struct record){ .kind = RECORD_ARM, .arm.mode = ARM_ASYNC }, 31, 32, P, 64);
}

static void dirty(uint64_t ts0, uint64_t ts, uint64_t page, uint64_t npages)
{
	tell((struct record){ .kind = RECORD_DIRTY, .dirty.epoch = 1 }, ts0, ts, page, npages);
}

static void witnessed(int32_t tid, uint64_t at, uint64_t ts, uint64_t page)
{
	tell((struct record){ .kind = RECORD_FAULT, .fault = {
		.tid = tid, .kind = FAULT_WP, .write = true, .via = VIA_PERF } }, at, ts, page, 1);
}

static void test_async(void)
{
	begin_async();
	wrote(100, 50, 52, P);
	dirty(40, 100, P, 1);
	expect(V_FOUND, E_NR);
	/* The second epoch tells nothing of it. */
	begin_async();
	wrote(100, 50, 52, P);
	wrote(100, 150, 152, P);
	dirty(40, 100, P, 1);
	expect(V_LOST, E_LOST);
	/* Written in another epoch, by nobody in this one. */
	begin_async();
	wrote(100, 50, 52, P);
	dirty(40, 100, P, 1);
	dirty(99, 200, P, 1);
	expect(V_FOUND, E_PHANTOM);
	/* Not looked at, and said so. */
	begin_async();
	wrote(100, 50, 52, P);
	declare(GAP_STALL, 40, 100, P, 1);
	expect(V_BLIND, E_NR);
}

static void test_witnessed(void)
{
	begin_async();
	wrote(100, 50, 52, P);
	dirty(40, 100, P, 1);
	witnessed(100, 51, 101, P);
	expect(V_FOUND, E_NR);
	begin_async();
	wrote(100, 50, 52, P);
	dirty(40, 100, P, 1);
	witnessed(101, 51, 101, P);
	expect(V_FOUND, E_WRONG_THREAD);
	/* It only read, and nobody wrote afterwards. */
	begin_async();
	wrote(100, 50, 52, P);
	say(1, 101, TRUTH_READ, 60, 62, P, 1, 0, 0);
	dirty(40, 100, P, 1);
	witnessed(101, 61, 101, P);
	expect(V_FOUND, E_PHANTOM);
}

static void test_plants_async(void)
{
	begin_async();
	for (uint64_t i = 1; i < 200; i++) {
		uint64_t t = i * 10000000;

		wrote(100, t, t + 10, P + i % 32);
		wrote(101, t + 20, t + 22, P + 33);
		dirty(t - 5, t + 9000000, P + i % 32, 1);
		witnessed(100, t + 5, t + 9000000, P + i % 32);
		dirty(t - 5, t + 9000000, P + 33, 1);
	}
	say(0, 100, TRUTH_UNMAP, 2000000000, 2000000010, P, 8, 0, 0);
	span(RECORD_UNMAP, 1999999999, 2000000011, P, 8);
	span(RECORD_REMOVE, UINT32_MAX, UINT32_MAX, 4096, 1);
	judge_it();
	CU_ASSERT_EQUAL(judge_errors(&c.judge), 0);
	judge_free(&c.judge);
	CU_ASSERT_EQUAL(plants_run(&c.truths, c.path, PLANT_NONE, 3), 0);
	judge_begin(&c.judge, &c.truths, c.path);
	c.judge.plant = PLANT_LOOK;
	CU_ASSERT_EQUAL(trace_read(&c.judge), 0);
	judge_end(&c.judge);
	CU_ASSERT(c.judge.nsites[PLANT_DROP_DIRTY] && c.judge.nsites[PLANT_INVENT_DIRTY]);
	CU_ASSERT(c.judge.nsites[PLANT_WRONG_THREAD] && c.judge.nsites[PLANT_DROP_LAYOUT]);
	done();
}

static const struct suite_test tests[] = {
	{ "a write that is told", test_found },
	{ "a write that is not", test_lost },
	{ "what nothing required", test_uncovered },
	{ "what did not happen", test_phantoms },
	{ "unmap, remap and new memory", test_layout },
	{ "places for planted faults", test_plants_are_found },
	{ "pages found dirty", test_async },
	{ "pages found dirty, and by whom", test_witnessed },
	{ "the same, planted", test_plants_async },
};

SUITE_MAIN("judge", tests)
