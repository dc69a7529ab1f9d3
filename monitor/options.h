/* SPDX-License-Identifier: MIT */
/*
 * Options: a table in, a filled struct or the words of what is wrong out.
 *
 * The one table of a command feeds getopt_long(3), its --help and the check of
 * manual pages and completions, so that they cannot drift apart.  Knows no
 * command, prints nothing but help, exits never.  -h/--help is part of every page.
 */
#ifndef MONITOR_OPTIONS_H
#define MONITOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct options_error {
	char text[256];		/* one line without a full stop */
};

/*
 * One value of an option into its member of the command's struct.  0, or -EINVAL
 * with the words, which follow "option -a: ".
 */
typedef int (*option_parser)(void *member, const char *arg, struct options_error *ret_error);

enum option_type {
	OPTION_FLAG,		/* bool: true */
	OPTION_COUNTER,		/* unsigned int: how often it was given */
	OPTION_TEXT,		/* const char *: borrowed from argv, never empty */
	OPTION_WORD,		/* const char *: one of `words` */
	OPTION_NUMBER,		/* uint64_t, decimal, min..max; max 0 = no upper limit */
	OPTION_SIZE,		/* uint64_t: bytes, given with or without K, M, G; min */
	OPTION_SECONDS,		/* uint64_t: nanoseconds, given as seconds with decimals */
	OPTION_PARSE,		/* what `parse` makes of it; may be repeated */
	OPTION_MAYBE,		/* the same, but the argument may be left out: then NULL; it
				   follows without a space, --name=VALUE or -nVALUE */
};

struct option_spec {
	char letter;		/* 0: long only */
	const char *name;	/* without dashes; NULL ends the table */
	const char *arg;	/* what it takes, NULL: nothing */
	const char *help;	/* one line */
	enum option_type type;
	size_t offset;		/* of the member in the command's struct */
	uint64_t min, max;
	const char *words;	/* OPTION_WORD: "one\0two\0" */
	option_parser parse;
};

struct option_page {
	const char *command;		/* "record" */
	const char *operands;		/* after the options; NULL: it takes none */
	const char *about;		/* one sentence */
	const struct option_spec *options;
	const char *const *examples;	/* three, ends with NULL */
};

enum { OPTIONS_OK, OPTIONS_HELP };

/*
 * Options stop at the first operand or at `--`.  *ret_operand: index of the first
 * operand, past `--`.  OPTIONS_HELP as soon as -h is met; -EINVAL with the words.
 */
int options_parse(const struct option_page *page, int argc, char **argv, void *into,
		  int *ret_operand, struct options_error *ret_error);
/* At most 40 lines of at most 80 columns. */
void options_help(const struct option_page *page, FILE *out);

/* Parts that option_parsers share. */

/* Fill in the words; returns -EINVAL. */
int options_wrong(struct options_error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Decimal digits only.  False: no number, or not in min..max (max 0: no limit). */
bool options_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
/* "65536", "64K", "10M", "2G" (powers of 1024): in bytes, at least min. */
bool options_size(const char *text, uint64_t min, uint64_t *ret);
/* "12", "0.25": in nanoseconds, at least 1 ms, at most 10 years. */
bool options_seconds(const char *text, uint64_t *ret_ns);
/*
 * The next word of a comma list into buf; moves *list behind it.  1, 0 at the end
 * of the list, -EINVAL for an empty word or one longer than cap.
 */
int options_next(const char **list, char *buf, size_t cap);

#endif
