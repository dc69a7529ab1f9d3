/* SPDX-License-Identifier: MIT */
/*
 * HTML, text.  See html-text.h.
 *
 * Every byte of a name goes through plain(), which knows what can be shown, and then
 * through the escaping of the place it goes to.
 */
#include "report/html-text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

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
		code = utf8_code(bytes + i, n);
		if (!utf8_disturbs(code)) {
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

void html_json_name(struct pen *p, const char *bytes, size_t len)
{
	char buf[HTML_PLAIN_MAX];

	pen_json_text(p, plain_name(bytes, len, p->bytes < HTML_ROOMY ? HTML_NAME_MAX :
				    HTML_NAME_SHORT, buf));
}

void html_markup_name(struct pen *p, const char *bytes, size_t len)
{
	char buf[HTML_PLAIN_MAX];

	html_markup_words(p, html_plain_name(bytes, len, buf));
}

void html_markup_words(struct pen *p, const char *words)
{
	for (const char *at = words; *at; at++) {
		if (strchr("<>&\"'`=", *at))
			pen_format(p, "&#%d;", *at);
		else
			pen_bytes(p, at, 1);
	}
}

void html_base64(struct pen *p, const unsigned char *bytes, size_t len)
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

		pen_bytes(p, quad, 4);
	}
}
