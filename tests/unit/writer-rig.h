/* SPDX-License-Identifier: MIT */
/* Rig of the writer's tests: a queue, a sink and a writer, and what came of it read back. */
#ifndef TESTS_WRITER_RIG_H
#define TESTS_WRITER_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"
#include "trace-samples.h"
#include "trace/reader-file.h"
#include "trace/reader.h"
#include "trace/writer.h"

#define UNUSED __attribute__((unused))

static char path[] = "/tmp/pagetap-writer.XXXXXX";
static char path_zst[] = "/tmp/pagetap-writer-XXXXXX.zst";

struct rig {
	struct queue *queue;
	struct sink *sink;
	struct writer *writer;
};

UNUSED static int start_form(struct rig *g, const char *to, uint32_t slots,
			     const struct writer_form *form)
{
	int r;

	*g = (struct rig){ 0 };
	CU_ASSERT_EQUAL_FATAL(queue_new(&g->queue, slots), 0);
	if (to != path_zst)
		unlink(to == path ? path : "/nonexistent");
	CU_ASSERT_EQUAL_FATAL(sink_open(&g->sink, to), 0);
	r = writer_start(&g->writer, g->queue, g->sink, &sample_header, NULL, form);
	if (r < 0) {
		sink_close(g->sink);
		queue_free(g->queue);
	}
	return r;
}

UNUSED static int start(struct rig *g, const char *to, uint32_t slots)
{
	return start_form(g, to, slots, NULL);
}

UNUSED static struct writer_result finish(struct rig *g, bool drop)
{
	struct writer_result res;

	queue_close(g->queue);
	writer_finish(g->writer, drop, &res);
	sink_close(g->sink);
	queue_free(g->queue);
	return res;
}

UNUSED static bool push(struct rig *g, struct record r)
{
	bool ok = queue_push(g->queue, &r);

	queue_kick(g->queue);
	return ok;
}

UNUSED static struct record fault(uint64_t n)
{
	return (struct record){
		.kind = RECORD_FAULT, .pid = 1, .mm = 1, .ts = n, .addr = 4096 * n, .npages = 1,
		.fault = { .tid = 1, .kind = FAULT_WP, .act = ACT_UNPROTECT, .write = true },
	};
}

/* What a trace holds, read back strictly. */
struct seen {
	uint64_t lines, faults, lost, lost_output, lost_faults;
	uint64_t last_seq;
	struct record_stats stats;
	uint8_t last_kind, detach_reason;
	bool header, bad;
};

UNUSED static void see(struct seen *s, const struct reader_record *rec)
{
	const struct record *r = &rec->record;

	s->bad |= rec->seq != s->last_seq + 1;
	s->last_seq = rec->seq;
	s->last_kind = r->kind;
	s->faults += r->kind == RECORD_FAULT;
	if (r->kind == RECORD_LOST) {
		s->lost += (uint64_t)r->lost.n;
		s->lost_faults += (uint64_t)r->lost.faults;
		s->lost_output += r->lost.reason == LOST_OUTPUT ? (uint64_t)r->lost.n : 0;
	}
	if (r->kind == RECORD_STATS)
		s->stats = r->stats;
	if (r->kind == RECORD_DETACH)
		s->detach_reason = r->detach.reason;
}

UNUSED static struct seen look(const char *at)
{
	const struct reader rd = { .page_size = SAMPLE_PAGE, .strict = true };
	struct seen s = { 0 };
	struct reader_header h;
	struct reader_error e;
	struct reader_file *f;
	const char *line;
	size_t len;
	int r;

	if (reader_file_open(&f, at) < 0)
		return (struct seen){ .bad = true };
	while ((r = reader_file_next(f, &line, &len)) == 1) {
		struct reader_record rec = { 0 };

		if (!s.lines++) {
			s.header = !reader_header(line, len, &h, &e);
			reader_header_release(&h);
			continue;
		}
		if (reader_record(&rd, line, len, &rec, &e) < 0)
			s.bad = true;
		else
			see(&s, &rec);
		record_release(&rec.record);
	}
	s.bad |= r < 0;
	reader_file_close(f);
	return s;
}
UNUSED static void test_files(void)
{
	int a = mkstemp(path), b = mkstemps(path_zst, 4);

	CU_ASSERT_FATAL(a >= 0 && b >= 0);
	close(a);
	close(b);
}

UNUSED static void test_remove_files(void)
{
	char old[64];

	snprintf(old, sizeof(old), "%s.old", path_zst);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(unlink(path_zst), 0);
	CU_ASSERT_EQUAL(unlink(old), 0);
}

#endif
