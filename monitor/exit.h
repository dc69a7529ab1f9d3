/* SPDX-License-Identifier: MIT */
/* Exit statuses, pagetap(1).  With a COMMAND its own status comes out instead. */
#ifndef MONITOR_EXIT_H
#define MONITOR_EXIT_H

enum exit_status {
	EXIT_OK = 0,
	EXIT_RUNTIME = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_PERMITTED = 3,
	EXIT_NO_PROCESS = 4,
	EXIT_UNSUPPORTED = 5,
	EXIT_LOSSES = 6,		/* --strict */
	EXIT_COMMAND_FAILED = 125,	/* pagetap itself failed before COMMAND ran */
	EXIT_COMMAND_NOT_EXECUTABLE = 126,
	EXIT_COMMAND_NOT_FOUND = 127,
};

#endif
