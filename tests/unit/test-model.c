/* SPDX-License-Identifier: MIT */
/* Model, pick and walk: who is who, held against traces that are written here. */

#include <errno.h>
#include <string.h>

#include "report/pick.h"
#include "report/walk.h"
#include "suite.h"

static const char header[] =
	"{\"ev\":\"header\",\"schema\":\"pagetap.trace/1\",\"tool\":\"t\",\"version\":\"1\","
	"\"clock\":\"CLOCK_MONOTONIC\",\"base_mono_ns\":0,"
	"\"base_real\":\"2026-03-01T12:00:00.000000001Z\",\"page_size\":4096,\"host\":\"h\","
	"\"kernel\":\"6\",\"arch\":\"x86_64\",\"engine\":\"sync\",\"modes\":[\"write\"],"
	"\"features\":[],\"events\":[],\"argv\":[]}\n";

static struct model *m;
static struct walk_end end;

static int keep(void *arg, const struct reader_record *r)
{
	CU_ASSERT_PTR_NULL(arg);
	return model_record(m, &r->record);
}

static int walk_text(const char *text, size_t len)
{
	char path[] = "/tmp/pagetap-model.XXXXXX";
	struct reader_error why;
	struct walk *w = NULL;
	int fd = mkstemp(path), r;

	CU_ASSERT_EQUAL_FATAL(write(fd, text, len), (ssize_t)len);
	close(fd);
	r = walk_open(&w, path, &why);
	unlink(path);
	if (r < 0)
		return r;
	m = model_free(m);
	CU_ASSERT_EQUAL_FATAL(model_new(&m, walk_header(w)->page_size), 0);
	r = walk_run(w, keep, NULL, &end);
	walk_close(w);
	return r;
}

static void story(const char *const *lines)
{
	char text[16384];
	size_t at = (size_t)snprintf(text, sizeof(text), "%s", header);

	for (unsigned int seq = 1; *lines; lines++, seq++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "{\"ev\":\"%.*s\",\"seq\":%u,\"ts\":%u,%s}\n",
				       (int)strcspn(*lines, " "), *lines, seq, seq * 1000,
				       strchr(*lines, ' ') + 1);
	CU_ASSERT_FATAL(at < sizeof(text));
	CU_ASSERT_EQUAL(walk_text(text, at), 0);
	CU_ASSERT_EQUAL(end.unreadable, 0);
	CU_ASSERT_STRING_EQUAL(end.unreadable_why.text, "");
	CU_ASSERT(!end.cut && !end.damaged && !end.holes);
}

static const char *label_at(uint32_t mm, uint64_t addr)
{
	const struct model_vma *v = model_find(m, mm, addr);

	return v ? v->label->text.s : "-";
}

#define HEAP "vma \"pid\":7,\"mm\":1,\"id\":1,\"op\":\"snapshot\",\"addr\":\"0x10000\"," \
	"\"page\":16,\"npages\":16,\"prot\":\"rw-p\",\"name\":\"[heap]\",\"off\":0," \
	"\"ino\":0,\"kind\":\"heap\",\"watch\":true"
#define VMA(op, id, addr, page, n, name, kind) \
	"vma \"pid\":7,\"mm\":1,\"id\":" id ",\"op\":\"" op "\",\"addr\":\"" addr           \
	"\",\"page\":" page ",\"npages\":" n ",\"prot\":\"r-xp\",\"name\":\"" name             \
	"\",\"off\":4096,\"ino\":5,\"kind\":\"" kind "\",\"watch\":true"
#define ATTACH "attach \"pid\":7,\"mm\":1,\"comm\":\"sh\",\"exe\":\"/bin/sh\",\"ppid\":3," \
	"\"threads\":1,\"vmas\":2,\"stop_ns\":5"

static void test_mappings(void)
{
	static const char *const lines[] = {
		ATTACH, HEAP, VMA("snapshot", "2", "0x40000", "64", "4", "/lib/libc.so.6", "file"),
		VMA("add", "3", "0x50000", "80", "4", "", "anon"),
		VMA("add", "4", "0x60000", "96", "4", "/usr/libc.so.6", "file"),
		VMA("add", "5", "0x70000", "112", "4", "", "anon"), NULL,
	};
	const struct model_vma *v;

	story(lines);
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x10000), "[heap]");
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x1ffff), "[heap]");
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x20000), "-");
	CU_ASSERT_STRING_EQUAL(label_at(1, 0xffff), "-");
	CU_ASSERT_STRING_EQUAL(label_at(2, 0x10000), "-");
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x40000), "libc.so.6");
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x60000), "/usr/libc.so.6");
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x50000), "anon");
	/* unknown, [heap], libc, anon, the other libc; both anon are one. */
	CU_ASSERT_EQUAL(model_labels(m), 5);
	CU_ASSERT_STRING_EQUAL(model_label(m, 0)->text.s, "unknown");
	CU_ASSERT_EQUAL(model_find(m, 1, 0x70000)->label->mappings, 2);
	CU_ASSERT_PTR_EQUAL(model_find(m, 1, 0x70000)->label, model_find(m, 1, 0x50000)->label);
	v = model_vma_of(m, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_EQUAL(v->index, 1);
	CU_ASSERT_EQUAL(v->off, 4096);
	CU_ASSERT_EQUAL(v->ino, 5);
	CU_ASSERT_EQUAL(v->prot, RECORD_PROT_READ | RECORD_PROT_EXEC);
	CU_ASSERT_EQUAL(v->pid, 7);
	CU_ASSERT_PTR_NULL(model_vma_of(m, 0));
	CU_ASSERT_PTR_NULL(model_vma_of(m, 99));
	CU_ASSERT_STRING_EQUAL(model_space(m, 1)->exe.s, "/bin/sh");
	CU_ASSERT_EQUAL(model_space(m, 1)->ppid, 3);
}

static void test_changes(void)
{
	static const char *const lines[] = {
		HEAP, VMA("change", "1", "0x10000", "16", "32", "[heap]", "heap"),
		VMA("add", "2", "0x40000", "64", "4", "", "anon"),
		/* In its place, though it has not been told to go. */
		VMA("add", "3", "0x41000", "65", "1", "/tmp/x (deleted)", "file"),
		VMA("change", "2", "0x80000", "128", "2", "[anon:arena]", "anon"),
		VMA("gone", "1", "0x10000", "16", "32", "[heap]", "heap"), NULL,
	};
	const struct model_vma *heap, *arena;

	story(lines);
	heap = model_vma_of(m, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
	CU_ASSERT(!heap->there);
	CU_ASSERT_EQUAL(heap->hi, 0x30000);
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x10000), "-");
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x40000), "-");
	CU_ASSERT_STRING_EQUAL(label_at(1, 0x41000), "x (deleted)");
	/* Another name: another mapping, by the same number of the trace. */
	arena = model_vma_of(m, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
	CU_ASSERT_STRING_EQUAL(arena->label->text.s, "[anon:arena]");
	CU_ASSERT_EQUAL(arena->index, 3);
	CU_ASSERT_EQUAL(model_vmas(m), 4);
	CU_ASSERT_STRING_EQUAL(model_vma(m, 1)->label->text.s, "anon");
}

static void test_family(void)
{
	static const char *const lines[] = {
		ATTACH, "fork \"pid\":7,\"mm\":1,\"child\":8,\"child_mm\":2,\"followed\":true",
		"exec \"pid\":8,\"mm\":2,\"comm\":\"gzip\",\"exe\":\"/bin/gzip\",\"new_mm\":3",
		"exit \"pid\":8,\"mm\":3,\"code\":4,\"signal\":null",
		"thread \"pid\":7,\"mm\":1,\"tid\":9,\"comm\":\"io\"",
		"thread \"pid\":7,\"mm\":1,\"tid\":9,\"comm\":\"io2\"",
		"fork \"pid\":7,\"mm\":1,\"child\":null,\"child_mm\":0,\"followed\":false", NULL,
	};
	const struct model_space *s;

	story(lines);
	CU_ASSERT_EQUAL(model_spaces(m), 3);
	s = model_space(m, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->comm.s, "sh");
	CU_ASSERT_EQUAL(s->pid, 8);
	CU_ASSERT_EQUAL(s->ppid, 7);
	CU_ASSERT_EQUAL(s->parent_mm, 1);
	s = model_space(m, 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->comm.s, "gzip");
	CU_ASSERT(s->exited);
	CU_ASSERT_EQUAL(s->code, 4);
	CU_ASSERT_EQUAL(s->signal, RECORD_UNKNOWN);
	CU_ASSERT_EQUAL(s->begin, 3000);
	CU_ASSERT_EQUAL(s->end, 4000);
	CU_ASSERT_STRING_EQUAL(model_comm(m, 7, 1, 9).s, "io2");
	CU_ASSERT_STRING_EQUAL(model_comm(m, 7, 1, 10).s, "sh");
	CU_ASSERT_STRING_EQUAL(model_comm(m, 99, 99, 10).s, "");
	CU_ASSERT_PTR_NULL(model_thread(m, 7, 10));
}

static void test_stacks(void)
{
	static const char *const lines[] = {
		VMA("snapshot", "1", "0x40000", "64", "4", "/bin/a", "file"),
		"stack \"pid\":7,\"mm\":1,\"id\":3,"
		"\"frames\":[\"0x40010\",\"0x44000\",\"0x99999\"]",
		VMA("gone", "1", "0x40000", "64", "4", "/bin/a", "file"),
		"stack \"pid\":7,\"mm\":1,\"id\":4,\"frames\":[]", NULL,
	};
	const struct model_stack *s;

	story(lines);
	s = model_stack(m, 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL_FATAL(s->n, 3);
	CU_ASSERT_EQUAL(s->frame[0], 0x40010);
	CU_ASSERT_PTR_EQUAL(s->vma[0], model_vma_of(m, 1));
	/* A call that is the last of its mapping returns behind it. */
	CU_ASSERT_PTR_EQUAL(s->vma[1], model_vma_of(m, 1));
	CU_ASSERT_PTR_NULL(s->vma[2]);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model_stack(m, 4));
	CU_ASSERT_EQUAL(model_stack(m, 4)->n, 0);
	CU_ASSERT_PTR_NULL(model_stack(m, 0));
	CU_ASSERT_PTR_NULL(model_stack(m, 5));
}

/* As deep as can be: each has its number all the same, and who lacks frames is counted. */
static void test_too_many_stacks(void)
{
	uint64_t frames[RECORD_FRAMES_MAX];
	const uint32_t room = (64u << 20) / (2 * sizeof(frames)), more = 10;
	struct record r = { .kind = RECORD_STACK, .pid = 7, .mm = 1 };

	for (size_t i = 0; i < RECORD_FRAMES_MAX; i++)
		frames[i] = 0x40000 + i;
	story((const char *const[]){ NULL });
	CU_ASSERT_EQUAL(model_stacks_left_out(m), 0);
	for (r.stack.id = 1; r.stack.id <= room + more; r.stack.id++) {
		r.text = record_frames_new(frames, RECORD_FRAMES_MAX);
		CU_ASSERT_EQUAL_FATAL(model_record(m, &r), 0);
		record_release(&r);
	}
	CU_ASSERT_EQUAL(model_stack(m, room)->n, RECORD_FRAMES_MAX);
	CU_ASSERT_EQUAL(model_stack(m, room + 1)->n, 0);
	CU_ASSERT_EQUAL(model_stack(m, room + more)->n, 0);
	CU_ASSERT_EQUAL(model_stacks_left_out(m), more);
}

/* ---- pick ----------------------------------------------------------------------------- */

static struct record fault(uint32_t vma, uint64_t addr, uint64_t ts)
{
	return (struct record){ .kind = RECORD_FAULT, .pid = 7, .mm = 1, .addr = addr, .npages = 1,
				.ts = ts,
				.fault = { .vma = vma, .kind = FAULT_WP, .write = true } };
}

static void test_pick(void)
{
	static const char *const lines[] = {
		HEAP, VMA("snapshot", "2", "0x40000", "64", "4", "/lib/libc.so.6", "file"), NULL,
	};
	struct record heap = fault(1, 0x10010, 5000), libc = fault(2, 0x40000, 6000);
	struct record none = fault(0, 0x90000, 7000);
	struct record gap = { .kind = RECORD_GAP, .pid = 7, .mm = 1, .ts = 6000 };
	struct record child = { .kind = RECORD_FORK, .pid = 7, .mm = 1, .ts = 6000 };
	struct pick p = { 0 };

	story(lines);
	CU_ASSERT(pick_is_empty(&p));
	CU_ASSERT(pick_takes(&p, m, &heap) && pick_takes(&p, m, &none));
	p = (struct pick){ .globs = { "heap" }, .nr_globs = 1 };
	CU_ASSERT(!pick_is_empty(&p));
	for (int again = 0; again < 2; again++) {
		CU_ASSERT(pick_takes(&p, m, &heap));
		CU_ASSERT(!pick_takes(&p, m, &libc) && !pick_takes(&p, m, &none));
	}
	CU_ASSERT(pick_takes(&p, m, &gap) && pick_takes(&p, m, &child));
	gap.addr = 0x40000;
	gap.npages = 1;
	CU_ASSERT(!pick_takes(&p, m, &gap));
	pick_done(&p);
	p = (struct pick){ .globs = { "x", "libc*" }, .nr_globs = 2 };
	CU_ASSERT(pick_takes(&p, m, &libc) && pick_takes(&p, m, &gap));
	CU_ASSERT(!pick_takes(&p, m, &heap));
	pick_done(&p);
	p = (struct pick){ .ranges = { { 0x10000, 0x11000 } }, .nr_ranges = 1 };
	CU_ASSERT(pick_takes(&p, m, &heap) && !pick_takes(&p, m, &libc));
	gap.addr = 0xf000;
	CU_ASSERT(!pick_takes(&p, m, &gap));
	gap.npages = 2;
	CU_ASSERT(pick_takes(&p, m, &gap));
	p = (struct pick){ .since = 5500, .until = 6001 };
	CU_ASSERT(!pick_takes(&p, m, &heap) && pick_takes(&p, m, &libc));
	CU_ASSERT(!pick_takes(&p, m, &none));
	p = (struct pick){ .kinds = PICK_KIND_FORK };
	CU_ASSERT(pick_takes(&p, m, &child) && pick_takes(&p, m, &gap));
	CU_ASSERT(!pick_takes(&p, m, &heap));
	p = (struct pick){ .pids = { 8 }, .nr_pids = 1 };
	CU_ASSERT(!pick_takes(&p, m, &heap));
	p.pids[0] = 7;
	CU_ASSERT(pick_takes(&p, m, &heap));
}

/* ---- walk ----------------------------------------------------------------------------- */

#define LINE(seq)                                                                              \
	"{\"ev\":\"exit\",\"seq\":" #seq ",\"ts\":9,\"pid\":7,\"mm\":1,\"code\":0,"             \
	"\"signal\":null}\n"
#define LAST(seq)                                                                              \
	"{\"ev\":\"detach\",\"seq\":" #seq ",\"ts\":9,\"pid\":0,\"mm\":0,"                     \
	"\"reason\":\"exit\",\"clean\":true}\n"

static void walk_lines(const char *lines)
{
	char text[4096];
	int n = snprintf(text, sizeof(text), "%s%s", header, lines);

	CU_ASSERT_EQUAL(walk_text(text, (size_t)n), 0);
}

static void test_ends(void)
{
	walk_lines(LINE(1) LAST(2));
	CU_ASSERT(end.complete && !end.cut && !end.holes);
	CU_ASSERT_EQUAL(end.records, 2);
	CU_ASSERT_EQUAL(end.last_ts, 9);
	walk_lines(LINE(1) LINE(2));
	CU_ASSERT(!end.complete && !end.cut);
	walk_lines(LINE(1) "{\"ev\":\"exit\",\"se");
	CU_ASSERT(!end.complete && end.cut);
	CU_ASSERT_EQUAL(end.cut_offset, sizeof(header) - 1 + sizeof(LINE(1)) - 1);
	CU_ASSERT_EQUAL(end.records, 1);
	walk_lines(LINE(1) LINE(4) LINE(5) LINE(9) LAST(10));
	CU_ASSERT_EQUAL(end.holes, 2);
	CU_ASSERT_EQUAL(end.missing, 5);
	walk_lines(LINE(1) "nonsense\n" LINE(3) "{\"ev\":\"exit\",\"seq\":4}\n" LAST(5));
	CU_ASSERT_EQUAL(end.unreadable, 2);
	CU_ASSERT_EQUAL(end.unreadable_line, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(end.unreadable_why.text, "JSON"));
	CU_ASSERT_EQUAL(end.holes, 0);
	CU_ASSERT_EQUAL(end.records, 3);
	walk_lines("{\"ev\":\"later\",\"seq\":1,\"ts\":1,\"pid\":0,\"mm\":0}\n" LAST(2));
	CU_ASSERT_EQUAL(end.unknown, 1);
	CU_ASSERT_EQUAL(end.records, 2);
}

static int stop(void *arg, const struct reader_record *r)
{
	(void)r;
	return ++*(int *)arg == 2 ? 1 : 0;
}

static void test_stops(void)
{
	struct reader_error why;
	struct walk *w = NULL;
	int n = 0;

	CU_ASSERT_EQUAL(walk_open(&w, "tests/data/trace/every-kind.ndjson", &why), 0);
	CU_ASSERT_STRING_EQUAL(walk_header(w)->engine, "sync");
	CU_ASSERT_EQUAL(walk_run(w, stop, &n, &end), 0);
	CU_ASSERT_EQUAL(n, 2);
	walk_close(w);
	CU_ASSERT_EQUAL(walk_open(&w, "tests/data/trace", &why), -EISDIR);
	CU_ASSERT_EQUAL(walk_open(&w, "tests/data/trace/none", &why), -ENOENT);
	CU_ASSERT_EQUAL(walk_text("hallo\n", 6), -EBADMSG);
	CU_ASSERT_EQUAL(walk_text("", 0), -EBADMSG);
	CU_ASSERT_EQUAL(walk_text("{\"ev\":\"header\",\"schema\":\"pagetap.trace/2\"}\n", 44),
			-EPROTONOSUPPORT);
	m = model_free(m);
}

static const struct suite_test tests[] = {
	{ "mappings and their names", test_mappings },
	{ "mappings change and go", test_changes },
	{ "processes and threads", test_family },
	{ "stacks", test_stacks },
	{ "too many stacks", test_too_many_stacks },
	{ "what is asked for", test_pick },
	{ "how a trace ends", test_ends },
	{ "stopping, and what is no trace", test_stops },
};

SUITE_MAIN("model", tests)
