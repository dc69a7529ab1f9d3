/* SPDX-License-Identifier: MIT */
/* Live: the line of each record, and what lines come to in the tables. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "report/live-sum.h"
#include "report/live.h"
#include "suite.h"
#include "trace-samples.h"

#define MS UINT64_C(1000000)

static struct model *model;
static struct live *live;
static char line[LIVE_LINE_MAX + 1];

static void begin(const struct live_opts *opts)
{
	struct live_opts o = opts ? *opts : (struct live_opts){ .maps = true };

	live = live_free(live);
	model = model_free(model);
	CU_ASSERT_EQUAL_FATAL(model_new(&model, 4096), 0);
	o.model = model;
	CU_ASSERT_EQUAL_FATAL(live_new(&live, &o), 0);
}

/* Takes the text of r. */
static const char *tell(struct record r)
{
	int64_t n;

	CU_ASSERT_EQUAL_FATAL(model_record(model, &r), 0);
	n = live_line(live, &r, line);
	record_release(&r);
	CU_ASSERT_FATAL(n >= 0 && n < LIVE_LINE_MAX);
	line[n] = '\0';
	CU_ASSERT(!n || line[n - 1] == '\n');
	return line;
}

static struct record_text *text(const char *a, const char *b)
{
	return record_text_new(a, strlen(a), b, b ? strlen(b) : 0);
}

static struct record vma(uint32_t id, uint8_t op, uint8_t kind, uint64_t page, uint64_t npages,
			 const char *name, uint64_t off)
{
	return (struct record){
		.kind = RECORD_VMA, .pid = 7, .mm = 1, .ts = MS, .ts0 = MS, .addr = page << 12,
		.npages = npages, .text = text(name, NULL),
		.vma = { .id = id, .op = op, .kind = kind, .off = off, .watch = true },
	};
}

static struct record fault(uint32_t id, uint64_t addr)
{
	return (struct record){
		.kind = RECORD_FAULT, .pid = 7, .mm = 1, .ts = 1500 * MS, .addr = addr, .npages = 1,
		.fault = { .tid = 8, .kind = FAULT_WP, .act = ACT_UNPROTECT, .via = VIA_UFFD,
			   .write = true, .vma = id, .stop_ns = 7900, .lat_ns = 100 },
	};
}

static struct record of(uint8_t kind)
{
	return (struct record){
		.kind = kind, .pid = 7, .mm = 1, .ts = 2000 * MS, .ts0 = 1999 * MS,
	};
}

static void tell_layout(void)
{
	struct record r = of(RECORD_ATTACH);

	r.text = text("demo", "/bin/demo");
	r.attach.threads = 2;
	r.attach.vmas = 3;
	r.attach.stop_ns = 212400;
	CU_ASSERT_STRING_EQUAL(tell(r), "    2.000000 demo/7                 attach  /bin/demo  "
					"2 threads, 3 mappings  stopped 212.4 us\n");
	CU_ASSERT_STRING_EQUAL(tell(vma(1, VMA_OP_SNAPSHOT, VMA_KIND_HEAP, 16, 32, "[heap]", 0)),
			       "");
	tell(vma(2, VMA_OP_SNAPSHOT, VMA_KIND_ANON, 100, 50, "", 0));
	tell(vma(3, VMA_OP_SNAPSHOT, VMA_KIND_FILE, 200, 50, "/lib/libc.so.6", 0x26000));
	r = of(RECORD_THREAD);
	r.thread.tid = 8;
	r.text = text("worker", NULL);
	CU_ASSERT_STRING_EQUAL(tell(r), "");
}

static void test_faults(void)
{
	struct record r;

	begin(NULL);
	tell_layout();
	CU_ASSERT_STRING_EQUAL(tell(fault(1, 0x10000 + 0x1f010)),
			       "    1.500000 worker/8               "
			       "write   [heap]+0x1f010  7.9 us\n");
	r = fault(2, 100 << 12);
	r.fault.tid = 0;
	CU_ASSERT_STRING_EQUAL(tell(r),
			       "    1.500000 demo/7                 "
			       "write   anon 0x64000  7.9 us\n");
	r = fault(3, (200 << 12) + 0x1000);
	r.fault.kind = FAULT_MISSING;
	r.npages = 16;
	CU_ASSERT_STRING_EQUAL(tell(r), "    1.500000 worker/8               missing "
					"libc.so.6+0x27000  16 pages  write  7.9 us\n");
	/* Nobody knows what lies there, or who that is. */
	r = fault(0, 0xdead000);
	r.pid = 9;
	r.mm = 4;
	CU_ASSERT_STRING_EQUAL(tell(r),
			       "    1.500000 8                      write   0xdead000  7.9 us\n");
	r = fault(1, 0x10000);
	r.fault.via = VIA_PERF;
	r.fault.write = false;
	r.fault.unsure = true;
	r.ts0 = 1250 * MS;
	r.fault.ip = (200 << 12) + 0x42;
	CU_ASSERT_STRING_EQUAL(tell(r), "    1.250000 worker/8               write?  [heap]+0x0  "
					"at libc.so.6+0x26042\n");
}

static void test_spans(void)
{
	struct record r;

	begin(NULL);
	tell_layout();
	r = of(RECORD_DIRTY);
	r.addr = 0x11000;
	r.npages = 12;
	r.dirty.vma = 1;
	CU_ASSERT_STRING_EQUAL(tell(r), "    2.000000 demo/7                 dirty   [heap]+0x1000"
					"  12 pages  within 1.0 ms\n");
	r.kind = RECORD_GAP;
	r.npages = 1;
	r.gap.reason = GAP_NEW_MAPPING;
	CU_ASSERT_STRING_EQUAL(tell(r), "    2.000000 demo/7                 gap     [heap]+0x1000"
					"  new-mapping  for 1.0 ms\n");
	r.npages = r.addr = 0;
	CU_ASSERT_STRING_EQUAL(tell(r), "    2.000000 demo/7                 gap     all memory"
					"  new-mapping  for 1.0 ms\n");
	CU_ASSERT_STRING_EQUAL(tell(vma(9, VMA_OP_ADD, VMA_KIND_ANON, 900, 2, "", 0)),
			       "    0.001000 demo/7                 "
			       "map     anon 0x384000  2 pages\n");
	r = of(RECORD_ARM);
	r.addr = 0x11000;
	r.npages = 3;
	CU_ASSERT_STRING_EQUAL(tell(r), "");
}

static void test_processes(void)
{
	struct record r;

	begin(NULL);
	tell_layout();
	r = of(RECORD_FORK);
	r.fork.child = 12;
	r.fork.child_mm = 2;
	r.fork.followed = true;
	CU_ASSERT_PTR_NOT_NULL(strstr(tell(r), " fork    12  followed\n"));
	r = of(RECORD_EXIT);
	r.exit.code = RECORD_UNKNOWN;
	r.exit.signal = 9;
	CU_ASSERT_PTR_NOT_NULL(strstr(tell(r), " exit    killed by signal 9\n"));
	r.exit.code = 3;
	r.exit.signal = RECORD_UNKNOWN;
	CU_ASSERT_PTR_NOT_NULL(strstr(tell(r), " exit    status 3\n"));
	r = of(RECORD_LOST);
	r.pid = 0;
	r.mm = 0;
	r.lost.n = 443;
	r.lost.reason = LOST_RING;
	CU_ASSERT_STRING_EQUAL(tell(r),
			       "    2.000000 -                      lost    443 records  (ring)\n");
	r = of(RECORD_ERROR);
	r.error.error = ENOMEM;
	r.text = text("read", "no room");
	tell(r);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, " error   read: no room (Cannot allocate memory)\n"));
	r = of(RECORD_DETACH);
	r.detach.reason = DETACH_DURATION;
	CU_ASSERT_PTR_NOT_NULL(strstr(tell(r), " detach  duration\n"));
}

/* What a fault tells of, a dirty record tells again; unless there is nobody to tell. */
static void test_witnesses(void)
{
	struct live_opts o = { .who = true };
	struct record dirty = of(RECORD_DIRTY), r = of(RECORD_STATS);

	begin(&o);
	tell_layout();
	dirty.addr = 0x11000;
	dirty.npages = 2;
	dirty.dirty.vma = 1;
	CU_ASSERT_STRING_EQUAL(tell(dirty), "");
	r.stats.unwitnessed = 5;
	CU_ASSERT_PTR_NOT_NULL(strstr(tell(r), " unseen  5 pages were written"));
	CU_ASSERT_STRING_EQUAL(tell(r), "");
	r.stats.unwitnessed = 7;
	CU_ASSERT_PTR_NOT_NULL(strstr(tell(r), " unseen  2 pages were written"));
	r = of(RECORD_ERROR);
	r.error.error = EACCES;
	r.text = text("perf", "no witness");
	tell(r);
	CU_ASSERT_PTR_NOT_NULL(strstr(tell(dirty), " dirty   [heap]+0x1000  2 pages"));
}

static bool a_name(void *arg, const struct model_vma *v, uint64_t ip, char *buf, size_t cap)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	snprintf(buf, cap, "%s\033[0m+0x%" PRIx64, (const char *)arg, ip & 0xfff);
	return true;
}

static void test_tones(void)
{
	char name[] = "push";
	struct live_opts o = {
		.color = true, .wall = true, .base_real_ns = UINT64_C(1700000000) * 1000000000,
		.utc_offset_s = -5 * 3600, .code = a_name, .code_arg = name,
	};
	struct record r;

	begin(&o);
	tell(vma(1, VMA_OP_SNAPSHOT, VMA_KIND_HEAP, 16, 32, "[heap]", 0));
	r = fault(1, 0x10000);
	r.fault.ip = 0x10042;
	/* date -u -d @1700000001: 22:13:21. */
	CU_ASSERT_STRING_EQUAL(tell(r), "17:13:21.500000 8                      \033[32mwrite   "
					"\033[m[heap]+0x0  \033[2mat push\\033[0m+0x42\033[m"
					"  7.9 us\n");
	r = of(RECORD_GAP);
	CU_ASSERT_PTR_NOT_NULL(strstr(tell(r), "\033[1;31mgap     all memory"));
	CU_ASSERT_STRING_EQUAL(line + strlen(line) - 4, "\033[m\n");
}

/* Whatever names are, a line has one newline and nothing that a terminal obeys. */
static void test_hostile(void)
{
	static const char nasty[] = "\033]0;x\a\r\n\xff\xfe\xe2\x80\xae\x7f";
	struct record r;

	begin(NULL);
	r = of(RECORD_ATTACH);
	r.text = text(nasty, nasty);
	tell(r);
	for (const char *p = line; *p; p++)
		CU_ASSERT((*p == '\n' && !p[1]) || ((unsigned char)*p >= 0x20 && *p != 0x7f));
	tell(vma(1, VMA_OP_ADD, VMA_KIND_FILE, 16, 32, nasty, 0));
	for (const char *p = line; *p; p++)
		CU_ASSERT((*p == '\n' && !p[1]) || ((unsigned char)*p >= 0x20 && *p != 0x7f));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\033"));
	tell(fault(1, 0x10000));
	CU_ASSERT_PTR_NULL(strchr(line, '\033'));
	/* 4 KiB of it are cut, not the end of the line. */
	r = of(RECORD_EXEC);
	r.text = record_text_new(line, sizeof(line) - 1, line, sizeof(line) - 1);
	tell(r);
	CU_ASSERT(strlen(line) < LIVE_LINE_MAX);
}

/* All kinds of records that there are have a line or none, and stay within bounds. */
static void test_samples(void)
{
	begin(NULL);
	for (size_t i = 0; i < SAMPLES; i++)
		tell(sample_record(&samples[i]));
}

static const char *tables(const struct live_sum *sum)
{
	static char *all;
	size_t len;
	FILE *f;

	free(all);
	all = NULL;
	f = open_memstream(&all, &len);
	CU_ASSERT_EQUAL_FATAL(live_sum_print(sum, f), 0);
	fclose(f);
	return all;
}

static void add(struct live_sum *s, struct record r)
{
	tell(r);
	CU_ASSERT_EQUAL(live_sum_add(s, &r), 0);
}

static void test_sum(void)
{
	struct live_sum *s = NULL;
	struct record r;

	begin(NULL);
	tell_layout();
	CU_ASSERT_EQUAL_FATAL(live_sum_new(&s, model), 0);
	for (unsigned int i = 0; i < 3; i++)
		add(s, fault(1, 0x10000));
	r = fault(2, 100 << 12);
	r.fault.tid = 7;
	add(s, r);
	r = of(RECORD_DIRTY);
	r.addr = 100 << 12;
	r.npages = 12;
	r.dirty.vma = 2;
	add(s, r);
	add(s, of(RECORD_GAP));
	CU_ASSERT_STRING_EQUAL(tables(s),
		"% pages       pages      events     stop p50     stop p99  kind\n"
		"------- ----------- ----------- ------------ ------------  ----------------\n"
		"  75.00          12           1            -            -  dirty\n"
		"  25.00           4           4       7.9 us       7.9 us  write\n"
		"   0.00           0           1            -            -  gap\n"
		"\n"
		"% pages       pages      events     stop p50     stop p99  mapping\n"
		"------- ----------- ----------- ------------ ------------  ----------------\n"
		"  81.25          13           2       7.9 us       7.9 us  anon\n"
		"  18.75           3           3       7.9 us       7.9 us  [heap]\n"
		"\n"
		"% pages       pages      events     stop p50     stop p99  thread\n"
		"------- ----------- ----------- ------------ ------------  ----------------\n"
		"  75.00           3           3       7.9 us       7.9 us  worker/8\n"
		"  25.00           1           1       7.9 us       7.9 us  demo/7\n");
	live_sum_free(s);
	live = live_free(live);
	model = model_free(model);
}

static const struct suite_test tests[] = {
	{ "faults", test_faults },
	{ "spans of pages", test_spans },
	{ "processes, and what is missing", test_processes },
	{ "witnesses and what they tell of", test_witnesses },
	{ "colours, wall clock, functions", test_tones },
	{ "hostile names", test_hostile },
	{ "every kind of record", test_samples },
	{ "tables", test_sum },
};

SUITE_MAIN("live", tests)
