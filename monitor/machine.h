/* SPDX-License-Identifier: MIT */
/*
 * Machine: what this kernel and these privileges allow, each thing probed.
 *
 * Tries each thing for real, on nobody but ourselves; derives nothing from a version.
 * Says nothing: cmd-check.c has the table.
 */
#ifndef MONITOR_MACHINE_H
#define MONITOR_MACHINE_H

#include <stdint.h>

enum machine_state {
	MACHINE_OK,
	MACHINE_WARN,	/* works, with something missing that the text names */
	MACHINE_NO,	/* recording is not possible */
};

struct machine_finding {
	const char *name;	/* a few words, stable: scripts look for them */
	enum machine_state state;
	int status;		/* exit.h; EXIT_OK unless MACHINE_NO */
	char text[240];
};

#define MACHINE_FINDINGS 9

/* Fills ret_findings and, with 0 for none, UFFD_FEATURE_* bits. */
void machine_probe(struct machine_finding ret_findings[MACHINE_FINDINGS],
		   uint64_t *ret_features);

#endif
