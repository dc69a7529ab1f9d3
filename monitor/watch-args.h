/* SPDX-License-Identifier: MIT */
/*
 * Watch arguments: whom to watch, what of them and how; what record, trace and top share.
 *
 * Pure but for what parsing asks of the machine (the size of a page).  A command's table
 * has WATCH_ARGS_OPTIONS() and, behind its own, WATCH_ARGS_ENGINE_OPTIONS().
 */
#ifndef MONITOR_WATCH_ARGS_H
#define MONITOR_WATCH_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd-engine.h"
#include "filter-args.h"
#include "target-args.h"
#include "watch/session.h"

#define WATCH_ARGS_RING 131072
#define WATCH_ARGS_RING_MAX (UINT64_C(1) << 24)
#define WATCH_ARGS_PROCESSES_MAX 65536

struct watch_args {
	struct target_args targets;
	struct filter_args filter;
	uint64_t duration_ns, max_faults, rearm_ms, ring, watchdog_ns, max_processes;
	uint64_t epoch_ms, granularity, budget_ppm;
	bool follow, who, sure;
	bool may_who;			/* who is the rule where the engine can */
	enum engine engine;
	char **command;			/* NULL: -p */
	const char *const *argv;	/* with the name of the program */
};

#define WATCH_ARGS_NULL                                                                        \
	{ .ring = WATCH_ARGS_RING, .watchdog_ns = SESSION_WATCHDOG_NS,                         \
	  .max_processes = SESSION_PROCESSES }

/* Shorter ones than 0.05 s would take the ordinary waits of a busy machine for a stall. */
int watch_args_watchdog(void *member, const char *word, struct options_error *ret_error);

#define WATCH_ARGS_OPTIONS(STRUCT, field)                                                      \
	{ 'p', "pid", "PID[,PID...]", "attach to these processes; may be repeated",            \
	  OPTION_PARSE, .offset = offsetof(STRUCT, field.targets),                             \
	  .parse = target_args_parse },                                                        \
	{ 'f', "follow", NULL, "also watch children and programs they execute",                \
	  OPTION_FLAG, .offset = offsetof(STRUCT, field.follow) },                             \
	{ 'm', "mapping", "GLOB", "only mappings of this name; heap, stack, anon, ...",        \
	  OPTION_PARSE, .offset = offsetof(STRUCT, field.filter),                              \
	  .parse = filter_args_glob },                                                         \
	{ 'a', "address", "LO-HI", "only mappings in this range of addresses",                 \
	  OPTION_PARSE, .offset = offsetof(STRUCT, field.filter),                              \
	  .parse = filter_args_range }

#define WATCH_ARGS_EVENTS_OPTION(STRUCT, field)                                                \
	{ 'e', "events", "KIND,...", "keep only missing, wp, minor, fork, exit, map",          \
	  OPTION_PARSE, .offset = offsetof(STRUCT, field.filter),                              \
	  .parse = filter_args_kinds }

#define WATCH_ARGS_ENGINE_OPTIONS(STRUCT, field)                                               \
	{ 0, "engine", "ENGINE", "async: nobody waits; sync: each fault; both; auto",          \
	  OPTION_PARSE, .offset = offsetof(STRUCT, field.engine), .parse = engine_parse },     \
	{ 0, "epoch", "MS", "async: written pages each so many ms (1000)", OPTION_NUMBER,      \
	  .offset = offsetof(STRUCT, field.epoch_ms), .min = 1, .max = 3600000 },              \
	{ 0, "sure", NULL, "--who: and tell writes from reads", OPTION_FLAG,                   \
	  .offset = offsetof(STRUCT, field.sure) },                                            \
	{ 0, "budget", "PCT", "async: slow the target by no more per cent", OPTION_PARSE,      \
	  .offset = offsetof(STRUCT, field.budget_ppm), .parse = engine_budget },              \
	{ 0, "mode", "MODE,...", "write, missing, minor (default: write)", OPTION_PARSE,       \
	  .offset = offsetof(STRUCT, field.filter), .parse = filter_args_modes },              \
	{ 0, "rearm", "MS", "protect written pages again each so many ms", OPTION_NUMBER,      \
	  .offset = offsetof(STRUCT, field.rearm_ms), .min = 1, .max = 3600000 },              \
	{ 0, "granularity", "N", "protect and tell of so many pages as one (1)", OPTION_PARSE, \
	  .offset = offsetof(STRUCT, field.granularity), .parse = engine_granularity },        \
	{ 0, "ring", "N", "records that may wait for the output (131072)", OPTION_NUMBER,      \
	  .offset = offsetof(STRUCT, field.ring), .min = 64, .max = WATCH_ARGS_RING_MAX },     \
	{ 0, "max-processes", "N", "with -f: watch no more at a time (512)", OPTION_NUMBER,    \
	  .offset = offsetof(STRUCT, field.max_processes), .min = 1,                           \
	  .max = WATCH_ARGS_PROCESSES_MAX },                                                   \
	{ 0, "watchdog", "SEC", "let go if pagetap itself stands still (1); 0: never",         \
	  OPTION_PARSE, .offset = offsetof(STRUCT, field.watchdog_ns),                         \
	  .parse = watch_args_watchdog }

/* What only faults that wait can give, or only passes; NULL: nothing of the kind is asked for. */
const char *watch_args_wants_sync(const struct watch_args *a);
const char *watch_args_wants_async(const struct watch_args *a);
/*
 * Do these go together?  0, and a->command and a->argv are set (argv as a command gets it,
 * operand the index of the first that is none of an option); -EINVAL with the words.
 */
int watch_args_check(struct watch_args *a, char **argv, int argc, int operand,
		     struct options_error *ret_error);
/* What the session is asked for; descriptors and the queue are not set. */
struct session_opts watch_args_opts(const struct watch_args *a, bool async);

#endif
