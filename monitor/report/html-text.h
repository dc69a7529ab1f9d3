/* SPDX-License-Identifier: MIT */
/*
 * HTML, text: names on their way into a page, and what they must not become there.
 *
 * Pure.  Knows JSON strings inside a <script>, text between tags, and no more of HTML.
 */
#ifndef REPORT_HTML_TEXT_H
#define REPORT_HTML_TEXT_H

#include "report/pen.h"

#define HTML_NAME_MAX 200	/* bytes of a name that are shown: its begin and its end */
#define HTML_NAME_SHORT 32
#define HTML_ROOMY (UINT64_C(1200) << 10)

/*
 * Bytes that somebody else chose, as a JSON string with its quotation marks.  What is no
 * UTF-8 becomes U+FFFD.  Control characters, and those that turn the direction of
 * writing, are spelled out (\x1b, \u202e) for the reader's eyes.  Of more than
 * HTML_NAME_MAX bytes only the begin and the end are written, and of more than
 * HTML_NAME_SHORT when HTML_ROOMY bytes have been written already: so the file is bounded
 * whatever the names are.
 */
void html_json_name(struct pen *p, const char *bytes, size_t len);
/* The same bytes, and words of ours with such names in them, as text between tags. */
void html_markup_name(struct pen *p, const char *bytes, size_t len);
void html_markup_words(struct pen *p, const char *words);
/* The same bytes for a sentence: no markup yet, not escaped; NUL-terminated.  Returns buf. */
#define HTML_PLAIN_MAX (6 * HTML_NAME_MAX + 8)
const char *html_plain_name(const char *bytes, size_t len, char buf[HTML_PLAIN_MAX]);

/* Base64 with padding. */
void html_base64(struct pen *p, const unsigned char *bytes, size_t len);

#endif
