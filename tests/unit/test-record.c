/* SPDX-License-Identifier: MIT */
/*
 * Record: every kind is one line of strict JSON that says what the struct says.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <jansson.h>

#include "starve.h"
#include "suite.h"
#include "trace-json.h"
#include "trace-samples.h"
#include "trace/names.h"
#include "trace/reader.h"

static json_int_t number(json_t *o, const char *key)
{
	json_t *j = json_object_get(o, key);

	CU_ASSERT(json_is_integer(j));
	return json_integer_value(j);
}

static void test_every_kind(void)
{
	static const char *const first[] = { "ev", "seq", "ts", "pid", "mm" };
	bool seen[RECORD_NR] = { [RECORD_HEADER] = true };

	for (size_t i = 0; i < SAMPLES; i++) {
		struct record r = sample_record(&samples[i]);
		json_t *o = parsed(&r, i + 1);
		void *it = json_object_iter(o);

		for (size_t k = 0; k < 5; k++, it = json_object_iter_next(o, it))
			CU_ASSERT_STRING_EQUAL(json_object_iter_key(it), first[k]);
		for (it = json_object_iter(o); it; it = json_object_iter_next(o, it))
			CU_ASSERT(reader_key_allowed(json_object_iter_key(it)));
		CU_ASSERT_STRING_EQUAL(string(o, "ev"), record_kind_name(r.kind));
		CU_ASSERT_EQUAL(number(o, "seq"), (json_int_t)i + 1);
		CU_ASSERT_EQUAL(number(o, "ts"), (json_int_t)r.ts);
		CU_ASSERT_EQUAL(number(o, "pid"), r.pid);
		CU_ASSERT_EQUAL(number(o, "mm"), r.mm);
		seen[r.kind] = true;
		json_decref(o);
		record_release(&r);
		CU_ASSERT_PTR_NULL(r.text);
	}
	for (int k = 0; k < RECORD_NR; k++)
		CU_ASSERT(seen[k]);
}

static json_t *parsed_sample(enum record_kind kind, int skip)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		struct record r;
		json_t *o;

		if (samples[i].r.kind != kind || skip--)
			continue;
		r = sample_record(&samples[i]);
		o = parsed(&r, 1);
		record_release(&r);
		return o;
	}
	CU_FAIL_FATAL("no such sample");
	return NULL;
}

static void test_fault(void)
{
	json_t *o = parsed_sample(RECORD_FAULT, 0);

	CU_ASSERT_EQUAL(number(o, "tid"), 4243);
	CU_ASSERT_STRING_EQUAL(string(o, "kind"), "wp");
	CU_ASSERT(json_is_true(json_object_get(o, "write")));
	CU_ASSERT_STRING_EQUAL(string(o, "addr"), "0x7f3c036db123");
	CU_ASSERT_EQUAL(number(o, "page"), 0x7f3c036db);
	CU_ASSERT_EQUAL(number(o, "npages"), 1);
	CU_ASSERT_EQUAL(number(o, "vma"), 9);
	CU_ASSERT_STRING_EQUAL(string(o, "act"), "unprotect");
	CU_ASSERT_STRING_EQUAL(string(o, "via"), "uffd");
	CU_ASSERT_EQUAL(number(o, "lat_ns"), 6100);
	CU_ASSERT_EQUAL(number(o, "stop_ns"), 91000);
	CU_ASSERT_PTR_NULL(json_object_get(o, "ns_tid"));
	json_decref(o);
	o = parsed_sample(RECORD_FAULT, 1);
	CU_ASSERT_STRING_EQUAL(string(o, "addr"), "0x0");
	CU_ASSERT_EQUAL(number(o, "page"), 0);
	CU_ASSERT_EQUAL(number(o, "ns_tid"), 7);
	CU_ASSERT(json_is_false(json_object_get(o, "write")));
	json_decref(o);
	o = parsed_sample(RECORD_FAULT, 2);
	CU_ASSERT_STRING_EQUAL(string(o, "addr"), "0xfffffffffffff000");
	CU_ASSERT_EQUAL(number(o, "page"), (json_int_t)(UINT64_MAX / SAMPLE_PAGE));
	CU_ASSERT_EQUAL(number(o, "stop_ns"), (json_int_t)SAMPLE_INT_MAX);
	json_decref(o);
}

/* What the witness tells: where the write was made, and how the thread came there. */
static void test_witnessed(void)
{
	json_t *o = parsed_sample(RECORD_FAULT, 4), *frames;

	CU_ASSERT_STRING_EQUAL(string(o, "ip"), "0x401000");
	CU_ASSERT_EQUAL(number(o, "stack"), 3);
	CU_ASSERT_EQUAL(number(o, "ts0"), 123456780);
	CU_ASSERT(json_is_null(json_object_get(o, "lat_ns")));
	json_decref(o);
	o = parsed_sample(RECORD_STACK, 0);
	CU_ASSERT_EQUAL(number(o, "id"), 3);
	frames = json_object_get(o, "frames");
	CU_ASSERT_EQUAL(json_array_size(frames), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(frames, 0)), "0x101010101401001");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(frames, 1)), "0x101010101401002");
	json_decref(o);
	o = parsed_sample(RECORD_STACK, 1);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(o, "frames")), 0);
	json_decref(o);
	o = parsed_sample(RECORD_VMA, 4);
	CU_ASSERT_STRING_EQUAL(string(o, "build_id"), "0fa901ff");
	CU_ASSERT_STRING_EQUAL(string(o, "name"), "/usr/bin/redis-server");
	json_decref(o);
	o = parsed_sample(RECORD_STATS, 0);
	CU_ASSERT(json_is_null(json_object_get(o, "unwitnessed")));
	json_decref(o);
}

/* The deepest stack with the longest addresses fits its line; what is beyond is left out. */
static void test_deep_stack(void)
{
	uint64_t frames[RECORD_FRAMES_MAX + 3];
	struct record r = { .kind = RECORD_STACK, .pid = INT32_MAX, .mm = UINT32_MAX,
			    .ts = SAMPLE_INT_MAX, .stack.id = 1 };
	json_t *o;

	memset(frames, 0xff, sizeof(frames));
	r.text = record_frames_new(frames, RECORD_FRAMES_MAX + 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.text);
	o = parsed(&r, SAMPLE_INT_MAX);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(o, "frames")), RECORD_FRAMES_MAX);
	json_decref(o);
	record_release(&r);
}

static void test_vma(void)
{
	json_t *o = parsed_sample(RECORD_VMA, 0);

	CU_ASSERT_EQUAL(number(o, "id"), 9);
	CU_ASSERT_STRING_EQUAL(string(o, "op"), "snapshot");
	CU_ASSERT_STRING_EQUAL(string(o, "prot"), "rw-p");
	CU_ASSERT_STRING_EQUAL(string(o, "name"), "[heap]");
	CU_ASSERT_EQUAL(number(o, "off"), 4096);
	CU_ASSERT_EQUAL(number(o, "ino"), 77);
	CU_ASSERT_STRING_EQUAL(string(o, "kind"), "heap");
	CU_ASSERT(json_is_true(json_object_get(o, "watch")));
	CU_ASSERT_PTR_NULL(json_object_get(o, "why"));
	CU_ASSERT_PTR_NULL(json_object_get(o, "name_hex"));
	json_decref(o);
	/* Readers would round what is beyond 2^53. */
	o = parsed_sample(RECORD_VMA, 1);
	CU_ASSERT(json_is_null(json_object_get(o, "ino")));
	CU_ASSERT_STRING_EQUAL(string(o, "ino_hex"), "0xffffffffffffffff");
	CU_ASSERT(json_is_null(json_object_get(o, "off")));
	CU_ASSERT_STRING_EQUAL(string(o, "off_hex"), "0xfffffffffffff000");
	CU_ASSERT_STRING_EQUAL(string(o, "prot"), "r-xs");
	CU_ASSERT_STRING_EQUAL(string(o, "why"), "file-backed");
	json_decref(o);
	o = parsed_sample(RECORD_VMA, 2);
	CU_ASSERT_EQUAL(number(o, "off"), (json_int_t)SAMPLE_INT_MAX);
	CU_ASSERT_STRING_EQUAL(string(o, "ino_hex"), "0x20000000000000");
	json_decref(o);
	/* A name that could not be kept is not an empty name. */
	o = parsed_sample(RECORD_VMA, 3);
	CU_ASSERT(json_is_null(json_object_get(o, "name")));
	json_decref(o);
}

static void test_processes(void)
{
	json_t *o = parsed_sample(RECORD_ATTACH, 0);

	CU_ASSERT_STRING_EQUAL(string(o, "comm"), "redis-server");
	CU_ASSERT_STRING_EQUAL(string(o, "exe"), "/usr/bin/redis-server");
	CU_ASSERT_EQUAL(number(o, "ppid"), 1);
	CU_ASSERT_EQUAL(number(o, "threads"), 6);
	CU_ASSERT_EQUAL(number(o, "vmas"), 65530);
	CU_ASSERT_EQUAL(number(o, "stop_ns"), 612345);
	json_decref(o);
	o = parsed_sample(RECORD_FORK, 0);
	CU_ASSERT_EQUAL(number(o, "child"), 4300);
	CU_ASSERT_EQUAL(number(o, "child_mm"), 4);
	CU_ASSERT(json_is_true(json_object_get(o, "followed")));
	json_decref(o);
	o = parsed_sample(RECORD_FORK, 1);
	CU_ASSERT(json_is_null(json_object_get(o, "child")));
	json_decref(o);
	o = parsed_sample(RECORD_EXEC, 0);
	CU_ASSERT_EQUAL(number(o, "new_mm"), 5);
	json_decref(o);
	o = parsed_sample(RECORD_EXEC, 1);
	CU_ASSERT(json_is_null(json_object_get(o, "new_mm")));
	CU_ASSERT(json_is_null(json_object_get(o, "exe")));
	json_decref(o);
	o = parsed_sample(RECORD_EXIT, 0);
	CU_ASSERT_EQUAL(number(o, "code"), 3);
	CU_ASSERT(json_is_null(json_object_get(o, "signal")));
	json_decref(o);
	o = parsed_sample(RECORD_EXIT, 1);
	CU_ASSERT(json_is_null(json_object_get(o, "code")));
	CU_ASSERT_EQUAL(number(o, "signal"), 9);
	json_decref(o);
}

static void test_memory(void)
{
	json_t *o = parsed_sample(RECORD_ARM, 0);

	CU_ASSERT_EQUAL(number(o, "ts0"), 123400000);
	CU_ASSERT_STRING_EQUAL(string(o, "addr"), "0x7f3c036db000");
	CU_ASSERT_EQUAL(number(o, "page"), 0x7f3c036db);
	CU_ASSERT_EQUAL(number(o, "npages"), 17);
	CU_ASSERT_STRING_EQUAL(string(o, "mode"), "missing");
	json_decref(o);
	o = parsed_sample(RECORD_REMAP, 0);
	CU_ASSERT_STRING_EQUAL(string(o, "new_addr"), "0x10000");
	CU_ASSERT_EQUAL(number(o, "new_page"), 16);
	json_decref(o);
	o = parsed_sample(RECORD_GAP, 0);
	CU_ASSERT_STRING_EQUAL(string(o, "reason"), "remove-race");
	CU_ASSERT_EQUAL(number(o, "npages"), 17);
	json_decref(o);
	o = parsed_sample(RECORD_GAP, 1);
	CU_ASSERT_STRING_EQUAL(string(o, "reason"), "resync");
	CU_ASSERT_PTR_NULL(json_object_get(o, "npages"));
	CU_ASSERT_PTR_NULL(json_object_get(o, "addr"));
	json_decref(o);
	o = parsed_sample(RECORD_DIRTY, 0);
	CU_ASSERT_EQUAL(number(o, "epoch"), 12);
	CU_ASSERT_EQUAL(number(o, "vma"), 9);
	json_decref(o);
}

static void test_account(void)
{
	json_t *o = parsed_sample(RECORD_LOST, 0);

	CU_ASSERT_EQUAL(number(o, "n"), 17);
	CU_ASSERT_EQUAL(number(o, "faults"), 16);
	CU_ASSERT_STRING_EQUAL(string(o, "reason"), "ring");
	json_decref(o);
	o = parsed_sample(RECORD_LOST, 1);
	CU_ASSERT(json_is_null(json_object_get(o, "n")));
	CU_ASSERT(json_is_null(json_object_get(o, "faults")));
	json_decref(o);
	o = parsed_sample(RECORD_STATS, 0);
	CU_ASSERT_EQUAL(number(o, "faults"), 61204);
	CU_ASSERT_EQUAL(number(o, "writes"), 36720);
	CU_ASSERT_EQUAL(number(o, "lost"), 17);
	CU_ASSERT_EQUAL(number(o, "repeats"), 2);
	CU_ASSERT_EQUAL(number(o, "lat_p50_ns"), 6100);
	CU_ASSERT_EQUAL(number(o, "lat_p99_ns"), 13200);
	CU_ASSERT_EQUAL(number(o, "stop_p99_ns"), 95000);
	CU_ASSERT_EQUAL(number(o, "dirty_pages"), 300);
	CU_ASSERT_EQUAL(number(o, "rss_kb"), 9000);
	CU_ASSERT(json_is_true(json_object_get(o, "final")));
	json_decref(o);
	o = parsed_sample(RECORD_DETACH, 0);
	CU_ASSERT_STRING_EQUAL(string(o, "reason"), "duration");
	CU_ASSERT(json_is_true(json_object_get(o, "clean")));
	json_decref(o);
	o = parsed_sample(RECORD_ERROR, 0);
	CU_ASSERT_STRING_EQUAL(string(o, "what"), "read");
	CU_ASSERT_EQUAL(number(o, "errno"), 11);
	CU_ASSERT_STRING_EQUAL(string(o, "msg"), "uffd: again");
	json_decref(o);
}

/* Every word of the format is written as itself and found again. */
static void test_words(void)
{
	for (unsigned int set = 0; set < NAMES_SET_NR; set++) {
		unsigned int v = 0;
		const char *w;

		for (; (w = names_word(set, v)); v++)
			CU_ASSERT_EQUAL(names_find(set, w, strlen(w)), (int)v);
		CU_ASSERT(v > 0);
		CU_ASSERT_EQUAL(names_find(set, "no such word", 12), -1);
		CU_ASSERT_EQUAL(names_find(set, "wp\0x", 4), -1);
	}
}

static void test_refusals(void)
{
	struct record r = { .kind = RECORD_FAULT, .npages = 1 };

	CU_ASSERT_EQUAL(record_format(&r, SAMPLE_INT_MAX + 1, 4096, buf, sizeof(buf)), -EINVAL);
	CU_ASSERT_EQUAL(record_format(&r, 1, 0, buf, sizeof(buf)), -EINVAL);
	r.ts = SAMPLE_INT_MAX + 1;
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_FAULT, .fault.kind = FAULT_NR };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_FAULT, .fault.act = ACT_NR };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_FAULT, .fault.via = VIA_NR };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_VMA, .vma.why = WHY_NR };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_VMA, .ts = SAMPLE_INT_MAX + 1 };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_GAP, .gap.reason = GAP_NR };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_LOST, .lost.reason = LOST_NR };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_HEADER };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
	r = (struct record){ .kind = RECORD_NR };
	CU_ASSERT_EQUAL(record_format(&r, 1, 4096, buf, sizeof(buf)), -EINVAL);
}

/* Whatever the room: the whole line, or -ENOSPC and not a byte beyond it. */
static void test_little_room(void)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		struct record r = sample_record(&samples[i]);
		int64_t whole = record_format(&r, 1, SAMPLE_PAGE, buf, sizeof(buf));
		char *room = malloc((size_t)whole + 1);

		if (!r.text)
			CU_ASSERT(whole <= RECORD_LINE_MAX);
		for (int64_t cap = 0; cap <= whole; cap += cap < whole - 2 ? 7 : 1) {
			memset(room, 0x55, (size_t)whole + 1);
			if (cap < whole)
				CU_ASSERT_EQUAL(-ENOSPC, record_format(&r, 1, SAMPLE_PAGE, room,
								       (size_t)cap));
			CU_ASSERT_EQUAL(room[cap], 0x55);
		}
		CU_ASSERT_EQUAL(record_format(&r, 1, SAMPLE_PAGE, room, (size_t)whole + 1), whole);
		free(room);
		record_release(&r);
	}
}

static void test_header(void)
{
	static const char *const odd[] = { "pagetap", "-m", "caf\xff\x1b", NULL };
	struct record_header h = sample_header;
	int64_t n = record_format_header(&h, buf, sizeof(buf));
	json_t *o;

	CU_ASSERT_FATAL(n > 0);
	o = json_loadb(buf, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT(!strncmp(buf, "{\"ev\":\"header\",", 15));
	CU_ASSERT_STRING_EQUAL(string(o, "schema"), "pagetap.trace/1");
	CU_ASSERT_STRING_EQUAL(string(o, "base_real"), "2026-03-01T12:00:00.000000001Z");
	CU_ASSERT_EQUAL(number(o, "base_mono_ns"), 1234567890123);
	CU_ASSERT_EQUAL(number(o, "page_size"), 4096);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(o, "argv")), 4);
	CU_ASSERT_PTR_NULL(json_object_get(o, "seq"));
	CU_ASSERT_PTR_NULL(json_object_get(o, "ts"));
	CU_ASSERT_PTR_NULL(json_object_get(o, "granularity"));
	json_decref(o);
	h.granularity = 16;
	h.argv = odd;
	h.base_mono_ns = SAMPLE_INT_MAX + 1;	/* 104 days of uptime */
	n = record_format_header(&h, buf, sizeof(buf));
	o = json_loadb(buf, (size_t)n, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT(json_is_null(json_object_get(o, "base_mono_ns")));
	CU_ASSERT_STRING_EQUAL(string(o, "base_mono_hex"), "0x20000000000000");
	CU_ASSERT_EQUAL(number(o, "granularity"), 16);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(json_object_get(o, "argv_hex"), 2)),
			       "636166ff1b");
	json_decref(o);
	CU_ASSERT_EQUAL(record_format_header(&h, buf, 100), -ENOSPC);
	h.page_size = 0;
	CU_ASSERT_EQUAL(record_format_header(&h, buf, sizeof(buf)), -EINVAL);
}

/* Whichever allocation fails, the line is either whole or not there. */
static void test_starving(void)
{
	static char whole[RECORD_TEXT_LINE_MAX];
	long failures = 0;

	for (size_t i = 0; i < SAMPLES; i++) {
		struct record r = sample_record(&samples[i]);
		int64_t want = record_format(&r, 1, SAMPLE_PAGE, whole, sizeof(whole)), n;

		for (long k = 1;; k++) {
			starve_after(k);
			n = record_format(&r, 1, SAMPLE_PAGE, buf, sizeof(buf));
			if (!starve_hit())
				break;
			failures++;
			CU_ASSERT(n == -ENOMEM || n == want);
		}
		CU_ASSERT_EQUAL(n, want);
		CU_ASSERT(!memcmp(buf, whole, (size_t)want));
		record_release(&r);
	}
	CU_ASSERT(failures > 50);
	for (long k = 1;; k++) {
		int64_t n;

		starve_after(k);
		n = record_format_header(&sample_header, buf, sizeof(buf));
		if (!starve_hit()) {
			CU_ASSERT(n > 0);
			break;
		}
		CU_ASSERT(n == -ENOMEM || n > 0);
	}
	starve_after(1);
	CU_ASSERT_PTR_NULL(record_text_new("x", 1, NULL, 0));
	starve_hit();
}

static const struct suite_test tests[] = {
	{ "every kind, key order and key names", test_every_kind },
	{ "fault", test_fault },
	{ "vma", test_vma },
	{ "what a witness tells", test_witnessed },
	{ "a deep stack", test_deep_stack },
	{ "attach, fork, exec, exit", test_processes },
	{ "arm, remap, gap, dirty", test_memory },
	{ "lost, stats, detach, error", test_account },
	{ "words there and back", test_words },
	{ "what no reader could read is refused", test_refusals },
	{ "little room", test_little_room },
	{ "header", test_header },
	{ "the n-th allocation fails", test_starving },
};

SUITE_MAIN("record", tests)
