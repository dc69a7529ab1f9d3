/* SPDX-License-Identifier: MIT */
/*
 * Reader: what the writer writes comes back equal, and nothing else comes in.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <zstd.h>

#include "record-equal.h"
#include "starve.h"
#include "suite.h"
#include "trace-samples.h"
#include "trace/names.h"
#include "trace/reader-file.h"
#include "trace/reader.h"

static const struct reader strict = { .page_size = SAMPLE_PAGE, .strict = true };
static const struct reader slow = { .page_size = SAMPLE_PAGE, .strict = true, .slow = true };
static const struct reader lenient = { .page_size = SAMPLE_PAGE };

static char line[RECORD_TEXT_LINE_MAX], again[RECORD_TEXT_LINE_MAX];

/* Length of the sample's line without its newline. */
static size_t format(const struct record *r, uint64_t seq)
{
	int64_t n = record_format(r, seq, SAMPLE_PAGE, line, sizeof(line) - 1);

	CU_ASSERT_FATAL(n > 0);
	line[n] = '\0';
	return (size_t)n - 1;
}

/* Equal records make equal lines, and hold the same bytes. */
static void check_equal(const struct record *a, const struct record *b, uint64_t seq)
{
	size_t n = format(a, seq);

	CU_ASSERT_EQUAL(record_format(b, seq, SAMPLE_PAGE, again, sizeof(again)), (int64_t)n + 1);
	CU_ASSERT(!memcmp(line, again, n + 1));
	CU_ASSERT_EQUAL(!a->text, !b->text);
	if (!a->text || !b->text)
		return;
	CU_ASSERT(!memcmp(a->text->len, b->text->len, sizeof(a->text->len)));
	CU_ASSERT(!memcmp(a->text->bytes, b->text->bytes, a->text->len[0] + a->text->len[1]));
}

static void test_round_trip(void)
{
	static const struct reader *const ways[] = { &strict, &slow, &lenient };

	for (size_t i = 0; i < SAMPLES * 3; i++) {
		struct record r = sample_record(&samples[i / 3]);
		struct reader_record back;
		struct reader_error e = { "" };
		size_t n = format(&r, i + 1);

		CU_ASSERT_EQUAL(reader_record(ways[i % 3], line, n, &back, &e), 0);
		CU_ASSERT_STRING_EQUAL(e.text, "");
		CU_ASSERT_EQUAL(back.seq, i + 1);
		CU_ASSERT(!back.unknown);
		check_equal(&r, &back.record, i + 1);
		record_release(&back.record);
		record_release(&r);
	}
}

static void test_foreign_bytes(void)
{
	char all[256];
	struct record r = { .kind = RECORD_EXEC, .pid = 1, .mm = 1 };
	struct reader_record back;
	struct reader_error e;

	for (int c = 0; c < 256; c++)
		all[c] = (char)c;
	r.text = record_text_new(all, sizeof(all), all + 32, 64);
	CU_ASSERT_EQUAL(reader_record(&strict, line, format(&r, 1), &back, &e), 0);
	check_equal(&r, &back.record, 1);
	record_release(&back.record);
	record_release(&r);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t random_size(void)
{
	return random_bits() >> (random_bits() % 64);
}

static struct record random_fault(void)
{
	return (struct record){
		.kind = RECORD_FAULT, .pid = (int32_t)(random_size() & INT32_MAX),
		.mm = (uint32_t)random_size(), .ts = random_size() & SAMPLE_INT_MAX,
		.addr = random_size() & (UINT64_MAX >> 1), .npages = random_size() % 1024 + 1,
		.fault = {
			.stop_ns = random_size() & SAMPLE_INT_MAX,
			.lat_ns = (uint32_t)random_size(), .vma = (uint32_t)random_size(),
			.tid = (int32_t)(random_size() & INT32_MAX),
			.ns_tid = (int32_t)(random_size() & INT32_MAX),
			.kind = (uint8_t)(random_bits() % FAULT_NR),
			.act = (uint8_t)(random_bits() % ACT_NR),
			.via = (uint8_t)(random_bits() % VIA_NR),
			.write = random_bits() & 1, .unsure = random_bits() & 1,
			.ip = random_size(), .stack = (uint32_t)random_size(),
			.src = (uint8_t)(random_bits() % SRC_NR),
		},
	};
}

/* What one way takes the other takes, with the same result. */
static void check_ways(size_t n, uint64_t *ret_taken)
{
	struct reader_record a = { 0 }, b = { 0 };
	struct reader_error e;
	int ra = reader_record(&lenient, line, n, &a, &e);
	struct reader way = lenient;
	int rb;

	way.slow = true;
	rb = reader_record(&way, line, n, &b, &e);
	CU_ASSERT_EQUAL(ra, rb);
	if (!ra && !rb && !a.unknown) {
		(*ret_taken)++;
		CU_ASSERT_EQUAL(a.seq, b.seq);
		CU_ASSERT(record_equal(&a.record, &b.record));
	}
	record_release(&a.record);
	record_release(&b.record);
}

static void test_short_cut(void)
{
	static const char odd[] = "0123456789abcdefx\"{}:, -.e\\";
	uint64_t whole = 0, taken = 0;

	for (unsigned int i = 0; i < 20000; i++) {
		struct record r = random_fault();
		size_t n = format(&r, random_size() % SAMPLE_INT_MAX + 1);

		check_ways(n, &whole);
		/* One byte another, one more, one less, or an end too early. */
		switch (random_bits() % 4) {
		case 0:
			line[random_bits() % n] = odd[random_bits() % (sizeof(odd) - 1)];
			break;
		case 1: {
			size_t at = random_bits() % n;

			memmove(line + at + 1, line + at, n - at);
			line[at] = odd[random_bits() % (sizeof(odd) - 1)];
			n++;
			break;
		}
		case 2: {
			size_t at = random_bits() % n;

			memmove(line + at, line + at + 1, n - at - 1);
			n--;
			break;
		}
		default:
			n = random_bits() % n;
		}
		check_ways(n, &taken);
	}
	CU_ASSERT_EQUAL(whole, 20000);
	CU_ASSERT(taken > 100 && taken < 20000);
}

struct bad_line {
	const char *text, *words;
};

#define COMMON "\"seq\":1,\"ts\":5,\"pid\":1,\"mm\":1"
#define SPAN "\"ts0\":1,\"addr\":\"0x1000\",\"page\":1,\"npages\":1"

static const struct bad_line bad_lines[] = {
	{ "", "no JSON" },
	{ "{\"ev\":\"fault\"", "no JSON" },
	{ "[]", "no JSON object" },
	{ "{}", "\"ev\"" },
	{ "{\"ev\":1}", "\"ev\"" },
	{ "{\"ev\":\"unmap\",\"ev\":\"unmap\"}", "duplicate" },
	{ "{\"seq\":1,\"ev\":\"unmap\"}", "key 1 is \"seq\"" },
	{ "{\"ev\":\"unmap\",\"ts\":1,\"seq\":1}", "key 2 is \"ts\"" },
	{ "{\"ev\":\"unmap\",\"seq\":0,\"ts\":1,\"pid\":1,\"mm\":1}", "\"seq\"" },
	{ "{\"ev\":\"unmap\",\"seq\":1.0,\"ts\":1,\"pid\":1,\"mm\":1}", "\"seq\"" },
	{ "{\"ev\":\"unmap\",\"seq\":\"1\",\"ts\":1,\"pid\":1,\"mm\":1}", "\"seq\"" },
	{ "{\"ev\":\"unmap\",\"seq\":9007199254740992,\"ts\":1,\"pid\":1,\"mm\":1}", "\"seq\"" },
	{ "{\"ev\":\"unmap\",\"seq\":1,\"ts\":-1,\"pid\":1,\"mm\":1}", "\"ts\"" },
	{ "{\"ev\":\"unmap\",\"seq\":1,\"ts\":1,\"pid\":-1,\"mm\":1}", "\"pid\"" },
	{ "{\"ev\":\"unmap\",\"seq\":1,\"ts\":1,\"pid\":1,\"mm\":4294967296}", "\"mm\"" },
	{ "{\"ev\":\"unmap\"," COMMON "}", "\"ts0\" is missing" },
	{ "{\"ev\":\"unmap\"," COMMON "," SPAN ",\"size\":1}", "\"size\"" },
	{ "{\"ev\":\"unmap\"," COMMON "," SPAN ",\"start_time\":1}", "\"start_time\"" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":6,\"addr\":\"0x1000\",\"page\":1,\"npages\":1}",
	  "before it begins" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":1,\"addr\":\"0x1000\",\"page\":2,\"npages\":1}",
	  "page size" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":1,\"addr\":\"0x1001\",\"page\":1,\"npages\":1}",
	  "begin of a page" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":1,\"addr\":\"0x1000\",\"page\":1,\"npages\":0}",
	  "no length" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":1,\"addr\":\"0xfffffffffffff000\","
	  "\"page\":4503599627370495,\"npages\":2}", "no length" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":1,\"addr\":4096,\"page\":1,\"npages\":1}",
	  "\"addr\"" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":1,\"addr\":\"0X1000\",\"page\":1,\"npages\":1}",
	  "\"addr\"" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":1,\"addr\":\"0x01000\",\"page\":1,\"npages\":1}",
	  "\"addr\"" },
	{ "{\"ev\":\"unmap\"," COMMON ",\"ts0\":1,\"addr\":\"0x10000000000001000\",\"page\":1,"
	  "\"npages\":1}", "\"addr\"" },
	{ "{\"ev\":\"arm\"," COMMON "," SPAN ",\"mode\":\"wpp\"}", "\"mode\"" },
	{ "{\"ev\":\"arm\"," COMMON "," SPAN ",\"mode\":null}", "\"mode\"" },
	{ "{\"ev\":\"remap\"," COMMON "," SPAN ",\"new_addr\":\"0x2001\",\"new_page\":2}",
	  "\"new_addr\"" },
	{ "{\"ev\":\"gap\"," COMMON ",\"ts0\":1,\"addr\":\"0x1000\",\"reason\":\"fork\"}",
	  "half a span" },
	{ "{\"ev\":\"exit\"," COMMON ",\"code\":1.5,\"signal\":null}", "\"code\"" },
	{ "{\"ev\":\"lost\"," COMMON ",\"reason\":\"ring\",\"n\":-1,\"faults\":0}", "negative" },
	{ "{\"ev\":\"attach\"," COMMON ",\"comm\":\"a\",\"exe\":null,\"ppid\":1,\"threads\":1,"
	  "\"vmas\":1,\"stop_ns\":1}", "only one of" },
	{ "{\"ev\":\"error\"," COMMON ",\"what\":1,\"errno\":1,\"msg\":\"\"}", "\"what\"" },
	{ "{\"ev\":\"error\"," COMMON
	  ",\"what\":\"a\",\"what_hex\":\"616\",\"errno\":1,\"msg\":\"\"}",
	  "\"what_hex\"" },
	{ "{\"ev\":\"error\"," COMMON
	  ",\"what\":\"a\",\"what_hex\":\"6G\",\"errno\":1,\"msg\":\"\"}",
	  "\"what_hex\"" },
	{ "{\"ev\":\"header\"," COMMON "}", "second header" },
	{ "{\"ev\":\"vma\"," COMMON ",\"id\":0,\"op\":\"add\",\"addr\":\"0x1000\",\"page\":1,"
	  "\"npages\":1,\"prot\":\"rw-p\",\"name\":\"\",\"off\":0,\"ino\":0,\"kind\":\"anon\","
	  "\"watch\":true}", "\"id\" is 0" },
	{ "{\"ev\":\"vma\"," COMMON ",\"id\":1,\"op\":\"add\",\"addr\":\"0x1000\",\"page\":1,"
	  "\"npages\":1,\"prot\":\"rw-p\",\"name\":\"\",\"off\":0,\"ino\":0,\"kind\":\"anon\","
	  "\"watch\":false}", "\"why\"" },
	{ "{\"ev\":\"vma\"," COMMON ",\"id\":1,\"op\":\"add\",\"addr\":\"0x1000\",\"page\":1,"
	  "\"npages\":1,\"prot\":\"rw-\",\"name\":\"\",\"off\":0,\"ino\":0,\"kind\":\"anon\","
	  "\"watch\":true}", "\"prot\"" },
	{ "{\"ev\":\"vma\"," COMMON ",\"id\":1,\"op\":\"add\",\"addr\":\"0x1000\",\"page\":1,"
	  "\"npages\":1,\"prot\":\"rw-p\",\"name\":\"\",\"off\":null,\"ino\":0,\"kind\":\"anon\","
	  "\"watch\":true}", "\"off\"" },
	{ "{\"ev\":\"\x1b[2J\xff\"}", "no JSON" },
};

static void test_bad_lines(void)
{
	for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
		const struct bad_line *b = &bad_lines[i];
		struct reader_record rec;
		struct reader_error e = { "" };
		int r = reader_record(&strict, b->text, strlen(b->text), &rec, &e);

		CU_ASSERT_EQUAL(r, -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, b->words));
		if (r != -EBADMSG || !strstr(e.text, b->words))
			printf("\n%s\n -> %d %s, not %s\n", b->text, r, e.text, b->words);
		for (const char *p = e.text; *p; p++)
			CU_ASSERT(*p >= ' ' && *p <= '~');
		CU_ASSERT_PTR_NULL(rec.record.text);
	}
}

/* A later version of /1 may add; readers pass it over. */
static void test_additions(void)
{
	static const char added[] =
		"{\"ev\":\"unmap\"," COMMON "," SPAN ",\"mood\":[1,{\"a\":null}]}";
	static const char kind[] = "{\"ev\":\"nap\"," COMMON ",\"depth\":3}";
	static const char moved[] =
		"{\"seq\":1,\"ts\":5,\"mm\":1,\"pid\":1," SPAN ",\"ev\":\"unmap\"}";
	struct reader_record rec;
	struct reader_error e;

	CU_ASSERT_EQUAL(reader_record(&strict, added, strlen(added), &rec, &e), 0);
	CU_ASSERT_EQUAL(rec.record.kind, RECORD_UNMAP);
	CU_ASSERT_EQUAL(reader_record(&strict, kind, strlen(kind), &rec, &e), 0);
	CU_ASSERT(rec.unknown);
	CU_ASSERT_EQUAL(rec.seq, 1);
	CU_ASSERT_EQUAL(reader_record(&lenient, moved, strlen(moved), &rec, &e), 0);
	CU_ASSERT_EQUAL(rec.record.npages, 1);
}

static void test_header(void)
{
	static const struct bad_line bad[] = {
		{ "", "not a trace" },
		{ "GIF89a", "not a trace" },
		{ "{\"ev\":\"fault\"}", "not a trace" },
		{ "{\"ev\":\"header\",\"schema\":\"other/1\"}", "not a trace" },
		{ "{\"ev\":\"header\",\"schema\":\"pagetap.trace/1x\"}", "not a trace" },
		{ "{\"ev\":\"header\",\"schema\":\"pagetap.trace/1\"}", "\"page_size\"" },
		{ "{\"ev\":\"header\",\"schema\":\"pagetap.trace/1\",\"page_size\":4097}",
		  "\"page_size\"" },
		{ "{\"ev\":\"header\",\"schema\":\"pagetap.trace/1\",\"page_size\":4096,"
		  "\"clock\":\"CLOCK_MONOTONIC\",\"base_mono_ns\":1,\"granularity\":3}",
		  "\"granularity\"" },
	};
	static const char later[] = "{\"ev\":\"header\",\"schema\":\"pagetap.trace/2\"}";
	struct reader_header h;
	struct reader_error e;
	int64_t n = record_format_header(&sample_header, line, sizeof(line));

	CU_ASSERT_FATAL(n > 0);
	CU_ASSERT_EQUAL(reader_header(line, (size_t)n - 1, &h, &e), 0);
	CU_ASSERT_EQUAL(h.schema, 1);
	CU_ASSERT_EQUAL(h.page_size, SAMPLE_PAGE);
	CU_ASSERT_EQUAL(h.granularity, 1);
	CU_ASSERT_EQUAL(h.base_mono_ns, sample_header.base_mono_ns);
	CU_ASSERT_STRING_EQUAL(h.engine, "sync");
	CU_ASSERT_STRING_EQUAL(h.tool, "pagetap");
	CU_ASSERT_STRING_EQUAL(h.argv[3], "4242");
	CU_ASSERT_PTR_NULL(h.argv[4]);
	CU_ASSERT_STRING_EQUAL(h.events[0], "missing");
	reader_header_release(&h);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(reader_header(bad[i].text, strlen(bad[i].text), &h, &e), -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, bad[i].words));
	}
	CU_ASSERT_EQUAL(reader_header(later, strlen(later), &h, &e), -EPROTONOSUPPORT);
	CU_ASSERT_EQUAL(h.schema, 2);
	CU_ASSERT_STRING_EQUAL(e.text, "is pagetap.trace/2; this program reads /1");
}

/*
 * Our own allocations.  The parser of jansson 2.14 is not to be starved: where it
 * cannot grow a token it drops a byte and may then write beyond the end.
 */
static void test_starving(void)
{
	struct reader_header h;
	struct reader_error e;
	size_t n;

	for (size_t i = 0; i < SAMPLES; i++) {
		struct record r = sample_record(&samples[i]);

		n = format(&r, 1);
		for (long k = 1;; k++) {
			struct reader_record back = { 0 };
			int err;

			starve_ours_after(k);
			err = reader_record(&slow, line, n, &back, &e);
			if (starve_hit())
				CU_ASSERT_EQUAL(err, -ENOMEM);
			if (!err)
				check_equal(&r, &back.record, 1);
			record_release(&back.record);
			if (!starve_was_hit)
				break;
		}
		record_release(&r);
	}
	n = (size_t)record_format_header(&sample_header, line, sizeof(line)) - 1;
	for (long k = 1;; k++) {
		int err;

		starve_ours_after(k);
		err = reader_header(line, n, &h, &e);
		if (!err)
			reader_header_release(&h);
		if (!starve_hit()) {
			CU_ASSERT_EQUAL(err, 0);
			break;
		}
		CU_ASSERT_EQUAL(err, -ENOMEM);
	}
}

static void test_key_names(void)
{
	static const char *const no[] = {
		"end", "from", "to", "order", "group", "count", "size", "date", "start_time",
		"seen_at", "timestamp", "timestamp_ns", "_at", "_time",
	};
	static const char *const yes[] = {
		"ts", "npages", "at", "time", "ends", "sizes", "a_at_b"
	};

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CU_ASSERT(!reader_key_allowed(no[i]));
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		CU_ASSERT(reader_key_allowed(yes[i]));
}

static const struct suite_test tests[] = {
	{ "every kind there and back", test_round_trip },
	{ "foreign bytes there and back", test_foreign_bytes },
	{ "the short cut and the long way", test_short_cut },
	{ "what is refused, with words", test_bad_lines },
	{ "additions", test_additions },
	{ "header", test_header },
	{ "the n-th allocation fails", test_starving },
	{ "key names", test_key_names },
};

SUITE_MAIN("reader", tests)
