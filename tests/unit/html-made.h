/* SPDX-License-Identifier: MIT */
/* A report whose records are made by hand, and the data of the page that comes of it. */
#ifndef TESTS_HTML_MADE_H
#define TESTS_HTML_MADE_H

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "suite.h"

#define PAGE 4096u
#define ROOM (4u << 20)
#define BASE UINT64_C(0x7f0000000000)

static char file[ROOM + 1];
static size_t file_len;

static struct model *model;
static struct tally *tally;
static struct html_events *events;
static struct chains *chains;
static struct walk_end end;

static char *none[] = { NULL };
static char *modes[] = { (char[]){ "write" }, NULL };
static struct reader_header header = {
	.tool = (char[]){ "pagetap" }, .version = (char[]){ "0" }, .host = (char[]){ "db1" },
	.kernel = (char[]){ "6.18" }, .arch = (char[]){ "x86_64" },
	.engine = (char[]){ "sync" }, .modes = modes, .features = none, .events = none,
	.argv = none, .page_size = PAGE, .granularity = 1, .schema = 1,
};

static int keep(void *to, const char *bytes, size_t len)
{
	(void)to;
	if (len > ROOM - file_len)
		return -ENOSPC;
	memcpy(file + file_len, bytes, len);
	file_len += len;
	file[file_len] = '\0';
	return 0;
}

static void done(void)
{
	chains = chains_free(chains);
	events = html_events_free(events);
	tally = tally_free(tally);
	model = model_free(model);
}

static void begin(void)
{
	done();
	end = (struct walk_end){ .complete = true };
	CU_ASSERT_EQUAL_FATAL(model_new(&model, PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(tally_new(&tally, &header, model), 0);
	CU_ASSERT_EQUAL_FATAL(html_events_new(&events), 0);
}

static void feed(struct record r)
{
	r.pid = r.pid ? r.pid : 4242;
	r.mm = r.mm ? r.mm : 1;
	CU_ASSERT_EQUAL_FATAL(model_record(model, &r), 0);
	CU_ASSERT_EQUAL_FATAL(tally_record(tally, &r), 0);
	CU_ASSERT_EQUAL_FATAL(html_events_record(events, model, &r), 0);
	end.records++;
	record_release(&r);
}

static void add_vma(uint32_t id, uint64_t addr, uint64_t npages, const char *name, size_t len)
{
	struct record r = { .kind = RECORD_VMA, .ts = 1, .addr = addr, .npages = npages };

	r.vma.id = id;
	r.vma.kind = VMA_KIND_SHMEM;
	r.vma.watch = true;
	r.text = record_text_new(name, len, NULL, 0);
	feed(r);
}

static void add_write(uint32_t vma, uint64_t addr, uint64_t ts, int32_t tid)
{
	struct record r = { .kind = RECORD_FAULT, .ts = ts, .addr = addr, .npages = 1 };

	r.fault.kind = FAULT_WP;
	r.fault.write = true;
	r.fault.tid = tid;
	r.fault.vma = vma;
	feed(r);
}

static int write_page(void)
{
	static struct pen pen;
	const struct html_report r = {
		.path = "t.ndjson", .header = &header, .end = &end, .model = model,
		.tally = tally, .chains = chains, .events = events,
	};

	file_len = 0;
	pen_begin(&pen, keep, NULL);
	return html_write(&pen, &r);
}

/* The page, written; its data, to be released. */
static json_t *data(void)
{
	static const char open[] = "<script type=\"application/json\" id=\"data\">";
	const char *at, *close;
	json_error_t error;
	json_t *o;

	CU_ASSERT_EQUAL_FATAL(write_page(), 0);
	at = strstr(file, open);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	at += sizeof(open) - 1;
	close = strstr(at, "</script>");
	CU_ASSERT_PTR_NOT_NULL_FATAL(close);
	o = json_loadb(at, (size_t)(close - at), JSON_REJECT_DUPLICATES, &error);
	if (!o)
		printf("%s at %d\n", error.text, error.position);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_PTR_NULL(memchr(at, '<', (size_t)(close - at)));
	return o;
}

static int64_t number(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	CU_ASSERT(json_is_integer(v));
	return json_integer_value(v);
}

#endif
