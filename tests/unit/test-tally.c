/* SPDX-License-Identifier: MIT */
/* Tally: what one write is, and what stays bounded whatever a trace claims. */

#include <string.h>

#include "report-times.h"
#include "report/tally.h"
#include "suite.h"

#define PAGE 4096u

static struct model *m;
static struct tally *t;

/* Mapping 1 is [heap] from page 16 on, 64 pages. */
static void begin(const char *engine, const char *mode)
{
	char *modes[] = { (char *)mode, NULL };
	struct reader_header h = { .engine = (char *)engine, .page_size = PAGE, .modes = modes };
	struct record r = { .kind = RECORD_VMA, .pid = 7, .mm = 1, .addr = 16 * PAGE,
			    .npages = 64, .vma = { .id = 1, .kind = VMA_KIND_HEAP } };

	m = model_free(m);
	t = tally_free(t);
	CU_ASSERT_EQUAL_FATAL(model_new(&m, PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(tally_new(&t, &h, m), 0);
	r.text = record_text_new("[heap]", 6, NULL, 0);
	CU_ASSERT_EQUAL(model_record(m, &r), 0);
	record_release(&r);
}

static void add(struct record r)
{
	r.pid = 7;
	r.mm = 1;
	CU_ASSERT_EQUAL(model_record(m, &r), 0);
	CU_ASSERT_EQUAL(tally_record(t, &r), 0);
}

static void fault(uint64_t page, enum fault_via via, bool write, uint64_t ms)
{
	add((struct record){ .kind = RECORD_FAULT, .addr = page * PAGE + 5, .npages = 1,
		.ts = ms * 1000000,
		.fault = { .tid = 9, .vma = 1, .kind = FAULT_WP, .via = (uint8_t)via,
			   .write = write, .lat_ns = 100, .stop_ns = 200,
			   .stack = via == VIA_PERF ? 3 : 0,
			   .ip = via == VIA_PERF ? 0x9000 : 0 } });
}

static void dirty(uint64_t page, uint64_t n, uint64_t ms)
{
	add((struct record){ .kind = RECORD_DIRTY, .addr = page * PAGE, .npages = n,
			     .ts = ms * 1000000, .dirty.vma = 1 });
}

static void test_sync(void)
{
	begin("sync", "write");
	fault(16, VIA_UFFD, true, 1);
	fault(16, VIA_UFFD, true, 2);
	fault(17, VIA_UFFD, false, 3);
	fault(18, VIA_PERF, true, 4);
	CU_ASSERT_EQUAL(t->total.faults, 4);
	CU_ASSERT_EQUAL(t->total.writes, 3);
	CU_ASSERT_EQUAL(t->total.witnesses, 0);
	CU_ASSERT_EQUAL(t->total.written, 3);
	CU_ASSERT_EQUAL(t->total.pages, 2);
	/* Nobody waited for what the perf ring told. */
	CU_ASSERT_EQUAL(t->latency.n, 3);
	CU_ASSERT_EQUAL(t->stop.sum, 600);
	CU_ASSERT_EQUAL_FATAL(t->nr_threads, 1);
	CU_ASSERT_EQUAL(t->threads[0].c.writes, 3);
	CU_ASSERT_EQUAL(t->threads[0].c.written, 0);
	CU_ASSERT_EQUAL(t->labels[1].c.written, 3);
	CU_ASSERT_EQUAL(t->labels[0].c.faults, 0);
}

/* A write that is told twice is one. */
static void test_witness(void)
{
	begin("async", "write");
	dirty(16, 3, 5);
	fault(16, VIA_PERF, true, 5);
	fault(17, VIA_PERF, true, 5);
	dirty(16, 1, 9);
	CU_ASSERT_EQUAL(t->total.written, 4);
	CU_ASSERT_EQUAL(t->total.dirty, 4);
	CU_ASSERT_EQUAL(t->total.writes, 2);
	CU_ASSERT_EQUAL(t->total.witnesses, 2);
	CU_ASSERT_EQUAL(t->total.pages, 3);
	CU_ASSERT_EQUAL(t->heat.maps[1].sum, 4);
	CU_ASSERT_EQUAL_FATAL(t->nr_stacks, 1);
	CU_ASSERT_EQUAL(t->stacks[0].id, 3);
	CU_ASSERT_EQUAL(t->stacks[0].c.writes, 2);
	CU_ASSERT_EQUAL_FATAL(t->nr_ips, 1);
	CU_ASSERT_EQUAL(t->ips[0].ip, 0x9000);
	CU_ASSERT_PTR_NULL(t->ips[0].vma);
}

/* Of both engines each tells of its own mappings; witnesses are of the asynchronous one. */
static void test_both(void)
{
	begin("both", "write");
	fault(16, VIA_UFFD, true, 1);
	dirty(20, 2, 5);
	fault(20, VIA_PERF, true, 5);
	CU_ASSERT_EQUAL(t->total.written, 3);
	CU_ASSERT_EQUAL(t->total.witnesses, 1);
	CU_ASSERT_EQUAL(t->total.pages, 3);
}

/* Without writes, touches are counted in time and place. */
static void test_touches(void)
{
	begin("sync", "missing");
	fault(16, VIA_UFFD, false, 1);
	fault(17, VIA_UFFD, true, 1);
	CU_ASSERT(!t->watches_writes);
	CU_ASSERT_EQUAL(t->total.written, 1);
	CU_ASSERT_EQUAL(t->total.pages, 2);
	CU_ASSERT_EQUAL(t->heat.maps[1].sum, 2);
	CU_ASSERT_EQUAL(course_window(&t->course, 10, 0).pages, 2);
}

static void test_troubles(void)
{
	begin("sync", "write");
	add((struct record){ .kind = RECORD_GAP, .ts0 = 5, .ts = 15, .gap.reason = GAP_STALL });
	add((struct record){ .kind = RECORD_GAP, .ts0 = 5, .ts = 7, .addr = 16 * PAGE, .npages = 2,
			     .gap.reason = GAP_STALL });
	add((struct record){ .kind = RECORD_LOST, .lost = { .n = 5, .reason = LOST_RING } });
	add((struct record){ .kind = RECORD_LOST,
			     .lost = { .n = RECORD_UNKNOWN, .reason = LOST_RING } });
	CU_ASSERT_EQUAL(t->gap[GAP_STALL].n, 2);
	CU_ASSERT_EQUAL(t->gap[GAP_STALL].whole, 1);
	CU_ASSERT_EQUAL(t->gap[GAP_STALL].ns, 12);
	CU_ASSERT_EQUAL(t->gap[GAP_STALL].longest_ns, 10);
	CU_ASSERT_EQUAL(t->gap[GAP_STALL].pages, 2);
	CU_ASSERT_EQUAL(t->labels[1].gaps, 1);
	CU_ASSERT_EQUAL(t->lost[LOST_RING].n, 5);
	CU_ASSERT(t->lost[LOST_RING].uncounted);
}

/* The first of them is kept, as much as there is room for. */
static void test_errors(void)
{
	static char longer[1000];
	struct record_text *first = record_text_new("perf", 4, longer, sizeof(longer));
	struct record_text *second = record_text_new("follow", 6, "b", 1);

	memset(longer, 'a', sizeof(longer));
	memcpy(first->bytes + 4, longer, sizeof(longer));
	begin("sync", "write");
	CU_ASSERT_EQUAL(t->first_error.len, 0);
	add((struct record){ .kind = RECORD_ERROR, .text = first });
	add((struct record){ .kind = RECORD_ERROR, .text = second });
	CU_ASSERT_EQUAL(t->records[RECORD_ERROR], 2);
	CU_ASSERT_EQUAL_FATAL(t->first_error.len, sizeof(t->first_error.msg));
	CU_ASSERT(!memcmp(t->first_error.msg, longer, t->first_error.len));
	begin("sync", "write");
	add((struct record){ .kind = RECORD_ERROR });
	add((struct record){ .kind = RECORD_ERROR, .text = second });
	CU_ASSERT_EQUAL(t->first_error.len, 0);
	begin("sync", "write");
	add((struct record){ .kind = RECORD_ERROR, .text = second });
	CU_ASSERT(t->first_error.len == 1 && t->first_error.msg[0] == 'b');
	free(first);
	free(second);
}

/* Windows are as long as collections are apart, and begin when something can be seen. */
static void test_windows(void)
{
	struct report_times times;

	begin("async", "write");
	add((struct record){ .kind = RECORD_ARM, .ts = 300000000, .addr = 16 * PAGE,
			     .npages = 64 });
	for (uint64_t ms = 400; ms <= 1000; ms += 100)
		add((struct record){ .kind = RECORD_DIRTY, .addr = 16 * PAGE, .npages = ms / 100,
				     .ts0 = (ms - 100) * 1000000, .ts = ms * 1000000,
				     .dirty.vma = 1 });
	report_times(t, 0, &times);
	CU_ASSERT_EQUAL(times.window_ns, 128 * COURSE_TICK_NS);
	CU_ASSERT_EQUAL(times.first, 2);
	CU_ASSERT_EQUAL(times.n, 6);
	/* 900 and 1000 ms are of one window. */
	CU_ASSERT_EQUAL(times.pages[REPORT_TIMES_NR - 1], 10);
	CU_ASSERT_EQUAL(times.rate[REPORT_TIMES_NR - 1], (uint64_t)(19 / 0.128));
	report_times(t, 600000000, &times);
	CU_ASSERT_EQUAL(times.first, 4);
	CU_ASSERT_EQUAL(times.n, 4);
}

/* No line makes it count for hours, or take memory without end. */
static void test_claims(void)
{
	begin("async", "write");
	dirty(0, UINT64_C(1) << 50, 1);
	CU_ASSERT_EQUAL(t->total.written, UINT64_C(1) << 50);
	CU_ASSERT_EQUAL(t->unreported, UINT64_C(1) << 50);
	CU_ASSERT_EQUAL(t->total.pages, 0);
	/* A page a piece, and more pieces than there is room for. */
	for (uint64_t i = 0; i < 900000; i++)
		dirty(i * 64, 1, 2);
	CU_ASSERT(t->pages.left_out > 0);
	CU_ASSERT_EQUAL(t->total.pages + t->pages.left_out, 900000);
	CU_ASSERT(t->total.pages * 208 < PAGES_BYTES_MAX);
	CU_ASSERT_EQUAL(t->heat.maps[1].sum, 900000);
	m = model_free(m);
	t = tally_free(t);
}

static const struct suite_test tests[] = {
	{ "a write of the synchronous engine", test_sync },
	{ "a write and its witness", test_witness },
	{ "both engines", test_both },
	{ "touches", test_touches },
	{ "gaps and losses", test_troubles },
	{ "errors", test_errors },
	{ "windows of time", test_windows },
	{ "what no process can have written", test_claims },
};

SUITE_MAIN("tally", tests)
