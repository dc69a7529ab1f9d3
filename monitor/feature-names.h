/* SPDX-License-Identifier: MIT */
/*
 * Feature names: the words of what a kernel's userfaultfd can do.
 *
 * Pure; the bits come from session_probe_features(), never from a version.
 */
#ifndef MONITOR_FEATURE_NAMES_H
#define MONITOR_FEATURE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct feature {
	const char *name;	/* as in the trace's header and in `check` */
	uint64_t bit;		/* UFFD_FEATURE_* */
	const char *since;	/* the Linux that brought it */
	bool used;		/* this program makes use of it */
};

/* Ends with a NULL name. */
extern const struct feature feature_table[];

#define FEATURES_MAX 20

/* The names of the bits that are set and used, NULL-terminated. */
void features_names(uint64_t bits, const char *ret_names[FEATURES_MAX]);

/*
 * Can this kernel report what WATCH_MODE_* `modes` ask for, on anonymous memory at
 * least?  NULL, or the words of what is missing, with *ret_hint what to do.
 */
const char *features_lacking(uint64_t bits, uint32_t modes, const char **ret_hint);

#endif
