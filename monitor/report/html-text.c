/* SPDX-License-Identifier: MIT */
/*
 * HTML, text.  See html-text.h.
 *
 * Every byte of a name goes through plain(), which knows what can be shown, and then
 * through the escaping of the place it goes to.
 */
#include "report/html-text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "trace/utf8.h"

void html_bytes(struct html_out *o, const char *bytes, size_t len)
{
	o->bytes += len;
	while (len) {
		size_t n = sizeof(o->buf) - o->used;

		if (n > len)
			n = len;
		memcpy(o->buf + o->used, bytes, n);
		o->used += n;
		bytes += n;
		len -= n;
		if (o->used == sizeof(o->buf))
			html_flush(o);
	}
}

int html_flush(struct html_out *o)
{
	if (!o->error && o->used)
		o->error = o->write(o->to, o->buf, o->used);
	o->used = 0;
	return o->error;
}

void html_words(struct html_out *o, const char *words)
{
	html_bytes(o, words, strlen(words));
}

void html_number(struct html_out *o, uint64_t n)
{
	char digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	html_bytes(o, p, (size_t)(digits + sizeof(digits) - p));
}

void html_print(struct html_out *o, const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (n > 0)
		html_bytes(o, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* Shown, these would hide or turn around what is beside them. */
static bool code_invisible(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static uint32_t code_of(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;

	switch (n) {
	case 1:
		return p[0];
	case 2:
		return (p[0] & 31u) << 6 | (p[1] & 63u);
	case 3:
		return (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
	default:
		return (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
	}
}

/* U+FFFD, and the mark of what is left out. */
static const char no_character[] = { '\xef', '\xbf', '\xbd' };
static const char ellipsis[] = { '\xe2', '\x80', '\xa6' };

/* What can be shown of len bytes; at most six bytes for one of them. */
static size_t plain(const char *bytes, size_t len, char *to)
{
	size_t used = 0;

	for (size_t i = 0, n; i < len; i += n) {
		uint32_t code;

		n = utf8_sequence(bytes + i, len - i);
		if (!n) {
			memcpy(to + used, no_character, sizeof(no_character));
			used += sizeof(no_character);
			n = 1;
			continue;
		}
		code = code_of(bytes + i, n);
		if (!code_invisible(code)) {
			memcpy(to + used, bytes + i, n);
			used += n;
		} else {
			const char *spelling = code < 0x100 ? "\\x%02x" : "\\u%04x";
			char spelled[8];
			int m = snprintf(spelled, sizeof(spelled), spelling, (unsigned int)code);

			memcpy(to + used, spelled, (size_t)m);
			used += (size_t)m;
		}
	}
	return used;
}

/* Not in the middle of a character, if it is one. */
static size_t begin_of(const char *bytes, size_t at)
{
	for (size_t back = 0; back < 4 && back <= at; back++)
		if (((unsigned char)bytes[at - back] & 0xc0) != 0x80)
			return at - back;
	return at;
}

/* At most `most` bytes of it. */
static const char *plain_name(const char *bytes, size_t len, size_t most, char *buf)
{
	size_t used;

	if (len <= most) {
		used = plain(bytes, len, buf);
	} else {
		size_t head = begin_of(bytes, most / 2);
		size_t tail = begin_of(bytes, len - most / 2 + 3);

		used = plain(bytes, head, buf);
		memcpy(buf + used, ellipsis, sizeof(ellipsis));
		used += sizeof(ellipsis);
		used += plain(bytes + tail, len - tail, buf + used);
	}
	buf[used] = '\0';
	return buf;
}

const char *html_plain_name(const char *bytes, size_t len, char buf[HTML_PLAIN_MAX])
{
	return plain_name(bytes, len, HTML_NAME_MAX, buf);
}

/* Of valid UTF-8 without control characters, or words of ours. */
void html_json_words(struct html_out *o, const char *words)
{
	html_words(o, "\"");
	for (const char *p = words; *p; p++) {
		const unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			html_bytes(o, (const char[]){ '\\', *p }, 2);
		else if (c < 0x20 || c == '<' || c == '>' || c == '&')
			html_print(o, "\\u%04x", c);
		else if (c == 0xe2 && (unsigned char)p[1] == 0x80 &&
			 ((unsigned char)p[2] == 0xa8 || (unsigned char)p[2] == 0xa9))
			html_print(o, "\\u%04x", 0x2028u + ((unsigned char)*(p += 2) - 0xa8u));
		else
			html_bytes(o, p, 1);
	}
	html_words(o, "\"");
}

void html_json_name(struct html_out *o, const char *bytes, size_t len)
{
	char buf[HTML_PLAIN_MAX];

	html_json_words(o, plain_name(bytes, len, o->bytes < HTML_ROOMY ? HTML_NAME_MAX :
				      HTML_NAME_SHORT, buf));
}

void html_markup_name(struct html_out *o, const char *bytes, size_t len)
{
	char buf[HTML_PLAIN_MAX];

	html_markup_words(o, html_plain_name(bytes, len, buf));
}

void html_markup_words(struct html_out *o, const char *words)
{
	for (const char *p = words; *p; p++) {
		if (strchr("<>&\"'`=", *p))
			html_print(o, "&#%d;", *p);
		else
			html_bytes(o, p, 1);
	}
}

void html_base64(struct html_out *o, const unsigned char *bytes, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		const size_t n = len - i < 3 ? len - i : 3;
		const uint32_t v = (uint32_t)bytes[i] << 16 |
				   (uint32_t)(n > 1 ? bytes[i + 1] : 0) << 8 |
				   (n > 2 ? bytes[i + 2] : 0);
		const char quad[4] = {
			digits[v >> 18], digits[v >> 12 & 63],
			n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '=',
		};

		html_bytes(o, quad, 4);
	}
}
