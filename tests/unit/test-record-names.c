/* SPDX-License-Identifier: MIT */
/* Record, names: bytes that the target chose, on their way into JSON and back. */

#include <errno.h>
#include <jansson.h>

#include "suite.h"
#include "trace-json.h"
#include "trace-samples.h"

static struct record named(const char *bytes, size_t len)
{
	return (struct record){
		.kind = RECORD_VMA, .pid = 1, .mm = 1, .npages = 1,
		.vma = { .id = 1, .watch = true },
		.text = record_text_new(bytes, len, NULL, 0),
	};
}

static size_t unhex(const char *hex, char *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned int byte = 0;

		CU_ASSERT_EQUAL(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (char)byte;
	}
	return n;
}

/* What a name is in the line: itself if it is UTF-8, else the raw bytes beside it. */
static void check_name(const char *bytes, size_t len, bool is_text)
{
	struct record r = named(bytes, len);
	json_t *o = parsed(&r, 1), *name = json_object_get(o, "name");
	json_t *raw = json_object_get(o, "name_hex");
	static char room[RECORD_TEXT_MAX + 1];

	CU_ASSERT(json_is_string(name));
	CU_ASSERT_EQUAL(!raw, is_text);
	if (is_text) {
		CU_ASSERT_EQUAL(json_string_length(name), len);
		CU_ASSERT(!memcmp(json_string_value(name), bytes, len));
	} else {
		CU_ASSERT_EQUAL(unhex(string(o, "name_hex"), room), len);
		CU_ASSERT(!memcmp(room, bytes, len));
		CU_ASSERT_PTR_NOT_NULL(strstr(json_string_value(name), "\xef\xbf\xbd"));
	}
	/* No order to a terminal is in the line. */
	for (const char *p = buf; *p != '\n'; p++) {
		CU_ASSERT((unsigned char)*p >= ' ' && *p != 0x7f);
		CU_ASSERT(!((unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0));
	}
	json_decref(o);
	record_release(&r);
}

static void test_every_byte(void)
{
	char one[3] = "a?z", all[256];

	for (int c = 0; c < 256; c++) {
		one[1] = all[c] = (char)c;
		check_name(one, 3, c > 0 && c < 0x80);
	}
	check_name(all, sizeof(all), false);
	check_name(all + 1, 127, true);
}

static void test_utf8(void)
{
	static const char *const good[] = {
		"", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xc2\x9b\x33\x31m",
		"\xc2\x80", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80", "\x1b[2J\x7f\"\\",
		"\\012 (deleted)",
	};
	static const char *const bad[] = {
		"\xc3", "\xc3(", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xe2\x82", "\xf0\x9f\x98", "\x80", "\xbf", "\xfe", "\xff", "ok\xc3\xa9\xff",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check_name(good[i], strlen(good[i]), true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_name(bad[i], strlen(bad[i]), false);
}

static void test_long_names(void)
{
	static char name[RECORD_TEXT_MAX * 2];
	struct record r;
	json_t *o;

	/* The longest path of the kernel's, of the bytes that need most room. */
	memset(name, 0x01, sizeof(name));
	name[7] = (char)0xff;
	check_name(name, 4096, false);
	check_name(name, RECORD_TEXT_MAX, false);
	r = named(name, sizeof(name));
	o = parsed(&r, 1);
	CU_ASSERT(json_is_true(json_object_get(o, "cut")));
	CU_ASSERT_EQUAL(strlen(string(o, "name_hex")), 2 * RECORD_TEXT_MAX);
	json_decref(o);
	record_release(&r);
	/* Of two texts the short one stays whole. */
	r = (struct record){
		.kind = RECORD_EXEC, .text = record_text_new("comm", 4, name, sizeof(name)),
	};
	o = parsed(&r, 1);
	CU_ASSERT_STRING_EQUAL(string(o, "comm"), "comm");
	CU_ASSERT_EQUAL(strlen(string(o, "exe_hex")), 2 * (RECORD_TEXT_MAX - 4));
	json_decref(o);
	record_release(&r);
	r.text = record_text_new(name, sizeof(name), name, sizeof(name));
	o = parsed(&r, 1);
	CU_ASSERT_EQUAL(strlen(string(o, "comm_hex")), RECORD_TEXT_MAX);
	CU_ASSERT_EQUAL(strlen(string(o, "exe_hex")), RECORD_TEXT_MAX);
	json_decref(o);
	record_release(&r);
}

static const struct suite_test tests[] = {
	{ "every byte in a name", test_every_byte },
	{ "what is UTF-8 and what is not", test_utf8 },
	{ "long names", test_long_names },
};

SUITE_MAIN("record-names", tests)
