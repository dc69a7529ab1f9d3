/* SPDX-License-Identifier: MIT */
/*
 * Filter arguments: what to watch (-m, -a, --mode) and what to keep (-e).
 *
 * Pure.  Feeds struct watch_filter; does not decide what a mapping is.
 */
#ifndef MONITOR_FILTER_ARGS_H
#define MONITOR_FILTER_ARGS_H

#include "options.h"
#include "watch/watchable.h"

#define FILTER_ARGS_MAX 64

struct filter_args {
	struct range ranges[FILTER_ARGS_MAX];
	const char *globs[FILTER_ARGS_MAX];	/* borrowed from argv */
	unsigned int nr_ranges, nr_globs;
	uint32_t modes;				/* WATCH_MODE_*; 0: none named */
	uint32_t kinds;				/* WATCH_KIND_*; 0: none named */
};

/*
 * option_parsers.  -a LO-HI: hexadecimal with or without 0x, HI is the first byte
 * after it; widened to whole pages.
 */
int filter_args_range(void *args, const char *text, struct options_error *ret_error);
int filter_args_glob(void *args, const char *text, struct options_error *ret_error);
int filter_args_modes(void *args, const char *list, struct options_error *ret_error);
int filter_args_kinds(void *args, const char *list, struct options_error *ret_error);

/* Borrows args.  Modes: write where none was named. */
struct watch_filter filter_args_filter(const struct filter_args *args);

/* The words of a set, in order, into a NULL-terminated list of at most 8. */
void filter_args_mode_names(uint32_t modes, const char *ret_names[8]);
void filter_args_kind_names(uint32_t kinds, const char *ret_names[8]);

#endif
