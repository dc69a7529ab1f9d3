/* SPDX-License-Identifier: MIT */
/*
 * Pick arguments: which part of a trace a command is about.
 *
 * Pure.  -p, -m, -a and -e as `record` has them, and --since, --until.
 */
#ifndef MONITOR_PICK_ARGS_H
#define MONITOR_PICK_ARGS_H

#include "filter-args.h"
#include "options.h"
#include "report/pick.h"
#include "target-args.h"

struct pick_args {
	struct filter_args filter;
	struct target_args targets;
	uint64_t since, until;		/* ns; 0: from the begin, to the end */
};

#define PICK_ARGS_OPTIONS(STRUCT, field)                                                       \
	{ .letter = 'p', .name = "pid", .arg = "PID[,PID...]",                                 \
	  .help = "only these processes", .type = OPTION_PARSE, .parse = target_args_parse,    \
	  .offset = offsetof(STRUCT, field.targets) },                                         \
	{ .letter = 'm', .name = "mapping", .arg = "GLOB",                                     \
	  .help = "only mappings of this name, or kind", .type = OPTION_PARSE,                 \
	  .parse = filter_args_glob, .offset = offsetof(STRUCT, field.filter) },               \
	{ .letter = 'a', .name = "address", .arg = "LO-HI",                                    \
	  .help = "only these addresses", .type = OPTION_PARSE, .parse = filter_args_range,    \
	  .offset = offsetof(STRUCT, field.filter) },                                          \
	{ .letter = 'e', .name = "events", .arg = "KIND[,KIND...]",                            \
	  .help = "only missing, wp, minor, fork, exit, map", .type = OPTION_PARSE,            \
	  .parse = filter_args_kinds, .offset = offsetof(STRUCT, field.filter) },              \
	{ .name = "since", .arg = "SEC", .help = "only from this time of the trace on",        \
	  .type = OPTION_SECONDS, .offset = offsetof(STRUCT, field.since) },                   \
	{ .name = "until", .arg = "SEC", .help = "only up to this time of the trace",          \
	  .type = OPTION_SECONDS, .offset = offsetof(STRUCT, field.until) }

/* Borrows args.  -EINVAL with the words: nothing lies between since and until. */
int pick_args_pick(const struct pick_args *args, struct pick *ret, struct options_error *ret_error);

#endif
