/* SPDX-License-Identifier: MIT */
/*
 * Symbols arguments: where the names of code come from; and what is said of the files that
 * had none.  For all commands that name functions.
 */
#ifndef MONITOR_SYMBOLS_ARGS_H
#define MONITOR_SYMBOLS_ARGS_H

#include <stdbool.h>

#include "options.h"
#include "report/symbols.h"

struct symbols_args {
	const char *root;
	bool off;
	char held[32];			/* root, once it is held */
};

#define SYMBOLS_ARGS_OPTIONS(STRUCT, field)                                                    \
	{ .name = "no-symbols", .help = "open no program: call code by its file alone",        \
	  .type = OPTION_FLAG, .offset = offsetof(STRUCT, field.off) },                        \
	{ .name = "root", .arg = "DIR",                                                        \
	  .help = "the programs are below DIR, as in a container", .type = OPTION_TEXT,        \
	  .offset = offsetof(STRUCT, field.root) }

/*
 * The folder of --root, if there is one, is opened and stays so: /proc/PID/root is for who may
 * trace the process, which nobody may who has given its rights up.  To be called before that.
 * 0, or -errno of the folder after having said so.
 */
int symbols_args_hold(struct symbols_args *a);
/* 0 or -ENOMEM. */
int symbols_args_open(const struct symbols_args *a, struct symbols **ret);
/* Files that are others by now, and with -v those without names. */
void symbols_args_tell(const struct symbols *s);

#endif
