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
};

#define SYMBOLS_ARGS_OPTIONS(STRUCT, field)                                                    \
	{ .name = "no-symbols", .help = "open no program: call code by its file alone",        \
	  .type = OPTION_FLAG, .offset = offsetof(STRUCT, field.off) },                        \
	{ .name = "root", .arg = "DIR",                                                        \
	  .help = "the programs are below DIR, as in a container", .type = OPTION_TEXT,        \
	  .offset = offsetof(STRUCT, field.root) }

/* 0; -ENOMEM, or -errno of the directory after having said so. */
int symbols_args_open(const struct symbols_args *a, struct symbols **ret);
/* Files that are others by now, and with -v those without names. */
void symbols_args_tell(const struct symbols *s);

#endif
