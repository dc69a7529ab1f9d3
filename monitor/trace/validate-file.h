/* SPDX-License-Identifier: MIT */
/*
 * Validate, file: one trace from its first byte to its verdict.
 *
 * Wires reader-file, reader and validate; decides nothing itself and prints nothing.
 */
#ifndef TRACE_VALIDATE_FILE_H
#define TRACE_VALIDATE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/validate.h"

struct validate_outcome {
	struct validate_totals totals;
	uint64_t lines;
	bool cut;		/* the last line, or frame, is not whole */
	uint64_t cut_offset;	/* where in the (uncompressed) bytes the last whole line ends */
	char words[240];	/* after a negative result: what is wrong, without the path */
};

/*
 * Read path ("-" is standard input) and call complain for each rule that is broken;
 * the trace is valid if totals.complaints is 0.  allow_cut: a missing end is none.
 * -EPROTONOSUPPORT: a later schema; -EBADMSG: no trace at all; -EILSEQ: damaged
 * compression; -ENOMEM; -errno of open(2) and read(2).
 */
int validate_file(const char *path, bool allow_cut, validate_complain complain, void *arg,
		  struct validate_outcome *ret);

/* One complaint, kept for validate_json_line(). */
struct validate_complaint {
	uint64_t line;
	char words[240];
};

/*
 * The verdict as one line of JSON, newline included; free() it.  r is the result of
 * validate_file().  NULL: no memory.
 */
char *validate_json_line(const char *path, int r, const struct validate_outcome *o,
			 const struct validate_complaint *complaints, unsigned int n);

#endif
