/* SPDX-License-Identifier: MIT */
/*
 * Cmd read: what commands say that read a trace.
 *
 * How far they are, why they cannot, and what of the trace is not in order.
 */
#ifndef MONITOR_CMD_READ_H
#define MONITOR_CMD_READ_H

#include "report/walk.h"

/* "-" is standard input; escaped. */
struct cmd_read_name {
	char s[512];
};

const char *cmd_read_name(const char *path, struct cmd_read_name *ret);
/* A line on a terminal that is erased at the end: name is what is being read. */
void cmd_read_bar(struct walk *w, const struct cmd_read_name *name);
/* Why it cannot be read: the result of walk_open() or walk_run().  The exit status. */
int cmd_read_refused(const char *path, int r, const struct reader_error *why);
/*
 * What is missing of it: a cut, damage, holes, lines that are no record.  The exit status:
 * only of damage not EXIT_OK, for every whole record that can be read is good.
 */
int cmd_read_end(const char *path, const struct walk_end *end);

#endif
