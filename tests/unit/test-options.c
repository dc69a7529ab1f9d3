/* SPDX-License-Identifier: MIT */
/* Options: every type, every wrong usage, and help from the same table. */

#include "options.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

struct args {
	bool flag;
	unsigned int counter;
	const char *text, *word;
	uint64_t number, ns;
	char parsed[64];
};

static int parse(void *member, const char *arg, struct options_error *e)
{
	char *into = member;
	size_t n = strlen(into);

	if (!arg)
		arg = "none";
	if (!strcmp(arg, "bad"))
		return options_wrong(e, "'%s' is bad", arg);
	snprintf(into + n, 64 - n, "%s", arg);
	return 0;
}

#define AT(member) .offset = offsetof(struct args, member)

static const struct option_spec table[] = {
	{ 'f', "flag", NULL, "a flag", OPTION_FLAG, AT(flag) },
	{ 'c', "counter", NULL, "counts", OPTION_COUNTER, AT(counter) },
	{ 't', "text", "TEXT", "a text", OPTION_TEXT, AT(text) },
	{ 0, "word", "WORD", "a word", OPTION_WORD, AT(word), .words = "one\0two\0three\0" },
	{ 'n', "number", "N", "a number", OPTION_NUMBER, AT(number), .min = 2, .max = 10 },
	{ 0, "many", "N", "a number", OPTION_NUMBER, AT(number), .min = 1 },
	{ 'd', "duration", "SEC", "a time", OPTION_SECONDS, AT(ns) },
	{ 'x', "parsed", "X", "parsed", OPTION_PARSE, AT(parsed), .parse = parse },
	{ 'm', "maybe", "M", "maybe", OPTION_MAYBE, AT(parsed), .parse = parse },
	{ .name = NULL },
};

static const char *const examples[] = { "pagetap test -f", NULL };

static const struct option_page page = {
	.command = "test", .operands = "FILE", .about = "About it.",
	.options = table, .examples = examples,
};

static struct args got;
static struct options_error error;
static int operand;

static int run(const char *const *words)
{
	static char copy[16][64];
	char *argv[17] = { NULL };
	int argc = 0;

	for (; words[argc]; argc++) {
		snprintf(copy[argc], sizeof(copy[argc]), "%s", words[argc]);
		argv[argc] = copy[argc];
	}
	memset(&got, 0, sizeof(got));
	error.text[0] = '\0';
	operand = -1;
	return options_parse(&page, argc, argv, &got, &operand, &error);
}

#define RUN(...) run((const char *const[]){ "test", __VA_ARGS__, NULL })

static void test_values(void)
{
	CU_ASSERT_EQUAL(RUN("-fcc", "-t", "hello", "--word=two", "-n", "10", "-d", "0.25"),
			OPTIONS_OK);
	CU_ASSERT_TRUE(got.flag);
	CU_ASSERT_EQUAL(got.counter, 2);
	CU_ASSERT_STRING_EQUAL(got.text, "hello");
	CU_ASSERT_STRING_EQUAL(got.word, "two");
	CU_ASSERT_EQUAL(got.number, 10);
	CU_ASSERT_EQUAL(got.ns, 250000000);
	CU_ASSERT_EQUAL(operand, 9);
}

static void test_repeated(void)
{
	CU_ASSERT_EQUAL(RUN("-x", "a", "--parsed", "b", "-xc"), OPTIONS_OK);
	CU_ASSERT_STRING_EQUAL(got.parsed, "abc");
}

/* Its argument follows at once, or there is none. */
static void test_maybe(void)
{
	CU_ASSERT_EQUAL(RUN("-m", "--maybe", "-m4", "--maybe=5", "-fm", "6"), OPTIONS_OK);
	CU_ASSERT_STRING_EQUAL(got.parsed, "nonenone45none");
	CU_ASSERT_TRUE(got.flag);
	CU_ASSERT_EQUAL(operand, 6);
	CU_ASSERT_EQUAL(RUN("--maybe=bad"), -EINVAL);
	CU_ASSERT_STRING_EQUAL(error.text, "option --maybe: 'bad' is bad");
}

static void test_operands(void)
{
	CU_ASSERT_EQUAL(RUN("-f", "cmd", "-t", "x"), OPTIONS_OK);
	CU_ASSERT_EQUAL(operand, 2);
	CU_ASSERT_PTR_NULL(got.text);
	CU_ASSERT_EQUAL(RUN("-f", "--", "-t"), OPTIONS_OK);
	CU_ASSERT_EQUAL(operand, 3);
}

/* getopt keeps state between calls; a second parse must not see it. */
static void test_again(void)
{
	CU_ASSERT_EQUAL(RUN("-ff", "-z"), -EINVAL);
	CU_ASSERT_EQUAL(RUN("-c"), OPTIONS_OK);
	CU_ASSERT_EQUAL(got.counter, 1);
	CU_ASSERT_FALSE(got.flag);
}

static void test_help(void)
{
	CU_ASSERT_EQUAL(RUN("-h"), OPTIONS_HELP);
	CU_ASSERT_EQUAL(RUN("-f", "--help", "--nonsense"), OPTIONS_HELP);
}

struct wrong {
	const char *words[4];
	const char *text;
};

static void test_wrong(void)
{
	static const struct wrong wrongs[] = {
		{ { "test", "-z" }, "unknown option -z" },
		{ { "test", "--zebra=3" }, "unknown option --zebra" },
		{ { "test", "-t" }, "option -t needs an argument" },
		{ { "test", "--text" }, "option --text needs an argument" },
		{ { "test", "--flag=1" }, "option --flag takes no argument" },
		{ { "test", "-t", "" }, "option -t: the TEXT is empty" },
		{ { "test", "--word", "four" }, "option --word: 'four' is not one, two or three" },
		{ { "test", "-n", "11" }, "option -n: '11' is not a number from 2 to 10" },
		{ { "test", "-n", "0x3" }, "option -n: '0x3' is not a number from 2 to 10" },
		{ { "test", "--many", "0" }, "option --many: '0' is not a number of 1 or more" },
		{ { "test", "-d", "-1" },
		  "option -d: '-1' is not a time in seconds (such as 10 or 0.5)" },
		{ { "test", "-x", "bad" }, "option -x: 'bad' is bad" },
	};

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		CU_ASSERT_EQUAL(run(wrongs[i].words), -EINVAL);
		CU_ASSERT_STRING_EQUAL(error.text, wrongs[i].text);
	}
}

static void test_sizes(void)
{
	uint64_t v = 7;

	CU_ASSERT(options_size("4096", 1, &v) && v == 4096);
	CU_ASSERT(options_size("64K", 1, &v) && v == 65536);
	CU_ASSERT(options_size("3M", 1, &v) && v == 3u << 20);
	CU_ASSERT(options_size("17179869183G", 1, &v) && v == UINT64_C(17179869183) << 30);
	v = 7;
	CU_ASSERT_FALSE(options_size("17179869184G", 1, &v));
	CU_ASSERT_FALSE(options_size("", 0, &v));
	CU_ASSERT_FALSE(options_size("K", 0, &v));
	CU_ASSERT_FALSE(options_size("1k", 0, &v));
	CU_ASSERT_FALSE(options_size("1KB", 0, &v));
	CU_ASSERT_FALSE(options_size("-1K", 0, &v));
	CU_ASSERT_FALSE(options_size("0.5M", 0, &v));
	CU_ASSERT_EQUAL(v, 7);
	CU_ASSERT_FALSE(options_size("99999999999999999999999999K", 0, &v));
	CU_ASSERT_FALSE(options_size("15", 16, &v));
}

static void test_numbers(void)
{
	uint64_t v;

	CU_ASSERT_TRUE(options_number("18446744073709551615", 0, 0, &v));
	CU_ASSERT_EQUAL(v, UINT64_MAX);
	CU_ASSERT_FALSE(options_number("18446744073709551616", 0, 0, &v));
	CU_ASSERT_FALSE(options_number("", 0, 0, &v));
	CU_ASSERT_FALSE(options_number(" 1", 0, 0, &v));
	CU_ASSERT_FALSE(options_number("+1", 0, 0, &v));
	CU_ASSERT_FALSE(options_number("1k", 0, 0, &v));
	CU_ASSERT_FALSE(options_number("1", 2, 0, &v));
}

static void test_seconds(void)
{
	uint64_t v;

	CU_ASSERT_TRUE(options_seconds("10", &v));
	CU_ASSERT_EQUAL(v, UINT64_C(10000000000));
	CU_ASSERT_TRUE(options_seconds(".5", &v));
	CU_ASSERT_EQUAL(v, 500000000);
	CU_ASSERT_TRUE(options_seconds("1.123456789999", &v));
	CU_ASSERT_EQUAL(v, 1123456789);
	CU_ASSERT_FALSE(options_seconds(".", &v));
	CU_ASSERT_FALSE(options_seconds("", &v));
	CU_ASSERT_FALSE(options_seconds("0", &v));
	CU_ASSERT_FALSE(options_seconds("0.0009", &v));
	CU_ASSERT_FALSE(options_seconds("1s", &v));
	CU_ASSERT_FALSE(options_seconds("nan", &v));
	CU_ASSERT_FALSE(options_seconds("99999999999999999999", &v));
}

static void test_lists(void)
{
	const char *list = "a,bc,d";
	char word[4];

	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), 1);
	CU_ASSERT_STRING_EQUAL(word, "a");
	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), 1);
	CU_ASSERT_STRING_EQUAL(word, "bc");
	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), 1);
	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), 0);
	list = "a,,b";
	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), 1);
	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), -EINVAL);
	list = "a,";
	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), 1);
	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), -EINVAL);
	list = "long";
	CU_ASSERT_EQUAL(options_next(&list, word, sizeof(word)), -EINVAL);
}

static void test_help_text(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	options_help(&page, f);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Usage: pagetap test [OPTIONS] FILE\nAbout it.\n"));
	for (const struct option_spec *o = table; o->name; o++) {
		char want[80];

		if (o->type == OPTION_MAYBE)
			snprintf(want, sizeof(want), "--%s[=%s]", o->name, o->arg);
		else
			snprintf(want, sizeof(want), "--%s%s%s", o->name, o->arg ? " " : "",
				 o->arg ? o->arg : "");
		CU_ASSERT_PTR_NOT_NULL(strstr(text, want));
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "-h, --help"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Examples:\n  pagetap test -f\n"));
	free(text);
}

static const struct suite_test tests[] = {
	{ "every type of value", test_values },
	{ "an option repeated", test_repeated },
	{ "an argument that may be left out", test_maybe },
	{ "options stop at the first operand", test_operands },
	{ "parsing twice", test_again },
	{ "-h and --help", test_help },
	{ "every wrong usage has its words", test_wrong },
	{ "numbers", test_numbers },
	{ "sizes", test_sizes },
	{ "seconds", test_seconds },
	{ "comma lists", test_lists },
	{ "help from the table", test_help_text },
};

SUITE_MAIN("options", tests)
