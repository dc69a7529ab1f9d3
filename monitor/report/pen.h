/* SPDX-License-Identifier: MIT */
/*
 * Pen: text in blocks to a callback, and the ways to write foreign words into it.
 *
 * Pure.  After an error nothing more is given to the callback; pen_end() tells of it, so
 * that nobody has to ask at each word.
 */
#ifndef REPORT_PEN_H
#define REPORT_PEN_H

#include <stddef.h>
#include <stdint.h>

#define PEN_BLOCK 65536u

/* Whole lines, but for one that is longer than a block.  0 or -errno. */
typedef int (*pen_sink)(void *arg, const char *bytes, size_t len);

struct pen {
	pen_sink sink;
	void *arg;
	int error;		/* the first one */
	uint64_t bytes;		/* written so far, given or waiting in the block */
	size_t n;
	char block[PEN_BLOCK];
};

void pen_begin(struct pen *p, pen_sink sink, void *arg);
/* What is left goes out.  0, or the first error. */
int pen_end(struct pen *p);

void pen_bytes(struct pen *p, const char *bytes, size_t len);
void pen_text(struct pen *p, const char *text);
/* At most 1,000 bytes. */
void pen_format(struct pen *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pen_number(struct pen *p, uint64_t v);
/* Microseconds with three decimals, out of nanoseconds; seconds with nine. */
void pen_micros(struct pen *p, uint64_t ns);
void pen_seconds(struct pen *p, uint64_t ns);

/*
 * A string of JSON with its quotes.  What is not UTF-8 is U+FFFD; `<`, `>`, `&`, the line
 * separators of JavaScript and all control characters are escaped, so that it may stand in a
 * page or go to a terminal.
 */
void pen_json(struct pen *p, const char *bytes, size_t len);
void pen_json_text(struct pen *p, const char *text);
/*
 * A field of CSV (RFC 4180): quoted where it must be.  Control bytes and what is not UTF-8
 * become \ooo: a reader of lines keeps them whole.
 */
void pen_csv(struct pen *p, const char *bytes, size_t len);
/* The value of a label of OpenMetrics with its quotes; likewise. */
void pen_label(struct pen *p, const char *bytes, size_t len);
/* A frame of folded stacks: no `;`, no line end; likewise. */
void pen_frame(struct pen *p, const char *bytes, size_t len);

#endif
