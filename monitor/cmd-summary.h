/* SPDX-License-Identifier: MIT */
/*
 * Summary: what record and demo say while they record and afterwards.
 */
#ifndef MONITOR_CMD_SUMMARY_H
#define MONITOR_CMD_SUMMARY_H

#include "cmd.h"
#include "recording.h"

/* "attached to 4242 (demo) in 1.9 ms (stopped 0.6 ms), 3 of 21 mappings watched" */
void summary_attached(const struct cmd_name *who, const struct session_summary *before,
		      const struct session_summary *now);
/* session_on_tick(): the line that replaces itself, or the answer to SIGUSR1. */
void summary_tick(void *unused, const struct session_summary *now);
/*
 * How it ended for the processes: detached and running on, exited, another program.
 * pid: of the first of them.
 */
void summary_ending(const struct cmd_name *first, pid_t pid, unsigned int targets,
		    const struct recording *rec);
/* The line of numbers. */
void summary_numbers(const struct recording *rec);
/* What is missing from the trace, if something is. */
void summary_losses(const struct recording *rec, uint64_t slots);
/* Where the trace is and what to run next. */
void summary_next(const char *path, const struct recording *rec);
/* The words for an output that has failed; stays silent for EPIPE. */
void summary_output_error(const char *path, const struct recording *rec);

/* The output cannot be opened, and why: says so; the exit status. */
int summary_refused_output(const char *path, int error);

#endif
