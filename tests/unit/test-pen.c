/* SPDX-License-Identifier: MIT */
/* Pen: blocks of whole lines, and words that cannot break out. */

#include <errno.h>
#include <string.h>

#include "report/pen.h"
#include "suite.h"

struct paper {
	char text[400000];
	size_t n, calls, broken;
	int error;
};

static struct paper paper;
static struct pen p;

static int take(void *arg, const char *bytes, size_t len)
{
	struct paper *to = arg;

	to->calls++;
	if (to->error)
		return to->error;
	to->broken += bytes[len - 1] != '\n';
	memcpy(to->text + to->n, bytes, len);
	to->n += len;
	return 0;
}

static void begin(void)
{
	memset(&paper, 0, sizeof(paper));
	pen_begin(&p, take, &paper);
}

static const char *written(void)
{
	CU_ASSERT_EQUAL(pen_end(&p), 0);
	paper.text[paper.n] = '\0';
	return paper.text;
}

static void test_numbers(void)
{
	begin();
	pen_number(&p, 0);
	pen_text(&p, " ");
	pen_number(&p, UINT64_MAX);
	pen_text(&p, " ");
	pen_micros(&p, 1234567);
	pen_text(&p, " ");
	pen_seconds(&p, 5000000001);
	pen_format(&p, " %s", "x");
	CU_ASSERT_STRING_EQUAL(written(), "0 18446744073709551615 1234.567 5.000000001 x");
}

static void test_json(void)
{
	static const char hostile[] = "a\"b\\</script>&\x1b\n\x7f\xff"
				      "\xc2\x9b\xe2\x80\xa8\xe2\x80\xa9\xc3\xa9\0z";

	begin();
	pen_json(&p, hostile, sizeof(hostile) - 1);
	CU_ASSERT_STRING_EQUAL(written(), "\"a\\\"b\\\\\\u003c/script\\u003e\\u0026\\u001b\\u000a"
			       "\\u007f\\ufffd\\u009b\\u2028\\u2029\xc3\xa9\\u0000z\"");
}

static void test_csv(void)
{
	begin();
	pen_csv(&p, "plain", 5);
	pen_text(&p, "|");
	pen_csv(&p, "a,b", 3);
	pen_text(&p, "|");
	pen_csv(&p, "say \"x\"", 7);
	pen_text(&p, "|");
	pen_csv(&p, "two\r\nlines\xff", 11);
	CU_ASSERT_STRING_EQUAL(written(), "plain|\"a,b\"|\"say \"\"x\"\"\"|"
			       "two\\015\\012lines\\377");
}

static void test_labels(void)
{
	begin();
	pen_label(&p, "a\"b\\c\nd\xc2\x9b", 9);
	pen_text(&p, "|");
	pen_frame(&p, "f(int; x)\n\xff", 11);
	CU_ASSERT_STRING_EQUAL(written(), "\"a\\\"b\\\\c\\\\012d\\\\302\\\\233\"|"
			       "f(int: x)\\012\\377");
}

static void test_blocks(void)
{
	begin();
	for (unsigned int i = 0; i < 20000; i++)
		pen_format(&p, "line %u\n", i);
	CU_ASSERT_EQUAL(pen_end(&p), 0);
	CU_ASSERT_EQUAL(paper.broken, 0);
	CU_ASSERT_TRUE(paper.calls > 2 && paper.calls < 10);
	CU_ASSERT_EQUAL(memcmp(paper.text + paper.n - 11, "line 19999\n", 11), 0);
	/* A line that is longer than a block is given in pieces. */
	begin();
	for (unsigned int i = 0; i < 300000; i++)
		pen_bytes(&p, "x", 1);
	CU_ASSERT_EQUAL(pen_end(&p), 0);
	CU_ASSERT_EQUAL(paper.n, 300000);
	begin();
	paper.error = -ENOSPC;
	for (unsigned int i = 0; i < 300000; i++)
		pen_text(&p, "xxx\n");
	CU_ASSERT_EQUAL(pen_end(&p), -ENOSPC);
	CU_ASSERT_EQUAL(paper.calls, 1);
}

static const struct suite_test tests[] = {
	{ "numbers and times", test_numbers },
	{ "strings of JSON", test_json },
	{ "fields of CSV", test_csv },
	{ "labels and frames", test_labels },
	{ "blocks of whole lines", test_blocks },
};

SUITE_MAIN("pen", tests)
