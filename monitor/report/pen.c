/* SPDX-License-Identifier: MIT */
/* Pen: a block, and escapes.  See pen.h. */

#include "report/pen.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

void pen_begin(struct pen *p, pen_sink sink, void *arg)
{
	p->sink = sink;
	p->arg = arg;
	p->error = 0;
	p->bytes = 0;
	p->n = 0;
}

static void give(struct pen *p, size_t len)
{
	if (!p->error && len)
		p->error = p->sink(p->arg, p->block, len);
	memmove(p->block, p->block + len, p->n - len);
	p->n -= len;
}

/* Whole lines, so that an output that fails can be cut at the end of one. */
static void flush(struct pen *p)
{
	const char *newline = memrchr(p->block, '\n', p->n);

	give(p, newline ? (size_t)(newline + 1 - p->block) : p->n);
}

int pen_end(struct pen *p)
{
	give(p, p->n);
	return p->error;
}

void pen_bytes(struct pen *p, const char *bytes, size_t len)
{
	p->bytes += len;
	while (len) {
		size_t part = PEN_BLOCK - p->n;

		if (!part) {
			flush(p);
			continue;
		}
		part = len < part ? len : part;
		memcpy(p->block + p->n, bytes, part);
		p->n += part;
		bytes += part;
		len -= part;
	}
}

void pen_text(struct pen *p, const char *text)
{
	pen_bytes(p, text, strlen(text));
}

void pen_format(struct pen *p, const char *fmt, ...)
{
	char text[1000];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		pen_bytes(p, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void pen_number(struct pen *p, uint64_t v)
{
	char digits[20], *at = digits + sizeof(digits);

	do
		*--at = (char)('0' + v % 10);
	while (v /= 10);
	pen_bytes(p, at, (size_t)(digits + sizeof(digits) - at));
}

void pen_micros(struct pen *p, uint64_t ns)
{
	pen_format(p, "%" PRIu64 ".%03u", ns / 1000, (unsigned int)(ns % 1000));
}

void pen_seconds(struct pen *p, uint64_t ns)
{
	pen_format(p, "%" PRIu64 ".%09u", ns / 1000000000, (unsigned int)(ns % 1000000000));
}

/* ---- foreign words -------------------------------------------------------------- */

/* The line separators U+2028 and U+2029. */
static bool is_separator(const char *s, size_t n)
{
	return n == 3 && !memcmp(s, "\xe2\x80", 2) && ((unsigned char)s[2] & 0xfe) == 0xa8;
}

/* C0, DEL, C1, or no character at all. */
static bool is_control(const char *s, size_t n)
{
	unsigned char c = (unsigned char)s[0];

	return !n || (n == 1 && (c < 0x20 || c == 0x7f)) ||
	       (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

void pen_json(struct pen *p, const char *bytes, size_t len)
{
	pen_bytes(p, "\"", 1);
	for (size_t i = 0, n; i < len; i += n) {
		unsigned char c = (unsigned char)bytes[i];

		n = utf8_sequence(bytes + i, len - i);
		if (!n) {
			n = 1;
			pen_text(p, "\\ufffd");
		} else if (is_separator(bytes + i, n)) {
			pen_text(p, bytes[i + 2] & 1 ? "\\u2029" : "\\u2028");
		} else if (n == 2 && is_control(bytes + i, n)) {
			pen_format(p, "\\u%04x", (unsigned char)bytes[i + 1]);
		} else if (n > 1) {
			pen_bytes(p, bytes + i, n);
		} else if (c == '"' || c == '\\') {
			pen_bytes(p, (char[]){ '\\', (char)c }, 2);
		} else if (c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&') {
			pen_format(p, "\\u%04x", c);
		} else {
			pen_bytes(p, bytes + i, 1);
		}
	}
	pen_bytes(p, "\"", 1);
}

void pen_json_text(struct pen *p, const char *text)
{
	pen_json(p, text, strlen(text));
}

/* Bytes as they are, but controls as \ooo, and what `escape` names as it says. */
static void tamed(struct pen *p, const char *bytes, size_t len, const char *slash,
		  const char *(*escape)(char c))
{
	for (size_t i = 0, n; i < len; i += n) {
		const char *other;

		n = utf8_sequence(bytes + i, len - i);
		if (is_control(bytes + i, n)) {
			n = n ? n : 1;
			for (size_t k = 0; k < n; k++)
				pen_format(p, "%s%03o", slash, (unsigned char)bytes[i + k]);
			continue;
		}
		other = n == 1 ? escape(bytes[i]) : NULL;
		if (other)
			pen_text(p, other);
		else
			pen_bytes(p, bytes + i, n);
	}
}

static const char *escape_csv(char c)
{
	return c == '"' ? "\"\"" : NULL;
}

void pen_csv(struct pen *p, const char *bytes, size_t len)
{
	bool quoted = memchr(bytes, ',', len) || memchr(bytes, '"', len);

	if (quoted)
		pen_bytes(p, "\"", 1);
	tamed(p, bytes, len, "\\", escape_csv);
	if (quoted)
		pen_bytes(p, "\"", 1);
}

static const char *escape_label(char c)
{
	return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
}

void pen_label(struct pen *p, const char *bytes, size_t len)
{
	pen_bytes(p, "\"", 1);
	tamed(p, bytes, len, "\\\\", escape_label);
	pen_bytes(p, "\"", 1);
}

static const char *escape_frame(char c)
{
	return c == ';' ? ":" : NULL;
}

void pen_frame(struct pen *p, const char *bytes, size_t len)
{
	tamed(p, bytes, len, "\\", escape_frame);
}
