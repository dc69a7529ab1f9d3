/* SPDX-License-Identifier: MIT */
/* HTTP rules: honest answers, and each way in which one may not be what was asked for. */

#include "restore/http-rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

static const struct http_version version = { "\"65-1000\"", "Sat, 21 Nov 2026 20:00:00 GMT",
					     65536 };

/* Lines as they come, one after the other. */
static struct http_head head_of(const char *text)
{
	struct http_head h = { 0 };

	while (*text) {
		size_t n = strcspn(text, "\n") + 1;

		http_head_line(&h, text, n);
		text += n;
	}
	return h;
}

static int judge(const struct http_asked *asked, const char *text)
{
	struct http_head h = head_of(text);
	struct http_problem why = { "" };
	int r = http_judge(asked, &h, &why);

	CU_ASSERT_EQUAL(!r, !why.words[0]);
	return r;
}

/* Bytes 4096-8191 of the version. */
static int judge_range(const char *text)
{
	const struct http_asked asked = { .ranged = true, .from = 4096, .len = 4096,
					  .version = &version };

	return judge(&asked, text);
}

#define RIGHT "HTTP/1.1 206 Partial Content\r\nETag: \"65-1000\"\r\n"

static void test_right_range(void)
{
	CU_ASSERT_EQUAL(judge_range(RIGHT "Content-Range: bytes 4096-8191/65536\r\n\r\n"), 0);
	CU_ASSERT_EQUAL(judge_range("HTTP/2 206\r\ncontent-length: 4096 \r\netag:\"65-1000\"\r\n"
				    "content-range: bytes 4096-8191/65536\r\n\r\n"), 0);
	/* What came before does not count: a redirection, for one. */
	CU_ASSERT_EQUAL(judge_range("HTTP/1.1 307 Temporary\r\nETag: \"x\"\r\n"
				    "Content-Encoding: gzip\r\n\r\n"
				    RIGHT "Content-Range: bytes 4096-8191/65536\r\n\r\n"), 0);
}

static void test_wrong_range(void)
{
	static const char *const ranges[] = {
		"bytes 0-4095/65536", "bytes 4096-8190/65536", "bytes 4096-8192/65536",
		"bytes 4097-8192/65536", "bytes 4096-8191/*", "bytes 8191-4096/65536",
		"bytes */65536", "pages 4096-8191/65536", "bytes 4096-8191/65536x", "",
		"bytes 4096-99999999999999999999999/65536", "bytes -4096-8191/65536",
		"bytes 4096-8191", "bytes 4096-8191/8000",
	};
	char text[200];

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		snprintf(text, sizeof(text), RIGHT "Content-Range: %s\r\n\r\n", ranges[i]);
		CU_ASSERT_EQUAL(judge_range(text), -EPROTO);
	}
	CU_ASSERT_EQUAL(judge_range(RIGHT "\r\n"), -EPROTO);
	CU_ASSERT_EQUAL(judge_range(RIGHT "Content-Length: 4095\r\n"
				    "Content-Range: bytes 4096-8191/65536\r\n\r\n"), -EPROTO);
	CU_ASSERT_EQUAL(judge_range(RIGHT "Content-Encoding: gzip\r\n"
				    "Content-Range: bytes 4096-8191/65536\r\n\r\n"), -EPROTO);
}

static void test_another_file(void)
{
	CU_ASSERT_EQUAL(judge_range("HTTP/1.1 206 x\r\nETag: \"66-1000\"\r\n"
				    "Content-Range: bytes 4096-8191/65536\r\n\r\n"), -ESTALE);
	CU_ASSERT_EQUAL(judge_range("HTTP/1.1 206 x\r\nETag: W/\"65-1000\"\r\n"
				    "Content-Range: bytes 4096-8191/65536\r\n\r\n"), -ESTALE);
	CU_ASSERT_EQUAL(judge_range(RIGHT "Content-Range: bytes 4096-8191/65540\r\n\r\n"), -ESTALE);
	CU_ASSERT_EQUAL(judge_range("HTTP/1.1 206 x\r\n"
				    "Content-Range: bytes 4096-8191/65536\r\n\r\n"), -EPROTO);
	CU_ASSERT_EQUAL(judge_range("HTTP/1.1 412 Precondition Failed\r\n\r\n"), -ESTALE);
	CU_ASSERT_EQUAL(judge_range("HTTP/1.1 416 x\r\nContent-Range: bytes */10\r\n\r\n"),
			-ESTALE);
}

static void test_by_time(void)
{
	struct http_version timed = version;
	const struct http_asked asked = { .ranged = true, .len = 4096, .version = &timed };

	timed.etag[0] = '\0';
	CU_ASSERT_EQUAL(judge(&asked, "HTTP/1.1 206 x\r\nContent-Range: bytes 0-4095/65536\r\n"
			      "Last-Modified: Sat, 21 Nov 2026 20:00:00 GMT\r\n\r\n"), 0);
	CU_ASSERT_EQUAL(judge(&asked, "HTTP/1.1 206 x\r\nContent-Range: bytes 0-4095/65536\r\n"
			      "Last-Modified: Sat, 21 Nov 2026 20:00:01 GMT\r\n\r\n"), -ESTALE);
	CU_ASSERT_EQUAL(judge(&asked, "HTTP/1.1 206 x\r\nContent-Range: bytes 0-4095/65536\r\n"
			      "\r\n"), -ESTALE);
}

static void test_statuses(void)
{
	static const struct {
		unsigned int status;
		int err;
	} table[] = {
		{ 200, -EPROTO }, { 204, -EPROTO }, { 100, -EPROTO }, { 301, -EPROTO },
		{ 307, -EPROTO }, { 400, -EPROTO }, { 401, -EACCES }, { 403, -EACCES },
		{ 404, -ENOENT }, { 410, -ENOENT }, { 408, -EAGAIN }, { 429, -EAGAIN },
		{ 500, -EAGAIN }, { 503, -EAGAIN }, { 999, -EAGAIN },
	};
	char text[100];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(text, sizeof(text), "HTTP/1.1 %u x\r\nETag: \"65-1000\"\r\n\r\n",
			 table[i].status);
		CU_ASSERT_EQUAL(judge_range(text), table[i].err);
	}
	CU_ASSERT_EQUAL(judge_range(""), -EPROTO);
	CU_ASSERT_EQUAL(judge_range("HTTP/1.1 2061 x\r\n\r\n"), -EPROTO);
}

static void test_whole(void)
{
	const struct http_asked asked = { .most = 1000 };

	CU_ASSERT_EQUAL(judge(&asked, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), 0);
	CU_ASSERT_EQUAL(judge(&asked, "HTTP/1.1 200 OK\r\n\r\n"), 0);
	CU_ASSERT_EQUAL(judge(&asked, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"), -EFBIG);
	CU_ASSERT_EQUAL(judge(&asked, "HTTP/1.1 206 OK\r\nContent-Length: 10\r\n\r\n"), -EPROTO);
}

static void test_versions(void)
{
	struct http_problem why;
	struct http_version v = { "x", "y", 1 };
	struct http_head h = head_of("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");

	CU_ASSERT_EQUAL(http_version_of(&h, &v, &why), -EPROTO);
	CU_ASSERT_EQUAL(v.size, 1);
	h = head_of("HTTP/1.1 200 OK\r\nETag: \"a\"\r\n\r\n");
	CU_ASSERT_EQUAL(http_version_of(&h, &v, &why), -EPROTO);
	h = head_of("HTTP/1.1 206 OK\r\nETag: \"a\"\r\nContent-Length: 1\r\n"
		    "Content-Range: bytes 0-0/12\r\n\r\n");
	CU_ASSERT_EQUAL(http_version_of(&h, &v, &why), 0);
	CU_ASSERT_EQUAL(v.size, 12);
	CU_ASSERT_STRING_EQUAL(v.etag, "\"a\"");
	CU_ASSERT(http_etag_is_strong("\"a\""));
	CU_ASSERT(!http_etag_is_strong("W/\"a\""));
	CU_ASSERT(!http_etag_is_strong("\""));
	CU_ASSERT(!http_etag_is_strong(""));
}

/* Too long for the room, or not printable: as if it were not there, and never cut. */
static void test_odd_lines(void)
{
	char line[700];
	struct http_head h = { 0 };

	memset(line, 'a', sizeof(line));
	memcpy(line, "ETag: ", 6);
	http_head_line(&h, line, 300);
	http_head_line(&h, line, sizeof(line));
	CU_ASSERT_STRING_EQUAL(h.etag, "");
	http_head_line(&h, "ETag: \"\033[2J\"\r\n", 14);
	http_head_line(&h, "ETag\r\n", 6);
	http_head_line(&h, ":\r\n", 3);
	http_head_line(&h, "", 0);
	CU_ASSERT_STRING_EQUAL(h.etag, "");
	CU_ASSERT(!h.has_length && !h.has_range);
}

static int take_url(const char *text, const char *want)
{
	struct http_problem why;
	char *url = NULL;
	int r = http_url_take(text, &url, &why);

	if (!r)
		CU_ASSERT_STRING_EQUAL(url, want);
	CU_ASSERT(!strstr(why.words, "secret"));
	free(url);
	return r;
}

static void test_urls(void)
{
	static const char *const wrong[] = {
		"https://user:secret@host/", "https://user@host", "http://host/?list", "http://",
		"http://host/a#b", "http://host/a b", "https:///x", "http://:80/", "ftp://host/",
		"/folder", "http://h\xc3\xb6st/", "http://host/\n",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_EQUAL(take_url(wrong[i], ""), -EINVAL);
	CU_ASSERT_EQUAL(take_url("https://host", "https://host/"), 0);
	CU_ASSERT_EQUAL(take_url("HTTP://[::1]:80/a/b", "HTTP://[::1]:80/a/b/"), 0);
	/* Behind the host it is a character like others. */
	CU_ASSERT_EQUAL(take_url("http://host/a@b/", "http://host/a@b/"), 0);
	CU_ASSERT(http_url_is("HTTPS://x"));
	CU_ASSERT(!http_url_is("httpx://x"));
	CU_ASSERT(!http_url_is("./http://x"));
}

static void test_join(void)
{
	const struct http_span s[] = {
		{ 1, 8192, 4096 }, { 1, 0, 4096 }, { 2, 4096, 4096 }, { 1, 12288, 8192 },
		{ 1, 4096, 4096 }, { 1, 20480 + 4096, 4096 }, { 1, 8192 + 4096, 4096 },
	};
	uint32_t which[8];

	CU_ASSERT_EQUAL(http_join(s, 7, 1 << 20, which, 8), 4);
	CU_ASSERT(which[0] == 1 && which[1] == 4 && which[2] == 0 && which[3] == 3);
	/* What does not fit stays; what lies behind goes first. */
	CU_ASSERT_EQUAL(http_join(s, 7, 8192, which, 8), 2);
	CU_ASSERT(which[0] == 0 && which[1] == 6);
	CU_ASSERT_EQUAL(http_join(s, 7, 4096, which, 8), 1);
	CU_ASSERT_EQUAL(http_join(s, 7, 100, which, 8), 1);
	CU_ASSERT_EQUAL(http_join(s, 7, 1 << 20, which, 2), 2);
	CU_ASSERT_EQUAL(http_join(s + 2, 1, 1 << 20, which, 8), 1);
	CU_ASSERT_EQUAL(http_join(s, 0, 1 << 20, which, 8), 0);
}

static void test_backoff(void)
{
	CU_ASSERT_EQUAL(http_backoff_ns(1, 3000000000), 50000000);
	CU_ASSERT_EQUAL(http_backoff_ns(3, 3000000000), 200000000);
	CU_ASSERT_EQUAL(http_backoff_ns(10, 3000000000), 3000000000);
	CU_ASSERT_EQUAL(http_backoff_ns(4000000000u, UINT64_MAX / 4),
			http_backoff_ns(4000000001u, UINT64_MAX / 4));
}

static const struct suite_test tests[] = {
	{ "the range that was asked for", test_right_range },
	{ "another range", test_wrong_range },
	{ "another file", test_another_file },
	{ "a version told by its time", test_by_time },
	{ "statuses", test_statuses },
	{ "whole files", test_whole },
	{ "versions", test_versions },
	{ "odd lines", test_odd_lines },
	{ "addresses", test_urls },
	{ "neighbours are asked for together", test_join },
	{ "ever later", test_backoff },
};
SUITE_MAIN("http-rules", tests)
