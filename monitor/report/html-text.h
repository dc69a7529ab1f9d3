/* SPDX-License-Identifier: MIT */
/*
 * HTML, text: bytes on their way into a page, and what they must not become there.
 *
 * Pure: what is written goes to a callback of the caller.  Knows JSON strings inside a
 * <script>, text between tags, and no more of HTML.
 */
#ifndef REPORT_HTML_TEXT_H
#define REPORT_HTML_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define HTML_NAME_MAX 200	/* bytes of a name that are shown: its begin and its end */
#define HTML_NAME_SHORT 32
#define HTML_ROOMY (UINT64_C(1200) << 10)

struct html_out {
	/* All of it, or -errno. */
	int (*write)(void *to, const char *bytes, size_t len);
	void *to;
	int error;		/* the first one; nothing is written after it */
	uint64_t bytes;		/* handed to write() so far, and waiting in buf */
	size_t used;
	char buf[8192];
};

#define HTML_OUT(write_to, to_whom) { .write = (write_to), .to = (to_whom) }

/* What is ours: markup, keys, numbers. */
void html_bytes(struct html_out *o, const char *bytes, size_t len);
void html_words(struct html_out *o, const char *words);
void html_number(struct html_out *o, uint64_t n);
void html_print(struct html_out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Bytes that somebody else chose, as a JSON string with its quotation marks.  What is no
 * UTF-8 becomes U+FFFD.  Control characters, and those that turn the direction of
 * writing, are spelled out (\x1b, \u202e) for the reader's eyes.  <, >, & and the line
 * separators U+2028, U+2029 are escaped, so that the bytes stay inside their <script>.
 * Of more than HTML_NAME_MAX bytes only the begin and the end are written, and of more
 * than HTML_NAME_SHORT when HTML_ROOMY bytes have been written already: so the file is
 * bounded whatever the names are.
 */
void html_json_name(struct html_out *o, const char *bytes, size_t len);
/* Words of ours as a JSON string; names in them have gone through html_plain_name(). */
void html_json_words(struct html_out *o, const char *words);
/* The same bytes, and such words, as text between tags. */
void html_markup_name(struct html_out *o, const char *bytes, size_t len);
void html_markup_words(struct html_out *o, const char *words);
/* The same bytes for a sentence: no markup yet, not escaped; NUL-terminated.  Returns buf. */
#define HTML_PLAIN_MAX (6 * HTML_NAME_MAX + 8)
const char *html_plain_name(const char *bytes, size_t len, char buf[HTML_PLAIN_MAX]);

/* Base64 with padding. */
void html_base64(struct html_out *o, const unsigned char *bytes, size_t len);

/* What is left in buf.  The first error of all, or 0. */
int html_flush(struct html_out *o);

#endif
