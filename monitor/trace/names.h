/* SPDX-License-Identifier: MIT */
/*
 * Names: from the words of the trace format back to their values.
 *
 * Pure.  The way there (value to word) is in record.h; both read the lists of
 * pagetap/trace.h, so that a word stands in one place only.
 */
#ifndef TRACE_NAMES_H
#define TRACE_NAMES_H

#include <stddef.h>

/* One for each enum of pagetap/trace.h. */
enum names_set {
	NAMES_RECORD_KIND,
	NAMES_FAULT_KIND,
	NAMES_FAULT_ACT,
	NAMES_FAULT_VIA,
	NAMES_FAULT_SRC,
	NAMES_VMA_OP,
	NAMES_VMA_KIND,
	NAMES_VMA_WHY,
	NAMES_ARM_MODE,
	NAMES_GAP_REASON,
	NAMES_LOST_REASON,
	NAMES_DETACH_REASON,
	NAMES_SET_NR,
};

/* The value of a word of len bytes in its set; -1 if it is none of them. */
int names_find(enum names_set set, const char *word, size_t len);
/* The word for a value, NULL out of range. */
const char *names_word(enum names_set set, unsigned int value);

#endif
