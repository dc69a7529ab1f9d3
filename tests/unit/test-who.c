/* SPDX-License-Identifier: MIT */
/* Who: touches and dirty pages in, faults and stacks out. */

#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "watch/who.h"

#define PAGE UINT64_C(4096)
#define AT UINT64_C(0x7f0000000000)
#define TOUCHES 1024u

static struct queue *queue;
static struct emit emit;
static struct who *who;

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(queue_new(&queue, 65536), 0);
	CU_ASSERT_EQUAL_FATAL(emit_init(&emit, queue, 0, (uint32_t)PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(who_new(&who, TOUCHES, (uint32_t)PAGE), 0);
}

static void end(void)
{
	who_free(who);
	emit_done(&emit);
	queue_free(queue);
}

static enum witness_access what_for = WITNESS_UNKNOWN;

static void touch(pid_t tid, uint64_t page, uint64_t time)
{
	static const uint64_t frames[] = { 0x401000, 0x402000 };
	struct witness_event ev = {
		.kind = WITNESS_TOUCH, .pid = 7, .tid = tid, .time = time,
		.touch = { .addr = AT + page * PAGE + 24, .ip = 0x401000, .frames = frames,
			   .nframes = 2, .access = (uint8_t)what_for },
	};

	who_touch(who, &ev);
}

static void dirty(uint64_t page, uint64_t n, uint64_t t0, uint64_t t1)
{
	struct who_run r = {
		.pid = 7, .mm = 1, .vma = 5, .page_size = (uint32_t)PAGE, .t0 = t0, .t1 = t1,
		.run = { AT + page * PAGE, AT + (page + n) * PAGE },
	};

	who_dirty(who, &emit, &r, t1 + 1);
}

/* The next record that is no stack; kind RECORD_NR: there is none. */
static struct record next(void)
{
	struct record r;

	while (queue_pop(queue, &r, 0) == 1) {
		record_release(&r);
		if (r.kind != RECORD_STACK)
			return r;
	}
	return (struct record){ .kind = RECORD_NR };
}

static void expect(pid_t tid, uint64_t page, uint64_t time, bool sure)
{
	struct record r = next();

	CU_ASSERT_EQUAL(r.kind, RECORD_FAULT);
	CU_ASSERT_EQUAL(r.fault.tid, tid);
	CU_ASSERT_EQUAL(r.addr, AT + page * PAGE + 24);
	CU_ASSERT_EQUAL(r.ts0, time);
	CU_ASSERT_EQUAL(r.fault.write, sure);
	CU_ASSERT_EQUAL(r.fault.unsure, !sure);
	CU_ASSERT(r.fault.via == VIA_PERF && r.fault.kind == FAULT_WP && r.fault.vma == 5);
	CU_ASSERT(r.fault.ip == 0x401000 && r.fault.stack && r.npages == 1);
}

static void expect_none(void)
{
	CU_ASSERT_EQUAL(next().kind, RECORD_NR);
}

static void test_one_writer(void)
{
	begin();
	touch(10, 0, 100);
	touch(10, 1, 110);
	touch(11, 3, 120);	/* a read: its page will not be dirty */
	dirty(0, 3, 50, 200);
	expect(10, 0, 100, true);
	expect(10, 1, 110, true);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 1);	/* page 2 */
	/* Told once, and not again in the next epoch. */
	dirty(0, 1, 190, 300);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 2);
	end();
}

/*
 * Two passes overlap, and found the page both; the one touch that there was has been told of with
 * the first one.  That nobody is told of with the second one counts: pages are those that have
 * a witness and those that have none.
 */
static void test_overlap(void)
{
	begin();
	touch(10, 0, 150);
	dirty(0, 1, 50, 200);
	expect(10, 0, 150, true);
	dirty(0, 1, 100, 300);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 1);
	end();
}

/* Of the epochs before, and of the one after, nothing is told. */
static void test_epochs(void)
{
	const uint64_t t = 10 * WHO_FLIGHT;

	begin();
	touch(10, 0, t - WHO_FLIGHT);
	touch(11, 0, t + 100);
	dirty(0, 1, t, t + 50);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 1);
	dirty(0, 1, t + 50, t + 150);
	expect(11, 0, t + 100, true);
	expect_none();
	end();
}

static void dirty_at(uint64_t t0, uint64_t begun, uint64_t t1)
{
	struct who_run r = {
		.pid = 7, .mm = 1, .vma = 5, .page_size = (uint32_t)PAGE, .run = { AT, AT + PAGE },
		.t0 = t0, .begun = begun, .t1 = t1,
	};

	who_dirty(who, &emit, &r, t1 + 1);
}

/*
 * A page that is written all the time is written at once when a pass has protected it, before
 * that pass knows the time: then it tells of the next epoch's write as well as of its own, and
 * each time that the page is found has its witness.
 */
static void test_ahead(void)
{
	begin();
	touch(10, 0, 150);
	touch(10, 8, 160);
	touch(11, 0, 205);
	dirty_at(100, 200, 210);
	expect(10, 0, 150, false);
	expect(11, 0, 205, true);
	touch(12, 0, 305);
	dirty_at(200, 300, 310);
	expect(12, 0, 305, true);
	dirty_at(300, 400, 410);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 0);
	dirty_at(300, 500, 510);
	CU_ASSERT_EQUAL(who_unwitnessed(who), 1);
	/* By itself it is this epoch's; and so is one that came before the pass did. */
	touch(10, 0, 605);
	dirty_at(510, 600, 610);
	expect(10, 0, 605, true);
	dirty_at(600, 700, 710);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 2);
	end();
}

/* A fault had begun before a pass, and ended after it. */
static void test_in_flight(void)
{
	const uint64_t t = 10 * WHO_FLIGHT;

	begin();
	touch(10, 0, t - WHO_FLIGHT + 1);
	touch(11, 1, t - 100);
	touch(11, 8, t - 50);	/* so the one before was over */
	touch(12, 2, t - 100);
	touch(13, 2, t + 100);
	who_passed(who, t);
	dirty(0, 3, t, t + 200);
	expect(10, 0, t - WHO_FLIGHT + 1, false);
	expect(13, 2, t + 100, true);	/* whoever it was before, this one had to fault */
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 1);	/* page 1 */
	/* It is told once. */
	dirty(0, 1, t, t + 200);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 2);
	end();
}

/* A thread reads, and another one writes: the last fault is the write. */
static void test_reads_before(void)
{
	begin();
	touch(10, 0, 100);
	touch(10, 8, 150);	/* so the fault at 100 was over by then */
	touch(11, 0, 200);
	dirty(0, 1, 50, 300);
	expect(11, 0, 200, true);
	expect_none();
	/* The same thread: first it read, or a signal repeated its fault. */
	touch(12, 1, 210);
	touch(12, 1, 220);
	dirty(1, 1, 50, 300);
	expect(12, 1, 220, true);
	expect_none();
	end();
}

/* Whether the first one's fault was over nobody knows: both may have written. */
static void test_at_the_same_time(void)
{
	begin();
	touch(10, 0, 100);
	touch(11, 0, 101);
	touch(10, 9, 140);	/* too late to tell anything */
	dirty(0, 1, 50, 300);
	expect(10, 0, 100, false);
	expect(11, 0, 101, false);
	expect_none();
	end();
}

/* Rings of several CPUs are not in order of time. */
static void test_out_of_order(void)
{
	begin();
	touch(11, 0, 200);
	touch(10, 8, 150);
	touch(10, 0, 100);
	dirty(0, 1, 50, 300);
	expect(11, 0, 200, true);
	expect_none();
	end();
}

/* A touch after which others were lost may have been a read. */
static void test_lost(void)
{
	begin();
	touch(10, 0, 100);
	who_lost(who, 150);
	touch(10, 1, 160);
	dirty(0, 2, 50, 300);
	expect(10, 0, 100, false);
	expect(10, 1, 160, true);
	expect_none();
	end();
}

/* Where faults say what they are for, neither a read nor a loss leaves a doubt. */
static void test_sure(void)
{
	begin();
	what_for = WITNESS_WRITE;
	touch(10, 0, 100);
	touch(11, 0, 101);
	touch(10, 0, 102);	/* once more, after a signal */
	touch(12, 1, 103);
	what_for = WITNESS_READ;
	touch(13, 0, 104);
	touch(13, 2, 105);
	what_for = WITNESS_UNKNOWN;
	who_lost(who, 150);
	dirty(0, 3, 50, 300);
	expect(11, 0, 101, true);
	expect(10, 0, 102, true);
	expect(12, 1, 103, true);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 1);	/* somebody else wrote page 2 */
	end();
}

/* What was written where it was before is dirty here. */
static void test_moved(void)
{
	struct who_run r = {
		.pid = 7, .mm = 1, .vma = 5, .page_size = (uint32_t)PAGE, .t0 = 50, .t1 = 300,
		.run = { AT, AT + PAGE }, .came = true,
	};

	begin();
	touch(10, 0, 100);
	who_dirty(who, &emit, &r, 301);
	expect(10, 0, 100, false);
	expect_none();
	end();
}

static void test_huge_page(void)
{
	struct who_run r = {
		.pid = 7, .mm = 1, .vma = 5, .page_size = 512 * (uint32_t)PAGE, .t0 = 50,
		.t1 = 300, .run = { AT, AT + 1024 * PAGE },
	};
	struct record f;

	begin();
	touch(10, 100, 100);
	who_dirty(who, &emit, &r, 301);
	f = next();
	CU_ASSERT(f.kind == RECORD_FAULT && f.addr == AT + 100 * PAGE + 24 && f.npages == 512);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 512);
	end();
}

/* More touches than there is room for: the oldest go, and what they leave is unsure. */
static void test_full(void)
{
	begin();
	CU_ASSERT_FALSE(who_crowded(who));
	for (unsigned int i = 0; i < TOUCHES + 8; i++)
		touch(10, i, 100 + i);
	CU_ASSERT(who_crowded(who));
	dirty(0, 8, 50, 5000);
	expect_none();
	CU_ASSERT_EQUAL(who_unwitnessed(who), 8);
	dirty(8, TOUCHES, 50, 5000);
	for (unsigned int i = 8; i < TOUCHES + 8; i++)
		expect(10, i, 100 + i, 100 + i > 107);
	expect_none();
	who_passed(who, WHO_FLIGHT + 5000);
	CU_ASSERT_FALSE(who_crowded(who));
	end();
}

/* Against a table of its own: every touch of a dirty page is told, of others none. */
static void test_many(void)
{
	enum { PAGES = 4096, ROUNDS = 64 };
	static uint64_t last[PAGES];
	uint64_t now = 1000, told = 0, t0;

	begin();
	srandom(5);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int touched = 0;

		t0 = now;
		for (unsigned int i = 0; i < TOUCHES / 2; i++) {
			uint64_t page = (uint64_t)random() % PAGES;

			if (last[page] > t0)
				continue;
			touch(20, page, last[page] = now += WHO_FLIGHT / 16);
			touched++;
		}
		dirty(0, PAGES, t0, now);
		for (struct record r; (r = next()).kind == RECORD_FAULT; touched--, told++) {
			CU_ASSERT_EQUAL(r.ts0, last[(r.addr - AT) / PAGE]);
			CU_ASSERT(r.fault.write);
		}
		CU_ASSERT_EQUAL(touched, 0);
		who_passed(who, t0);
	}
	CU_ASSERT_EQUAL(who_unwitnessed(who), (uint64_t)PAGES * ROUNDS - told);
	end();
}

static struct witness_event with_frames(const uint64_t *frames, uint32_t n)
{
	return (struct witness_event){
		.kind = WITNESS_TOUCH, .touch = { .frames = frames, .nframes = n },
	};
}

/* A stack is told once, before the first fault that names it. */
static void test_stack_records(void)
{
	struct record r;
	unsigned int stacks = 0;

	begin();
	touch(10, 0, 100);
	touch(10, 1, 110);
	dirty(0, 2, 50, 200);
	CU_ASSERT_EQUAL_FATAL(queue_pop(queue, &r, 0), 1);
	CU_ASSERT(r.kind == RECORD_STACK && r.text && r.text->len[0] == 16);
	record_release(&r);
	while (queue_pop(queue, &r, 0) == 1) {
		stacks += r.kind == RECORD_STACK;
		record_release(&r);
	}
	CU_ASSERT_EQUAL(stacks, 0);
	end();
}

static void ignore(void *arg, enum vma_op op, struct region *r)
{
	(void)arg;
	(void)op;
	(void)r;
}

/* A chain ends where it leaves what is code, but it begins wherever the thread was. */
static void test_frames_of_code(void)
{
	static const uint64_t frames[] = { 0x10, 0x402000, 0x401001, 0x400fff, 0x401500 };
	struct map_entry code = {
		.lo = 0x401000, .hi = 0x402000, .prot = RECORD_PROT_READ | RECORD_PROT_EXEC,
		.ino = 7, .name = "/f", .name_len = 2,
	};
	struct maps m = { .v = &code, .n = 1 };
	struct witness_event ev = with_frames(frames, 5);
	struct layout layout;
	struct who_run r = {
		.pid = 7, .mm = 1, .page_size = (uint32_t)PAGE, .layout = &layout,
		.run = { AT, AT + PAGE }, .t0 = 50, .t1 = 200,
	};
	uint64_t told[3];
	uint32_t id = 1;
	struct record s;

	begin();
	layout_init(&layout, 10);
	CU_ASSERT_EQUAL_FATAL(layout_reconcile(&layout, &m, true, &id, ignore, NULL), 0);
	ev.pid = 7;
	ev.time = 100;
	ev.touch.addr = AT;
	who_touch(who, &ev);
	who_dirty(who, &emit, &r, 201);
	CU_ASSERT_EQUAL_FATAL(queue_pop(queue, &s, 0), 1);
	CU_ASSERT_FATAL(s.kind == RECORD_STACK && s.text && s.text->len[0] == sizeof(told));
	memcpy(told, s.text->bytes, sizeof(told));
	CU_ASSERT(told[0] == 0x10 && told[1] == 0x402000 && told[2] == 0x401001);
	record_release(&s);
	CU_ASSERT_EQUAL_FATAL(queue_pop(queue, &s, 0), 1);
	CU_ASSERT(s.kind == RECORD_FAULT && s.fault.ip == 0x10 && s.fault.stack);
	layout_done(&layout);
	end();
}

static const struct suite_test tests[] = {
	{ "one writer a page", test_one_writer },
	{ "touches of other epochs", test_epochs },
	{ "epochs that overlap", test_overlap },
	{ "told with the pass before", test_ahead },
	{ "a fault under way", test_in_flight },
	{ "reads before the write", test_reads_before },
	{ "two at the same time", test_at_the_same_time },
	{ "out of order", test_out_of_order },
	{ "after a loss", test_lost },
	{ "writes known from reads", test_sure },
	{ "a page that was moved", test_moved },
	{ "a huge page", test_huge_page },
	{ "no room", test_full },
	{ "many, against a table", test_many },
	{ "frames outside of code", test_frames_of_code },
	{ "stacks: told once, and first", test_stack_records },
};

SUITE_MAIN("who", tests)
