/* SPDX-License-Identifier: MIT */
/* HTML: names that want to be something else, and the file around the data. */

#include "report/html-page.h"
#include "report/html-text.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

static char got[1 << 20];
static size_t got_len, room;
static struct pen pen;

static int keep(void *to, const char *bytes, size_t len)
{
	(void)to;
	if (len > room - got_len)
		return -ENOSPC;
	memcpy(got + got_len, bytes, len);
	got_len += len;
	got[got_len] = '\0';
	return 0;
}

static void begin(size_t space)
{
	got_len = 0;
	got[0] = '\0';
	room = space;
	pen_begin(&pen, keep, NULL);
}

/* The same name as JSON and between tags. */
static void check_name(const char *bytes, size_t len, const char *json, const char *markup)
{
	begin(sizeof(got) - 1);
	html_json_name(&pen, bytes, len);
	CU_ASSERT_EQUAL(pen_end(&pen), 0);
	CU_ASSERT_STRING_EQUAL(got, json);
	begin(sizeof(got) - 1);
	html_markup_name(&pen, bytes, len);
	CU_ASSERT_EQUAL(pen_end(&pen), 0);
	CU_ASSERT_STRING_EQUAL(got, markup);
}

#define NAME(bytes, json, markup) check_name(bytes, sizeof(bytes) - 1, json, markup)

static void test_names(void)
{
	NAME("", "\"\"", "");
	NAME("libc.so.6", "\"libc.so.6\"", "libc.so.6");
	NAME("caf\xc3\xa9", "\"caf\xc3\xa9\"", "caf\xc3\xa9");
	NAME("a\\b\"c'", "\"a\\\\b\\\"c'\"", "a\\b&#34;c&#39;");
	NAME("</script><img src=x onerror=alert(1)>",
	     "\"\\u003c/script\\u003e\\u003cimg src=x onerror=alert(1)\\u003e\"",
	     "&#60;/script&#62;&#60;img src&#61;x onerror&#61;alert(1)&#62;");
	NAME("<!--&amp;", "\"\\u003c!--\\u0026amp;\"", "&#60;!--&#38;amp;");
}

static void test_invisible(void)
{
	NAME("\033[31mred\a\n", "\"\\\\x1b[31mred\\\\x07\\\\x0a\"",
	     "\\x1b[31mred\\x07\\x0a");
	NAME("a\0b", "\"a\\\\x00b\"", "a\\x00b");
	/* DEL, and CSI as one character. */
	NAME("\x7f\xc2\x9b", "\"\\\\x7f\\\\x9b\"", "\\x7f\\x9b");
	/* From right to left from here on; and what ends a line of JavaScript. */
	NAME("\xe2\x80\xae" "cod.exe", "\"\\\\u202ecod.exe\"", "\\u202ecod.exe");
	NAME("\xe2\x80\xa8", "\"\\\\u2028\"", "\\u2028");
}

static void test_no_utf8(void)
{
	NAME("\xff", "\"\xef\xbf\xbd\"", "\xef\xbf\xbd");
	NAME("a\xc3", "\"a\xef\xbf\xbd\"", "a\xef\xbf\xbd");
	/* A surrogate, an overlong slash. */
	NAME("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
	     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	NAME("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"", "\xef\xbf\xbd\xef\xbf\xbd");
}

/* Cut in the middle, and never inside a character. */
static void test_long(void)
{
	char name[4096], plain[HTML_PLAIN_MAX];

	memset(name, 'a', sizeof(name));
	memcpy(name + sizeof(name) - 5, "z.so!", 5);
	html_plain_name(name, sizeof(name), plain);
	CU_ASSERT_EQUAL(strlen(plain), HTML_NAME_MAX);
	CU_ASSERT_PTR_NOT_NULL(strstr(plain, "a\xe2\x80\xa6" "a"));
	CU_ASSERT_STRING_EQUAL(plain + strlen(plain) - 5, "z.so!");

	for (size_t i = 0; i + 3 <= sizeof(name); i += 3)
		memcpy(name + i, "\xe2\x82\xac", 3);
	for (size_t len = HTML_NAME_MAX + 1; len < sizeof(name) - 3; len += 3) {
		html_plain_name(name, len - len % 3, plain);
		CU_ASSERT_PTR_NULL(strstr(plain, "\xef\xbf\xbd"));
	}
	/* As many bytes as can become of it. */
	memset(name, '\xff', sizeof(name));
	CU_ASSERT(strlen(html_plain_name(name, sizeof(name), plain)) < HTML_PLAIN_MAX);
	for (size_t i = 0; i + 3 <= sizeof(name); i += 3)
		memcpy(name + i, "\xe2\x80\xae", 3);
	CU_ASSERT(strlen(html_plain_name(name, HTML_NAME_MAX, plain)) < HTML_PLAIN_MAX);
}

/* RFC 4648, chapter 10. */
static void test_base64(void)
{
	static const char *const pairs[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfd", "//79" },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		begin(sizeof(got) - 1);
		html_base64(&pen, (const unsigned char *)pairs[i][0], strlen(pairs[i][0]));
		CU_ASSERT_EQUAL(pen_end(&pen), 0);
		CU_ASSERT_STRING_EQUAL(got, pairs[i][1]);
	}
}

static void title(struct pen *p, const void *arg)
{
	html_markup_name(p, arg, strlen(arg));
}

static void summary(struct pen *p, const void *arg)
{
	(void)arg;
	pen_text(p, "<p>SUMMARY</p>");
}

static void data(struct pen *p, const void *arg)
{
	html_json_name(p, arg, strlen(arg));
}

static size_t count_of(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)))
		text += strlen(what), n++;
	return n;
}

static void test_page(void)
{
	const struct html_page page = { title, summary, data, "<b>&" };
	const char *at = got;
	/* In this order, and a policy before all that it is about. */
	static const char *const parts[] = {
		"<!DOCTYPE html>", "Content-Security-Policy", "default-src 'none'",
		"<title>&#60;b&#62;&#38;</title>", "<style>", "<noscript>", "<p>SUMMARY</p>",
		"<script type=\"application/json\" id=\"data\">\"\\u003cb\\u003e\\u0026\"</script>",
		"Leon Sorokin", "<script>", "uPlot", "</html>",
	};

	begin(sizeof(got) - 1);
	CU_ASSERT_EQUAL(html_page_write(&pen, &page), 0);
	CU_ASSERT_EQUAL(pen.bytes, got_len);
	for (size_t i = 0; at && i < sizeof(parts) / sizeof(*parts); i++) {
		at = strstr(at, parts[i]);
		CU_ASSERT_PTR_NOT_NULL(at);
	}
	/* A hash for each, of 44 digits; nothing is allowed without. */
	CU_ASSERT_EQUAL(count_of(got, "'sha256-"),
			count_of(got, "<script>") + count_of(got, "<style>"));
	CU_ASSERT_EQUAL(count_of(got, "=' 'sha256-") + count_of(got, "=';") +
			count_of(got, "='\">"), count_of(got, "'sha256-"));
	CU_ASSERT_PTR_NULL(strstr(got, "unsafe-inline"));
	CU_ASSERT_EQUAL(count_of(got, "</script>"), count_of(got, "<script"));
	/* Nothing is left of the template's words, and the page loads nothing. */
	CU_ASSERT_PTR_NULL(strstr(got, "@policy@"));
	CU_ASSERT_PTR_NULL(strstr(got, "@scripts@"));
	CU_ASSERT_PTR_NULL(strstr(got, " src=\""));
}

/* Wherever the disk is full: told, and nothing is written after it. */
static void test_no_room(void)
{
	const struct html_page page = { title, summary, data, "x" };

	for (size_t space = 0; space < 90000; space += 9973) {
		begin(space);
		CU_ASSERT_EQUAL(html_page_write(&pen, &page), -ENOSPC);
		CU_ASSERT(got_len <= space);
	}
}

static const struct suite_test tests[] = {
	{ "names that would be markup", test_names },
	{ "what cannot be seen", test_invisible },
	{ "what is no UTF-8", test_no_utf8 },
	{ "names of a page's length", test_long },
	{ "base64", test_base64 },
	{ "a page and its policy", test_page },
	{ "no room", test_no_room },
};

SUITE_MAIN("html-text", tests)
