/* SPDX-License-Identifier: MIT */
/*
 * Compare: two traces, row by row.
 *
 * Pure.  Rows are found by two words, a name and what kind of thing it is (of a function its
 * module).  Traces are of different length, so what is compared is the rate: how much in each
 * second that was watched.
 */
#ifndef REPORT_COMPARE_H
#define REPORT_COMPARE_H

#include <stddef.h>
#include <stdint.h>

enum compare_side { COMPARE_A, COMPARE_B };

enum compare_change {
	COMPARE_NEW,		/* only in B */
	COMPARE_GONE,		/* only in A */
	COMPARE_HOTTER,
	COMPARE_COOLER,
	COMPARE_SAME,		/* to the last digit */
};

struct compare_row {
	const char *name, *kind;	/* harmless; kind may be empty */
	uint64_t written[2];		/* by side */
	uint64_t pages[2];		/* different ones */
	double rate[2];			/* written in a second */
	enum compare_change change;
};

struct compare;

/* -ENOMEM. */
int compare_new(struct compare **ret);
/* NULL in, NULL out. */
struct compare *compare_free(struct compare *c);
/* Counts of a row of one side; those of equal words are summed.  -ENOMEM. */
int compare_add(struct compare *c, enum compare_side side, const char *name, size_t name_len,
		const char *kind, uint64_t written, uint64_t pages);
/*
 * How long each side was watched, ns (0: as one second).  The rows, those that changed most by
 * rate first; they are the compare's, and nothing may be added any more.
 */
const struct compare_row *compare_end(struct compare *c, const uint64_t ns[2], size_t *ret_n);
/* "new", "gone", "hotter", "cooler", "same" */
const char *compare_word(enum compare_change change);

#endif
