/* SPDX-License-Identifier: MIT */
/*
 * Reader parts: what the files of the reader room share with one another.
 *
 * Private to reader*.c; everyone else uses reader.h.
 */
#ifndef TRACE_READER_PARTS_H
#define TRACE_READER_PARTS_H

#include <jansson.h>

#include "trace/reader.h"

/* Fill in the words; returns -EBADMSG. */
int reader_complain(struct reader_error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* One JSON object of the line, or NULL with the words. */
json_t *reader_object(const char *line, size_t len, struct reader_error *ret_error);
/* What those words mean: -ENOMEM or -EBADMSG. */
#define READER_OUT_OF_MEMORY "out of memory"
int reader_no_object(const struct reader_error *e);

/*
 * reader-short.c: a line of a fault, dirty, stack, vma, arm or gap byte for byte as record-*.c
 * write it.  False: not such a line, or not a right one, or no memory for it; the other way says
 * what is wrong.  Then *ret owns nothing.
 */
bool reader_short_cut(const char *line, size_t len, uint32_t page_size,
		      struct reader_record *ret);

/* reader-short-kinds.c: the same behind the kind. */
struct cursor;
bool reader_short_dirty(struct cursor *c, uint32_t page_size, struct reader_record *ret);
bool reader_short_arm(struct cursor *c, uint32_t page_size, struct reader_record *ret);
bool reader_short_gap(struct cursor *c, uint32_t page_size, struct reader_record *ret);
bool reader_short_stack(struct cursor *c, struct reader_record *ret);
bool reader_short_vma(struct cursor *c, uint32_t page_size, struct reader_record *ret);

/*
 * reader-fields.c: the keys of the record's kind into *ret, whose kind, seq and
 * common keys are set already.  -EBADMSG, -ENOMEM.
 */
int reader_fields(json_t *o, uint32_t page_size, struct reader_record *ret,
		  struct reader_error *ret_error);
/* The keys that every record has.  -EBADMSG. */
int reader_common(json_t *o, struct reader_record *ret, struct reader_error *ret_error);

/*
 * reader-text.c: the strings of a kind that has them into record.text, from the raw
 * bytes where they are given.  -EBADMSG, -ENOMEM.
 */
int reader_text(json_t *o, struct record *r, struct reader_error *ret_error);
/* "0x" and at most 16 hex digits, lower case, no leading zeros. */
bool reader_hex(json_t *j, uint64_t *ret);

#endif
