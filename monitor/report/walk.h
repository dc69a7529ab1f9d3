/* SPDX-License-Identifier: MIT */
/*
 * Walk: a trace from its header to its last whole line, a record at a time.
 *
 * Opens the file (plain or zstd, "-" is standard input), gives each record to a
 * callback, and tells at the end what was not in order: a line that is no record, a
 * hole in seq, an end that is missing.  Decides nothing of what that means.
 *
 *	r = walk_open(&w, path, &why);		the header has been read
 *	r = walk_run(w, on_record, arg, &end);
 *	w = walk_close(w);
 */
#ifndef REPORT_WALK_H
#define REPORT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/reader.h"

struct walk;

struct walk_end {
	uint64_t records;		/* given; with those of kinds not known here */
	uint64_t unknown;		/* of those, of kinds not known here: not given */
	uint64_t unreadable;		/* lines that are no record: left out */
	uint64_t unreadable_line;	/* the first of them */
	struct reader_error unreadable_why;
	uint64_t holes, missing;	/* in seq; so many records in all */
	uint64_t last_ts;		/* of the last record */
	uint64_t cut_offset;		/* where, uncompressed, the last whole line ends */
	bool cut;			/* the last line, or frame, is not whole */
	bool damaged;			/* the compressed data is, behind cut_offset */
	bool complete;			/* a detach record was the last */
};

/* The record is good during the call only.  0: go on; 1: enough; -errno. */
typedef int (*walk_record)(void *arg, const struct reader_record *r);
/* Now and then: bytes of the file read so far, and its size; 0: nobody knows. */
typedef void (*walk_progress)(void *arg, uint64_t done, uint64_t total);

/*
 * Open and read the header.  -EBADMSG: no trace, -EPROTONOSUPPORT: of a later schema,
 * both with words that follow the path ("PATH: " and "PATH "); -errno of open(2) and
 * read(2), -EISDIR, -EILSEQ, -ENOMEM.
 */
int walk_open(struct walk **ret, const char *path, struct reader_error *ret_why);
/* Until walk_close(). */
const struct reader_header *walk_header(const struct walk *w);
/* Call this while walking. */
void walk_watch(struct walk *w, walk_progress progress, void *arg);
/*
 * All records up to the end, or up to what the callback answers if that is not 0 (1 is
 * returned as 0).  Neither a cut nor damage nor a line that is no record is an error:
 * *ret_end tells.  -errno of the callback or of read(2); -ENOMEM.
 */
int walk_run(struct walk *w, walk_record on_record, void *arg, struct walk_end *ret_end);
/* NULL in, NULL out. */
struct walk *walk_close(struct walk *w);

#endif
