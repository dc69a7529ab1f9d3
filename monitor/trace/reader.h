/* SPDX-License-Identifier: MIT */
/*
 * Reader: the bytes of one line in, a record or the words of what is wrong out.
 *
 * Pure: no fd, no clock, no log (lines out of files: reader-file.h).  Takes what any
 * program may have written, so nothing is believed: types, ranges and enumerated
 * words are checked, and an unknown key is passed over, as pagetap-trace(5) asks of
 * readers.  The lines that our own writer makes in bulk have a short cut, with equal
 * results, because a JSON library reads no more than 130,000 lines a second.
 */
#ifndef TRACE_READER_H
#define TRACE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/record.h"

/* Also the longest line the writer makes. */
#define READER_LINE_MAX RECORD_TEXT_LINE_MAX

struct reader_error {
	char text[240];		/* one line without a full stop, escaped */
};

#define READER_GRANULARITY_MAX 65536

/* Line 1.  Owns everything it points to. */
struct reader_header {
	char *tool, *version, *host, *kernel, *arch, *engine;
	char **modes, **features, **events, **argv;	/* NULL-terminated lists */
	uint64_t base_mono_ns;
	uint32_t page_size;
	uint32_t granularity;		/* 1 where the header says nothing */
	unsigned int schema;		/* the N of pagetap.trace/N */
};

struct reader_record {
	struct record record;	/* release with record_release() */
	uint64_t seq;
	bool unknown;		/* an `ev` of a later version: nothing else is set but seq */
};

struct reader {
	uint32_t page_size;	/* of the header */
	bool strict;		/* also what only a writer must keep: key order, key names */
	bool slow;		/* do not take the short cut (tests) */
};

/*
 * 0; -EBADMSG: not the header of a trace, -EPROTONOSUPPORT: of a later one (schema
 * is set); -ENOMEM.  Nothing to release unless 0.
 */
int reader_header(const char *line, size_t len, struct reader_header *ret,
		  struct reader_error *ret_error);
void reader_header_release(struct reader_header *h);

/* line without its newline.  0, -EBADMSG with words, -ENOMEM. */
int reader_record(const struct reader *rd, const char *line, size_t len,
		  struct reader_record *ret, struct reader_error *ret_error);

/* May a key have this name?  Some mean another thing to pandas, SQL or both. */
bool reader_key_allowed(const char *key);

#endif
