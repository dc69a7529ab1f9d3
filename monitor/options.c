/* SPDX-License-Identifier: MIT */
/* Options: tables to getopt_long(3) and to --help.  See options.h. */

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"

#define OPTIONS_MAX 40
#define HELP_COLUMN 28
#define SECONDS_MAX (UINT64_C(10) * 366 * 24 * 3600)

/* getopt_long gives back this plus the index, so that no letter is needed. */
#define LONG_BASE 0x1000
#define LONG_HELP (LONG_BASE + OPTIONS_MAX)

int options_wrong(struct options_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

bool options_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return false;
	}
	*ret = v;
	return v >= min && (!max || v <= max);
}

bool options_size(const char *text, uint64_t min, uint64_t *ret)
{
	size_t n = strlen(text);
	unsigned int shift = 0;
	char digits[24];
	uint64_t v;

	if (n && strchr("KMG", text[n - 1])) {
		shift = text[n - 1] == 'K' ? 10 : text[n - 1] == 'M' ? 20 : 30;
		n--;
	}
	if (n >= sizeof(digits))
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (!options_number(digits, 0, 0, &v) || v > UINT64_MAX >> shift)
		return false;
	*ret = v << shift;
	return *ret >= min;
}

bool options_seconds(const char *text, uint64_t *ret_ns)
{
	uint64_t whole = 0, part = 0, unit = NSEC_PER_SEC;
	bool digits = false;

	for (; *text >= '0' && *text <= '9'; text++, digits = true) {
		whole = whole * 10 + (uint64_t)(*text - '0');
		if (whole > SECONDS_MAX)
			return false;
	}
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9'; text++, digits = true) {
			unit /= 10;
			part += unit * (uint64_t)(*text - '0');
		}
	if (*text || !digits)
		return false;
	*ret_ns = whole * NSEC_PER_SEC + part;
	return *ret_ns >= NSEC_PER_MSEC;
}

int options_next(const char **list, char *buf, size_t cap)
{
	size_t n;

	if (!*list)
		return 0;
	n = strcspn(*list, ",");
	if (!n || n >= cap)
		return -EINVAL;
	memcpy(buf, *list, n);
	buf[n] = '\0';
	*list = (*list)[n] ? *list + n + 1 : NULL;
	return 1;
}

static bool is_word(const char *words, const char *arg)
{
	for (; *words; words += strlen(words) + 1)
		if (!strcmp(words, arg))
			return true;
	return false;
}

/* "auto, always or never" */
static void list_words(const char *words, char *buf, size_t cap)
{
	size_t at = 0;

	buf[0] = '\0';
	while (*words && at < cap) {
		const char *next = words + strlen(words) + 1;
		int n = snprintf(buf + at, cap - at, "%s%s", words,
				 !*next ? "" : next[strlen(next) + 1] ? ", " : " or ");

		at += n > 0 ? (size_t)n : 0;
		words = next;
	}
}

static int no_number(const struct option_spec *o, const char *shown, const char *arg,
		     struct options_error *e)
{
	unsigned long long min = o->min, max = o->max;

	if (!max)
		return options_wrong(e, "option %s: '%s' is not a number of %llu or more", shown,
				     arg, min);
	return options_wrong(e, "option %s: '%s' is not a number from %llu to %llu", shown, arg,
			     min, max);
}

static int set_value(const struct option_spec *o, const char *shown, void *into, const char *arg,
		     struct options_error *e)
{
	void *member = (char *)into + o->offset;
	struct options_error why = { "" };
	char list[120];

	switch (o->type) {
	case OPTION_FLAG:
		*(bool *)member = true;
		return 0;
	case OPTION_COUNTER:
		++*(unsigned int *)member;
		return 0;
	case OPTION_TEXT:
		*(const char **)member = arg;
		return *arg ? 0 : options_wrong(e, "option %s: the %s is empty", shown, o->arg);
	case OPTION_WORD:
		*(const char **)member = arg;
		if (is_word(o->words, arg))
			return 0;
		list_words(o->words, list, sizeof(list));
		return options_wrong(e, "option %s: '%s' is not %s", shown, arg, list);
	case OPTION_NUMBER:
		if (options_number(arg, o->min, o->max, member))
			return 0;
		return no_number(o, shown, arg, e);
	case OPTION_SIZE:
		if (options_size(arg, o->min, member))
			return 0;
		return options_wrong(e, "option %s: '%s' is not a size of %llu bytes or more (such "
				     "as 512K, 10M or 2G)", shown, arg, (unsigned long long)o->min);
	case OPTION_SECONDS:
		if (options_seconds(arg, member))
			return 0;
		return options_wrong(e, "option %s: '%s' is not a time in seconds (such as 10 "
				     "or 0.5)", shown, arg);
	case OPTION_PARSE:
	case OPTION_MAYBE:
		if (!o->parse(member, arg, &why))
			return 0;
		return options_wrong(e, "option %s: %s", shown, why.text);
	}
	return options_wrong(e, "option %s: of no known type", shown);
}

/* The two forms that getopt_long(3) wants of the table. */
struct forms {
	char letters[3 * OPTIONS_MAX + 8];
	struct option longs[OPTIONS_MAX + 2];
};

static void make_forms(const struct option_page *page, struct forms *f)
{
	size_t l = 0;
	int n = 0;

	memset(f, 0, sizeof(*f));
	/* '+': stop at the first operand; ':': tell a missing argument apart. */
	f->letters[l++] = '+';
	f->letters[l++] = ':';
	f->letters[l++] = 'h';
	for (; n < OPTIONS_MAX && page->options[n].name; n++) {
		const struct option_spec *o = &page->options[n];

		if (o->letter) {
			f->letters[l++] = o->letter;
			if (o->arg)
				f->letters[l++] = ':';
			if (o->type == OPTION_MAYBE)
				f->letters[l++] = ':';
		}
		f->longs[n] = (struct option){
			.name = o->name,
			.has_arg = o->type == OPTION_MAYBE ? optional_argument :
				   o->arg ? required_argument : no_argument,
			.val = LONG_BASE + n,
		};
	}
	f->longs[n] = (struct option){ .name = "help", .val = LONG_HELP };
}

static const struct option_spec *find_option(const struct option_page *page, int c)
{
	if (c >= LONG_BASE)
		return &page->options[c - LONG_BASE];
	for (const struct option_spec *o = page->options; o->name; o++)
		if (o->letter == c)
			return o;
	return NULL;
}

/* getopt_long leaves the letter in optopt, or 0 and the word in argv. */
static int unknown(int argc, char **argv, int c, struct options_error *e)
{
	const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
	char letter[3] = { '-', (char)optopt, '\0' };
	const char *shown = optopt > 0 && optopt < LONG_BASE ? letter : word;
	int len = (int)strcspn(shown, "=");

	if (c == ':')
		return options_wrong(e, "option %.*s needs an argument", len, shown);
	if (optopt >= LONG_BASE)
		return options_wrong(e, "option %.*s takes no argument", len, shown);
	return options_wrong(e, "unknown option %.*s", len, shown);
}

int options_parse(const struct option_page *page, int argc, char **argv, void *into,
		  int *ret_operand, struct options_error *ret_error)
{
	const struct option_spec *o;
	struct forms f;
	char shown[64];
	int c, r;

	make_forms(page, &f);
	opterr = 0;
	optind = 0;	/* glibc and musl: start anew, and forget the last '+' */
	while ((c = getopt_long(argc, argv, f.letters, f.longs, NULL)) != -1) {
		if (c == 'h' || c == LONG_HELP)
			return OPTIONS_HELP;
		o = c == '?' || c == ':' ? NULL : find_option(page, c);
		if (!o)
			return unknown(argc, argv, c, ret_error);
		if (c < LONG_BASE)
			snprintf(shown, sizeof(shown), "-%c", o->letter);
		else
			snprintf(shown, sizeof(shown), "--%s", o->name);
		r = set_value(o, shown, into, optarg, ret_error);
		if (r < 0)
			return r;
	}
	*ret_operand = optind;
	return OPTIONS_OK;
}

static void help_line(FILE *out, const struct option_spec *o)
{
	bool maybe = o->type == OPTION_MAYBE;
	char left[80], letter[8] = "    ";
	int n;

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	n = snprintf(left, sizeof(left), "  %s--%s%s%s%s", letter, o->name,
		     maybe ? "[=" : o->arg ? " " : "", o->arg ? o->arg : "", maybe ? "]" : "");
	if (n >= HELP_COLUMN)
		fprintf(out, "%s  %s\n", left, o->help);
	else
		fprintf(out, "%-*s%s\n", HELP_COLUMN, left, o->help);
}

void options_help(const struct option_page *page, FILE *out)
{
	fprintf(out, "Usage: pagetap %s [OPTIONS]%s%s\n%s\n\n", page->command,
		page->operands ? " " : "", page->operands ? page->operands : "", page->about);
	for (const struct option_spec *o = page->options; o->name; o++)
		help_line(out, o);
	help_line(out, &(struct option_spec){ .letter = 'h', .name = "help",
					      .help = "print this and exit" });
	fputs("\nExamples:\n", out);
	for (const char *const *e = page->examples; *e; e++)
		fprintf(out, "  %s\n", *e);
}
