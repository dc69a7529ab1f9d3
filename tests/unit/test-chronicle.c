/* SPDX-License-Identifier: MIT */
/*
 * Chronicle: what is told of a restore makes a valid trace, whatever happens to the layout;
 * touches are told once, with the mapping that they are in.
 */

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "restore/chronicle.h"
#include "suite.h"
#include "trace-samples.h"
#include "trace/reader.h"
#include "trace/validate.h"

#define PAGE UINT64_C(4096)
#define AT UINT64_C(0x7f0000000000)
#define LAZY (IMAGE_VMA_ANON_PRIVATE | 1u)

static const struct image_vma vmas[] = {
	{ .start = AT - 64 * PAGE, .end = AT - 60 * PAGE, .prot = PROT_READ, .flags = MAP_PRIVATE },
	{ .start = AT, .end = AT + 100 * PAGE, .prot = PROT_READ | PROT_WRITE,
	  .flags = MAP_PRIVATE | MAP_ANONYMOUS, .status = LAZY },
	{ .start = AT + 200 * PAGE, .end = AT + 300 * PAGE, .prot = PROT_READ | PROT_WRITE,
	  .flags = MAP_PRIVATE | MAP_ANONYMOUS, .status = LAZY | 1u << 5 },
};
static const struct image_piece pieces[] = {
	{ .vaddr = AT, .npages = 100, .lazy = true },
	{ .vaddr = AT + 200 * PAGE, .npages = 100, .lazy = true },
};
static const struct image_task task = {
	.pid = 4001, .memory = true, .vmas = vmas, .nvmas = 3, .pieces = pieces, .npieces = 2,
	.lazy_pages = 200,
};

static struct queue *queue;
static struct chronicle *chronicle;
static struct tenant *tenant, *child;
static char told[1 << 20];
static size_t told_len;

static void complain(void *arg, uint64_t line, const char *words)
{
	(void)arg;
	printf("\nrecord %d: %s\n", (int)line, words);
}

static void begin(void)
{
	struct chronicle_setup setup = { .base_ns = clock_now() };

	memset(told, 0, sizeof(told));
	told_len = 0;
	CU_ASSERT_EQUAL_FATAL(queue_new(&queue, 1024), 0);
	setup.queue = queue;
	CU_ASSERT_EQUAL_FATAL(chronicle_new(&setup, &chronicle), 0);
	CU_ASSERT_EQUAL_FATAL(tenant_new(4001, &task, -1, &tenant), 0);
	CU_ASSERT_EQUAL_FATAL(tenant_new(4001, &task, -1, &child), 0);
	tenant->host_pid = getpid();
	chronicle_begin(chronicle, tenant);
}

/* All of it: lines, read back and held against one another. */
static void end(void)
{
	struct reader_header h = { .page_size = 4096, .engine = strdup("sync") };
	const struct reader reader = { .page_size = 4096, .strict = true };
	struct reader_record back;
	struct reader_error e;
	struct validator *v;
	struct record r;
	char line[8192];
	uint64_t seq = 0;
	int64_t n;

	chronicle_end(chronicle, DETACH_COMPLETE, true);
	CU_ASSERT_EQUAL_FATAL(validate_new(&v, &h, complain, NULL), 0);
	while (queue_pop(queue, &r, 0) == 1) {
		n = record_format(&r, ++seq, 4096, line, sizeof(line));
		CU_ASSERT_FATAL(n > 0);
		CU_ASSERT_FATAL(told_len + (size_t)n < sizeof(told));
		memcpy(told + told_len, line, (size_t)n);
		told_len += (size_t)n;
		CU_ASSERT_EQUAL_FATAL(reader_record(&reader, line, (size_t)n - 1, &back, &e), 0);
		validate_record(v, seq, &back);
		record_release(&back.record);
		record_release(&r);
	}
	validate_end(v, seq, false);
	CU_ASSERT_EQUAL(validate_totals(v)->complaints, 0);
	CU_ASSERT(validate_totals(v)->complete);
	validate_free(v);
	reader_header_release(&h);
	chronicle_free(chronicle);
	queue_free(queue);
	tenant_free(tenant);
	tenant_free(child);
}

static unsigned int lines_with(const char *words)
{
	unsigned int n = 0;

	for (const char *at = told; (at = strstr(at, words)); at++)
		n++;
	return n;
}

static void touch(struct tenant *t, uint64_t page, enum tenant_deed deed, bool write, bool wp)
{
	const struct tenant_touch at = { .addr = AT + page * PAGE, .write = write, .wp = wp };

	chronicle_touch(chronicle, t, &at, deed, false, clock_now(), clock_now());
}

static struct range pages(uint64_t lo, uint64_t hi)
{
	return (struct range){ AT + lo * PAGE, AT + hi * PAGE };
}

static void happen(struct event ev, struct tenant *forked)
{
	struct tenant_news news = { .nchanges = 1 };

	news.changes[0] = (struct tenant_change){ ev, forked };
	chronicle_changes(chronicle, tenant, &news, clock_now());
}

static void test_touches(void)
{
	begin();
	touch(tenant, 5, TENANT_DID_COPY, false, false);
	touch(tenant, 250, TENANT_DID_ZERO, true, false);
	touch(tenant, 6, TENANT_DID_POISON, false, false);
	touch(tenant, 5, TENANT_DID_REPEAT, false, false);
	touch(tenant, 7, TENANT_DID_NOTHING, false, false);
	/* In no mapping that was told of. */
	touch(tenant, 150, TENANT_DID_ZERO, false, false);
	end();
	CU_ASSERT_EQUAL(lines_with("\"ev\":\"attach\""), 1);
	CU_ASSERT_EQUAL(lines_with("\"image_pid\":4001"), 1);
	CU_ASSERT_EQUAL(lines_with("\"op\":\"snapshot\""), 2);
	CU_ASSERT_EQUAL(lines_with("\"kind\":\"heap\""), 1);
	CU_ASSERT_EQUAL(lines_with("\"ev\":\"fault\""), 4);
	CU_ASSERT_EQUAL(lines_with("\"vma\":1,\"act\":\"copy\""), 1);
	CU_ASSERT_EQUAL(lines_with("\"vma\":2,\"act\":\"zeropage\""), 1);
	CU_ASSERT_EQUAL(lines_with("\"vma\":0,\"act\":\"zeropage\""), 1);
	CU_ASSERT_EQUAL(lines_with("\"act\":\"poison\""), 1);
	CU_ASSERT_EQUAL(lines_with("\"src\":\"local\""), 1);
	CU_ASSERT_EQUAL(lines_with("\"faults\":4,\"writes\":1,\"lost\":0,\"repeats\":1,"), 1);
	CU_ASSERT_EQUAL(lines_with("\"reason\":\"complete\""), 1);
}

static void test_layout(void)
{
	begin();
	happen((struct event){ .kind = EVENT_UNMAP, .span = pages(40, 60) }, NULL);
	happen((struct event){ .kind = EVENT_REMOVE, .span = pages(0, 10) }, NULL);
	touch(tenant, 3, TENANT_DID_ZERO, true, false);
	/* Over parts of two mappings, and over what is nothing: 30 to 40 and 60 to 70. */
	happen((struct event){ .kind = EVENT_REMAP, .remap = { pages(30, 70), AT + 230 * PAGE } },
	       NULL);
	touch(tenant, 230, TENANT_DID_COPY, false, false);
	touch(tenant, 265, TENANT_DID_COPY, false, false);
	touch(tenant, 250, TENANT_DID_ZERO, false, false);
	happen((struct event){ .kind = EVENT_FORK, .fork.fd = -1 }, child);
	touch(child, 299, TENANT_DID_COPY, false, false);
	happen((struct event){ .kind = EVENT_UNMAP, .span = pages(0, 400) }, NULL);
	happen((struct event){ .kind = EVENT_FORK, .fork.fd = -1 }, NULL);
	touch(child, 298, TENANT_DID_COPY, false, false);
	child->gone = true;
	chronicle_gone(chronicle, child);
	touch(child, 297, TENANT_DID_COPY, false, false);
	end();
	CU_ASSERT_EQUAL(lines_with("\"ev\":\"fork\""), 2);
	CU_ASSERT_EQUAL(lines_with("\"followed\":true"), 1);
	CU_ASSERT_EQUAL(lines_with("\"ev\":\"fault\""), 6);
	/* Where the middle came to nothing is nothing now. */
	CU_ASSERT_EQUAL(lines_with("\"vma\":0,"), 1);
	CU_ASSERT_EQUAL(lines_with("\"ev\":\"exit\""), 1);
}

static void test_waiters(void)
{
	const struct tenant_touch one = { .addr = AT }, two = { .addr = AT + PAGE },
				  far = { .addr = AT + 250 * PAGE };
	uint64_t now;

	begin();
	now = clock_now();
	chronicle_wait(chronicle, tenant, &one, now, now);
	chronicle_wait(chronicle, tenant, &two, now, now);
	chronicle_wait(chronicle, tenant, &one, now, now);
	chronicle_wait(chronicle, tenant, &far, now, now);
	chronicle_came(chronicle, tenant, &one, TENANT_DID_COPY);
	owed_close(&tenant->owed, pages(0, 2), OWED_ARRIVED);
	chronicle_came(chronicle, tenant, &one, TENANT_DID_COPY);
	/* What is dropped is waited for in vain. */
	happen((struct event){ .kind = EVENT_REMOVE, .span = pages(240, 260) }, NULL);
	owed_close(&tenant->owed, pages(240, 260), OWED_REMOVED);
	chronicle_came(chronicle, tenant, NULL, TENANT_DID_NOTHING);
	CU_ASSERT(chronicle_room(chronicle));
	end();
	CU_ASSERT_EQUAL(lines_with("\"ev\":\"fault\""), 2);
	CU_ASSERT_EQUAL(lines_with("\"src\":\"remote\""), 2);
	CU_ASSERT_EQUAL(lines_with("\"repeats\":1,"), 1);
}

static const struct suite_test tests[] = {
	{ "touches", test_touches },
	{ "layout", test_layout },
	{ "pages that are asked for", test_waiters },
};

SUITE_MAIN("chronicle", tests)
