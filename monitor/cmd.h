/* SPDX-License-Identifier: MIT */
/*
 * Cmd: the commands that main.c calls, and what all of them share.
 *
 * A command takes the arguments from its own word on (argv[0] is "record", and
 * argv[-1] the program), does
 * its work and returns an exit status of exit.h.  It never calls exit().
 */
#ifndef MONITOR_CMD_H
#define MONITOR_CMD_H

#include <stdbool.h>

#include "log.h"
#include "options.h"
#include "pagetap/inject.h"

int cmd_record(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_validate(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_page_server(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_lazy_pages(int argc, char **argv);
int cmd_restore(int argc, char **argv);
/* The program that demo watches; not listed, takes no options. */
int cmd_demo_target(int argc, char **argv);

/* How much to say, and in which colour: -q, -v, --color of every command. */
struct cmd_voice {
	bool quiet;
	unsigned int verbose;
	const char *color;
};

#define CMD_VOICE_OPTIONS(STRUCT, field)                                                       \
	{ .letter = 'q', .name = "quiet", .help = "say nothing but errors",                    \
	  .type = OPTION_FLAG, .offset = offsetof(STRUCT, field.quiet) },                      \
	{ .letter = 'v', .name = "verbose", .help = "say more; twice: more still",             \
	  .type = OPTION_COUNTER, .offset = offsetof(STRUCT, field.verbose) },                 \
	{ .name = "color", .arg = "WHEN", .help = "auto, always or never",                     \
	  .type = OPTION_WORD, .words = "auto\0always\0never\0",                               \
	  .offset = offsetof(STRUCT, field.color) }

/*
 * Parse the options of a command into its struct and set the log up.  Returns true
 * to go on with *ret_operand the index of the first operand; false when the answer
 * has been given already (--help, or what is wrong with the usage): then
 * *ret_status is the exit status.
 */
bool cmd_begin(const struct option_page *page, int argc, char **argv, void *into,
	       const struct cmd_voice *voice, int *ret_operand, int *ret_status);
/* Say what is wrong with the usage and where to read more; returns EXIT_USAGE. */
int cmd_usage(const struct option_page *page, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A process as messages name it: "4242 (demo)". */
struct cmd_name {
	char s[160];
};

/* Just the number when it has gone.  Returns ret->s. */
const char *cmd_name_of(pid_t pid, struct cmd_name *ret);
/* Say why a process cannot be attached to, and in what state it is; the exit status. */
int cmd_attach_failed(const struct cmd_name *who, const struct pagetap_failure *f);
/*
 * What this kernel's userfaultfd can do (UFFD_FEATURE_*), and whether that suffices
 * for WATCH_MODE_* modes.  EXIT_OK, or the status after saying what is missing.
 */
int cmd_probe(uint32_t modes, uint64_t *ret_features);

#endif
