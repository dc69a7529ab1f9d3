/* SPDX-License-Identifier: MIT */
/*
 * Record parts: what the files of the record room share with one another.
 *
 * Private to record*.c; everyone else uses record.h.
 */
#ifndef TRACE_RECORD_PARTS_H
#define TRACE_RECORD_PARTS_H

#include "trace/line.h"
#include "trace/record.h"

/*
 * Both of record-plain.c: kinds without text.  There is room for RECORD_LINE_MAX.
 * -EINVAL for a value outside its enum.
 */
int record_put_fault(struct line *l, const struct record *r, uint64_t seq, uint32_t page_size);
int record_put_plain(struct line *l, const struct record *r, uint64_t seq, uint32_t page_size);

/* record-text.c: the kinds with text, through jansson.  As record_format(). */
int64_t record_format_text(const struct record *r, uint64_t seq, uint32_t page_size, char *buf,
			   size_t cap);

#endif
