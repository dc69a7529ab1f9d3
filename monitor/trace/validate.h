/* SPDX-License-Identifier: MIT */
/*
 * Validate: the records of a trace in, complaints out.
 *
 * Pure: no fd, no clock, no log.  reader.h has checked each line for itself; here
 * they are held against one another: seq, ts, the layout, the coverage contract and
 * the sums of stats, as pagetap-trace(5) states them.  What the trace itself
 * declares unknown (records lost, kinds left out by -e) is not held against it.
 */
#ifndef TRACE_VALIDATE_H
#define TRACE_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/reader.h"

struct validator;

/* One rule that one line breaks; words is one line without a full stop. */
typedef void (*validate_complain)(void *arg, uint64_t line, const char *words);

struct validate_totals {
	uint64_t records;		/* header not counted */
	uint64_t faults, writes;	/* fault records; of those, writes */
	uint64_t dirty_pages;		/* of all dirty records */
	uint64_t lost;			/* said to be lost, where counted */
	uint64_t gaps;
	uint64_t unknown;		/* records of an unknown kind */
	uint64_t complaints;
	bool lost_unknown;		/* an uncounted loss */
	bool complete;			/* ends with a detach */
};

/* -ENOMEM.  The header is looked at during the call only. */
int validate_new(struct validator **ret, const struct reader_header *h,
		 validate_complain complain, void *arg);
/* The next record, of that line.  -ENOMEM: the trace is too large for this machine. */
int validate_record(struct validator *v, uint64_t line, const struct reader_record *r);
/* A line that is no record: one complaint; it may have taken a number of seq. */
void validate_bad_line(struct validator *v, uint64_t line, const char *words);
/* After the last line.  allow_cut: a trace without an end is no fault. */
void validate_end(struct validator *v, uint64_t line, bool allow_cut);
const struct validate_totals *validate_totals(const struct validator *v);
/* NULL in, NULL out. */
struct validator *validate_free(struct validator *v);

#endif
