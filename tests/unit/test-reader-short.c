/* SPDX-License-Identifier: MIT */
/*
 * Reader, short cut: it takes what our writer makes in bulk, and whatever it takes it takes
 * as the long way does.
 */

#include <string.h>

#include "record-equal.h"
#include "suite.h"
#include "trace-samples.h"
#include "trace/reader-file.h"
#include "trace/reader-parts.h"

#define MUTATIONS 400

static const struct reader quick = { .page_size = SAMPLE_PAGE };
static const struct reader slow = { .page_size = SAMPLE_PAGE, .slow = true };

static char line[RECORD_TEXT_LINE_MAX + 2], mutant[RECORD_TEXT_LINE_MAX + 2];
static uint64_t state = 88172645463325252u;

static size_t random_below(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (size_t)(state % n);
}

/* Both ways, on bytes that end where the line does.  True: it is a record. */
static bool check_ways(const char *text, size_t n)
{
	char *exact = malloc(n ? n : 1);
	struct reader_record a = { 0 }, b = { 0 };
	struct reader_error ea = { "" }, eb = { "" };
	int ra, rb;

	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	memcpy(exact, text, n);
	ra = reader_record(&quick, exact, n, &a, &ea);
	rb = reader_record(&slow, exact, n, &b, &eb);
	free(exact);
	CU_ASSERT_EQUAL(ra, rb);
	CU_ASSERT_STRING_EQUAL(ea.text, eb.text);
	if (!ra && !rb) {
		CU_ASSERT_EQUAL(a.seq, b.seq);
		CU_ASSERT_EQUAL(a.unknown, b.unknown);
		CU_ASSERT(record_equal(&a.record, &b.record));
	}
	record_release(&a.record);
	record_release(&b.record);
	return !ra;
}

/* One byte another, one more, one less, an end too early, or two numbers swapped about. */
static size_t mutate(const char *text, size_t n)
{
	static const char odd[] = "0123456789abcdefx\"{}[]:, -.e\\ntu\x7f\xc3\xa9";
	size_t at = random_below(n), to = random_below(n);

	memcpy(mutant, text, n);
	switch (random_below(5)) {
	case 0:
		mutant[at] = odd[random_below(sizeof(odd) - 1)];
		return n;
	case 1:
		memmove(mutant + at + 1, mutant + at, n - at);
		mutant[at] = odd[random_below(sizeof(odd) - 1)];
		return n + 1;
	case 2:
		memmove(mutant + at, mutant + at + 1, n - at - 1);
		return n - 1;
	case 3:
		mutant[at] = mutant[to];
		return n;
	default:
		return at;
	}
}

static void check_mutants(const char *text, size_t n)
{
	for (unsigned int i = 0; i < MUTATIONS; i++)
		check_ways(mutant, mutate(text, n));
}

static bool is_short(const char *text, size_t n)
{
	struct reader_record r = { 0 };
	bool taken = reader_short_cut(text, n, SAMPLE_PAGE, &r);

	if (taken)
		record_release(&r.record);
	return taken;
}

static size_t format(const struct record *r, uint64_t seq)
{
	int64_t n = record_format(r, seq, SAMPLE_PAGE, line, sizeof(line) - 2);

	CU_ASSERT_FATAL(n > 0);
	return (size_t)n - 1;
}

/* Every kind with the values at its edges. */
static void test_samples(void)
{
	unsigned int taken = 0;

	for (size_t i = 0; i < SAMPLES; i++) {
		struct record r = sample_record(&samples[i]);
		size_t n = format(&r, i + 1);

		CU_ASSERT(check_ways(line, n));
		if (r.kind == RECORD_FAULT || r.kind == RECORD_DIRTY || r.kind == RECORD_STACK ||
		    r.kind == RECORD_ARM)
			CU_ASSERT(is_short(line, n));
		taken += is_short(line, n);
		check_mutants(line, n);
		record_release(&r);
	}
	CU_ASSERT(taken > 10);
}

/* Mappings: all that a name may hold, and a build id. */
static void test_names(void)
{
	static const char *const plain[] = { "", "[heap]", "/usr/lib/libc.so.6", "/a b~'<>&" };
	static const char *const escaped[] = { "/a\"b", "/a\\b", "/a\nb", "/caf\xc3\xa9", "/\xff",
					       "/\x7f" };
	struct record r = { .kind = RECORD_VMA, .pid = 1, .mm = 1, .addr = 0x1000, .npages = 1,
			    .vma = { .id = 1, .op = VMA_OP_ADD, .kind = VMA_KIND_FILE } };

	for (unsigned int i = 0; i < 20; i++) {
		const char *name = i < 4 ? plain[i] : escaped[i % 6];
		size_t n;

		r.vma.watch = i & 1;
		r.vma.why = i & 1 ? WHY_NONE : WHY_FILE_BACKED;
		r.text = record_text_new(name, strlen(name), "\x00\xff\x10", i & 2 ? 3 : 0);
		n = format(&r, i + 1);
		CU_ASSERT_EQUAL(is_short(line, n), i < 4);
		CU_ASSERT(check_ways(line, n));
		check_mutants(line, n);
		record_release(&r);
	}
}

/* What real recordings look like. */
static void test_files(void)
{
	static const char *const paths[] = {
		"tests/data/trace/every-kind.ndjson", "tests/data/trace/async.ndjson",
		"tests/data/trace/who.ndjson", "tests/data/trace/budget.ndjson",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct reader_file *f = NULL;
		unsigned int lines = 0;
		const char *text;
		size_t n;

		CU_ASSERT_EQUAL_FATAL(reader_file_open(&f, paths[i]), 0);
		while (reader_file_next(f, &text, &n) == 1) {
			CU_ASSERT_EQUAL(check_ways(text, n), lines > 0);
			check_mutants(text, n);
			lines++;
		}
		CU_ASSERT(lines > 5);
		reader_file_close(f);
	}
}

/* 127 frames are taken, one more is not; nor is one that is no address. */
static void test_frames(void)
{
	size_t at;

	for (unsigned int frames = 126; frames < 130; frames++) {
		at = (size_t)snprintf(line, sizeof(line), "{\"ev\":\"stack\",\"seq\":1,\"ts\":1,"
				      "\"pid\":1,\"mm\":1,\"id\":1,\"frames\":[");
		for (unsigned int i = 0; i < frames; i++)
			at += (size_t)snprintf(line + at, sizeof(line) - at, "%s\"0x%x\"",
					       i ? "," : "", 4096 + i);
		at += (size_t)snprintf(line + at, sizeof(line) - at, "]}");
		CU_ASSERT_EQUAL(check_ways(line, at), frames <= RECORD_FRAMES_MAX);
		CU_ASSERT_EQUAL(is_short(line, at), frames <= RECORD_FRAMES_MAX);
	}
}

static const struct suite_test tests[] = {
	{ "every sample, and what is nearly one", test_samples },
	{ "names of mappings", test_names },
	{ "lines of files", test_files },
	{ "as many frames as there may be", test_frames },
};

SUITE_MAIN("reader-short", tests)
