/* SPDX-License-Identifier: MIT */
/* Demo view: a trace read back into counts and strips. */

#include "demo-view.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"
#include "trace/record.h"

#define PAGE 4096
#define BASE UINT64_C(0x7f0000000000)

static char path[64];
static FILE *out;
static uint64_t seq;

static void open_trace(void)
{
	static const char *const none[] = { NULL };
	struct record_header h = {
		.version = "0", .host = "h", .kernel = "k", .arch = "a", .engine = "sync",
		.page_size = PAGE, .modes = none, .features = none, .events = none, .argv = none,
	};
	char line[RECORD_TEXT_LINE_MAX];
	int64_t n = record_format_header(&h, line, sizeof(line));

	snprintf(path, sizeof(path), "/tmp/test-demo-view-XXXXXX");
	out = fdopen(mkstemp(path), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	seq = 0;
	CU_ASSERT_TRUE_FATAL(n > 0);
	fwrite(line, 1, (size_t)n, out);
}

static void put(struct record *r)
{
	static char line[RECORD_TEXT_LINE_MAX];
	int64_t n;

	r->pid = 1;
	r->mm = 1;
	n = record_format(r, ++seq, PAGE, line, sizeof(line));
	CU_ASSERT_TRUE_FATAL(n > 0);
	fwrite(line, 1, (size_t)n, out);
	record_release(r);
}

static void put_vma(uint32_t id, enum vma_op op, uint64_t addr, uint64_t npages, const char *name)
{
	struct record r = {
		.kind = RECORD_VMA, .addr = addr, .npages = npages,
		.vma = { .id = id, .op = (uint8_t)op, .kind = VMA_KIND_ANON, .watch = true },
	};

	r.text = record_text_new(name, strlen(name), NULL, 0);
	put(&r);
}

static void put_faults(uint32_t vma, enum fault_kind kind, uint64_t addr, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct record r = {
			.kind = RECORD_FAULT, .addr = addr + (uint64_t)i * PAGE + 8, .npages = 1,
			.fault = { .vma = vma, .tid = 1, .kind = (uint8_t)kind, .write = true,
				   .act = ACT_UNPROTECT, .via = VIA_UFFD },
		};

		put(&r);
	}
}

static void test_counts(void)
{
	struct demo_view v;

	open_trace();
	put_vma(1, VMA_OP_SNAPSHOT, BASE, 100, "[heap]");
	put_vma(2, VMA_OP_SNAPSHOT, BASE + 200 * PAGE, 10, "");
	put_vma(3, VMA_OP_SNAPSHOT, BASE + 300 * PAGE, 10, "never");
	put_vma(4, VMA_OP_SNAPSHOT, BASE + 400 * PAGE, 10, "b");
	put_vma(5, VMA_OP_SNAPSHOT, BASE + 500 * PAGE, 10, "a little");
	put_faults(2, FAULT_MISSING, BASE + 200 * PAGE, 10);
	put_faults(2, FAULT_WP, BASE + 200 * PAGE, 10);
	put_faults(4, FAULT_WP, BASE + 400 * PAGE, 3);
	put_faults(5, FAULT_WP, BASE + 500 * PAGE, 1);
	/* It has grown: the strip is that of the widest. */
	put_vma(1, VMA_OP_CHANGE, BASE, 200, "[heap]");
	put_faults(1, FAULT_WP, BASE + 100 * PAGE, 50);
	put_vma(1, VMA_OP_GONE, BASE, 200, "[heap]");
	fclose(out);
	CU_ASSERT_EQUAL_FATAL(demo_view_read(path, &v), 0);
	CU_ASSERT_EQUAL(v.missing, 10);
	CU_ASSERT_EQUAL(v.wp, 64);
	CU_ASSERT_EQUAL_FATAL(v.n, 3);
	CU_ASSERT_STRING_EQUAL(v.name[0], "[heap]");
	CU_ASSERT_EQUAL(v.picture[0].r.hi, BASE + 200 * PAGE);
	CU_ASSERT_EQUAL(v.picture[0].faults, 50);
	CU_ASSERT_EQUAL(v.picture[0].touched, 50);
	CU_ASSERT_STRING_EQUAL(v.name[1], "anon");
	CU_ASSERT_EQUAL(v.picture[1].faults, 20);
	CU_ASSERT_EQUAL(v.picture[1].touched, 10);
	CU_ASSERT_STRING_EQUAL(v.name[2], "b");
	demo_view_done(&v);
	unlink(path);
}

/* What cannot be drawn is left out, not fatal. */
static void test_huge(void)
{
	struct demo_view v;

	open_trace();
	put_vma(1, VMA_OP_SNAPSHOT, BASE, UINT64_C(1) << 30, "huge");
	put_vma(2, VMA_OP_SNAPSHOT, BASE - 100 * PAGE, 100, "small");
	put_faults(1, FAULT_WP, BASE, 5);
	put_faults(2, FAULT_WP, BASE - 100 * PAGE, 2);
	fclose(out);
	CU_ASSERT_EQUAL_FATAL(demo_view_read(path, &v), 0);
	CU_ASSERT_EQUAL(v.wp, 7);
	CU_ASSERT_EQUAL_FATAL(v.n, 1);
	CU_ASSERT_STRING_EQUAL(v.name[0], "small");
	demo_view_done(&v);
	unlink(path);
}

static void test_no_trace(void)
{
	struct demo_view v;

	CU_ASSERT_EQUAL(demo_view_read("/no/such/trace", &v), -ENOENT);
	CU_ASSERT_EQUAL(demo_view_read("/dev/null", &v), -EBADMSG);
	open_trace();
	fputs("{\"ev\":\"fault\",\"seq\":oops\n", out);
	fclose(out);
	CU_ASSERT_EQUAL(demo_view_read(path, &v), -EBADMSG);
	CU_ASSERT_EQUAL(v.n, 0);
	unlink(path);
}

static const struct suite_test tests[] = {
	{ "counts and the three busiest", test_counts },
	{ "too large for a picture", test_huge },
	{ "no trace", test_no_trace },
};

SUITE_MAIN("demo-view", tests)
