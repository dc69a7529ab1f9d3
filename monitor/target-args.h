/* SPDX-License-Identifier: MIT */
/*
 * Target arguments: the processes that -p names.
 *
 * Pure: says nothing about whether they exist.
 */
#ifndef MONITOR_TARGET_ARGS_H
#define MONITOR_TARGET_ARGS_H

#include <sys/types.h>

#include "options.h"

#define TARGET_ARGS_MAX 64

struct target_args {
	pid_t pid[TARGET_ARGS_MAX];
	unsigned int n;
};

/* option_parser of `-p PID[,PID...]`; a pid named twice counts once. */
int target_args_parse(void *args, const char *list, struct options_error *ret_error);
/* The same where one process is meant. */
int target_args_parse_one(void *args, const char *text, struct options_error *ret_error);

#endif
