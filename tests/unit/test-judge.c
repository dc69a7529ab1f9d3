/* SPDX-License-Identifier: MIT */
/*
 * Judge: a truth and a trace written by hand, and the verdict on them.
 *
 * Page 512 and what follows is judged, one process (100) with two threads (100, 101).
 * Times are short numbers: the base of the trace is 0.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../judge/judge.h"
#include "suite.h"

#define PAGE 4096u
#define P 512u

static struct {
	char dir[64], path[80];
	FILE *trace, *truth[4];
	uint64_t seq;
	struct truth truths;
	struct judge judge;
} c;

static void truth_file(unsigned int i, uint32_t pid, uint32_t tid)
{
	struct truth_header h = { .pid = pid, .tid = tid, .page_size = PAGE, .start_ns = 1 };
	char path[128];

	memcpy(h.magic, TRUTH_MAGIC, 8);
	snprintf(path, sizeof(path), "%s/%u-%u.truth", c.dir, pid, tid);
	c.truth[i] = fopen(path, "w");
	CU_ASSERT_FATAL(c.truth[i] && fwrite(&h, sizeof(h), 1, c.truth[i]) == 1);
}

static void say(unsigned int i, uint32_t who, enum truth_op op, uint64_t t0, uint64_t t1,
		uint64_t page, uint64_t npages, uint64_t aux, uint16_t flags)
{
	struct truth_entry e = {
		.t0 = t0, .t1 = t1, .addr = page * PAGE, .len = npages * PAGE, .aux = aux,
		.aux2 = npages * PAGE, .op = (uint16_t)op, .flags = flags, .who = who,
	};

	CU_ASSERT_FATAL(fwrite(&e, sizeof(e), 1, c.truth[i]) == 1);
}

static void wrote(uint32_t tid, uint64_t t0, uint64_t t1, uint64_t page)
{
	say(tid - 100, tid, TRUTH_WRITE, t0, t1, page, 1, 0, 0);
}

static void tell(struct record r, uint64_t ts0, uint64_t ts, uint64_t page, uint64_t npages)
{
	char line[RECORD_LINE_MAX];
	int64_t n;

	r.pid = r.pid ? r.pid : 100;
	r.mm = r.mm ? r.mm : 1;
	r.ts0 = ts0;
	r.ts = ts;
	r.addr = page * PAGE;
	r.npages = npages;
	n = record_format(&r, ++c.seq, PAGE, line, sizeof(line));
	CU_ASSERT_FATAL(n > 0 && fwrite(line, (size_t)n, 1, c.trace) == 1);
}

static void arm(uint64_t ts0, uint64_t ts, uint64_t page, uint64_t npages)
{
	tell((struct record){ .kind = RECORD_ARM, .arm.mode = ARM_WP }, ts0, ts, page, npages);
}

static void fault(int32_t tid, uint64_t ts, uint64_t page)
{
	tell((struct record){ .kind = RECORD_FAULT, .fault = {
		.tid = tid, .kind = FAULT_WP, .write = true, .act = ACT_UNPROTECT,
		.via = VIA_UFFD, .lat_ns = 2, .stop_ns = 3 } }, 0, ts, page, 1);
}

static void span(enum record_kind kind, uint64_t ts0, uint64_t ts, uint64_t page, uint64_t npages)
{
	tell((struct record){ .kind = (uint8_t)kind }, ts0, ts, page, npages);
}

static const char *engine = "sync";

static void begin(void)
{
	static const char *const none[] = { NULL };
	struct record_header h = {
		.version = "1", .host = "h", .kernel = "k", .arch = "a", .engine = engine,
		.page_size = PAGE, .modes = none, .features = none, .events = none, .argv = none,
	};
	char line[RECORD_TEXT_LINE_MAX];
	int64_t n;

	memset(&c, 0, sizeof(c));
	snprintf(c.dir, sizeof(c.dir), "/tmp/test-judge.XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(c.dir) != NULL);
	snprintf(c.path, sizeof(c.path), "%s/trace", c.dir);
	c.trace = fopen(c.path, "w");
	n = record_format_header(&h, line, sizeof(line));
	CU_ASSERT_FATAL(c.trace && n > 0 && fwrite(line, (size_t)n, 1, c.trace) == 1);
	truth_file(0, 100, 100);
	truth_file(1, 100, 101);
	say(0, 100, TRUTH_AREA, 5, 6, P, 64, 3, 0);
	tell((struct record){ .kind = RECORD_ATTACH }, 0, 10, 0, 0);
	arm(20, 30, P, 64);
}

static void judge_it(void)
{
	fclose(c.trace);
	for (unsigned int i = 0; i < 4; i++)
		if (c.truth[i])
			fclose(c.truth[i]);
	CU_ASSERT_EQUAL_FATAL(truth_load(&c.truths, c.dir), 0);
	judge_begin(&c.judge, &c.truths, c.path);
	CU_ASSERT_EQUAL(trace_read(&c.judge), 0);
	judge_end(&c.judge);
}

static void done(void)
{
	static const char *const names[] = {
		"trace", "100-100.truth", "100-101.truth", "200-200.truth",
	};
	char path[128];

	judge_free(&c.judge);
	truth_free(&c.truths);
	for (unsigned int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", c.dir, names[i]);
		unlink(path);
	}
	CU_ASSERT_EQUAL(rmdir(c.dir), 0);
}

/* The verdict `v` on one write, and one error `e` (E_NR: none). */
static void expect(enum verdict v, enum judge_error e)
{
	tell((struct record){ .kind = RECORD_GAP, .gap.reason = GAP_STALL }, UINT32_MAX - 1,
	     UINT32_MAX, 4096, 1);
	for (unsigned int i = 0; i < 2; i++)
		say(i, 100 + i, TRUTH_THREAD_END, 100000, 100000, 0, 0, 0, 0);
	judge_it();
	CU_ASSERT_EQUAL(c.judge.verdicts[v], 1);
	if (c.judge.verdicts[v] != 1)
		report_json(&c.judge);
	CU_ASSERT_EQUAL(judge_errors(&c.judge), e == E_NR ? 0 : 1);
	if (e != E_NR)
		CU_ASSERT_EQUAL(c.judge.errors[e], 1);
	done();
}

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
	tell((struct record){ .kind = RECORD_GAP, .gap.reason = GAP_REMOVE_RACE }, 30, 90, P, 1);
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
	begin();
	say(0, 100, TRUTH_UNMAP, 40, 50, P, 8, 0, 0);
	wrote(100, 31, 39, P + 9);
	fault(100, 36, P + 9);
	expect(V_FOUND, E_LAYOUT_MISSING);
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
			tell((struct record){ .kind = RECORD_GAP, .gap.reason = GAP_NEW_MAPPING },
			     46, 80, P, 8);
		arm(82, 84, P, 8);
		expect(declared ? V_BLIND : V_UNDECLARED, declared ? E_NR : E_UNDECLARED);
	}
	/* That gap does not excuse what was lost in the mapping before. */
	begin();
	wrote(100, 36, 38, P);
	say(0, 100, TRUTH_UNMAP, 40, 50, P, 8, 0, 0);
	span(RECORD_UNMAP, 39, 45, P, 8);
	tell((struct record){ .kind = RECORD_GAP, .gap.reason = GAP_NEW_MAPPING }, 10, 80, P, 8);
	expect(V_LOST, E_LOST);
	/* The record ends after the next act has begun: that one is of new memory. */
	begin();
	say(0, 100, TRUTH_REPLACE, 40, 45, P, 8, 3, 0);
	say(0, 100, TRUTH_ADVISE, 47, 50, P, 8, 0, MADV_DONTNEED);
	span(RECORD_UNMAP, 35, 60, P, 8);
	tell((struct record){ .kind = RECORD_GAP, .gap.reason = GAP_NEW_MAPPING }, 41, 62, P, 8);
	wrote(100, 63, 68, P + 9);
	fault(100, 65, P + 9);
	expect(V_FOUND, E_NR);
	/* What is moved is covered at its new place. */
	begin();
	say(0, 100, TRUTH_REMAP, 40, 50, P, 4, (P + 1024) * PAGE, MREMAP_MAYMOVE);
	tell((struct record){ .kind = RECORD_REMAP, .remap.new_addr = (P + 1024) * PAGE },
	     31, 45, P, 4);
	wrote(100, 51, 55, P + 1025);
	expect(V_LOST, E_LOST);
}

static void test_children(void)
{
	struct record fork = {
		.kind = RECORD_FORK, .fork = { .child = 200, .child_mm = 2, .followed = true },
	};
	struct record r = { .kind = RECORD_FAULT, .pid = 200, .mm = 2, .fault = {
		.tid = 200, .kind = FAULT_WP, .write = true, .act = ACT_UNPROTECT,
		.via = VIA_UFFD, .lat_ns = 2, .stop_ns = 3 } };

	/* Covered where its parent was: one write told, one lost. */
	begin();
	say(0, 100, TRUTH_FORK, 40, 50, 0, 0, 200, 0);
	truth_file(2, 200, 200);
	say(2, 200, TRUTH_CHILD, 45, 45, 0, 0, 100, 0);
	say(2, 200, TRUTH_WRITE, 52, 60, P, 1, 0, 0);
	say(2, 200, TRUTH_WRITE, 62, 64, P + 1, 1, 0, 0);
	tell(fork, 0, 47, 0, 0);
	tell(r, 0, 57, P, 1);
	tell((struct record){ .kind = RECORD_EXIT, .pid = 200, .mm = 2 }, 0, 70, 0, 0);
	judge_it();
	CU_ASSERT_EQUAL(c.judge.verdicts[V_FOUND], 1);
	CU_ASSERT_EQUAL(c.judge.verdicts[V_LOST], 1);
	CU_ASSERT_EQUAL(judge_errors(&c.judge), 1);
	done();
	/* Nobody told of the fork. */
	begin();
	say(0, 100, TRUTH_FORK, 40, 50, 0, 0, 200, 0);
	wrote(100, 52, 60, P);
	fault(100, 57, P);
	expect(V_FOUND, E_FORK);
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
	tell((struct record){ .kind = RECORD_GAP, .gap.reason = GAP_NEW_MAPPING }, 60011, 60100,
	     P, 8);
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
	tell((struct record){ .kind = RECORD_GAP, .gap.reason = GAP_STALL }, 40, 100, P, 1);
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
	{ "a forked child", test_children },
	{ "places for planted faults", test_plants_are_found },
	{ "pages found dirty", test_async },
	{ "pages found dirty, and by whom", test_witnessed },
	{ "the same, planted", test_plants_async },
};

SUITE_MAIN("judge", tests)
