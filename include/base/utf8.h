/* SPDX-License-Identifier: MIT */
/*
 * Utf8: which bytes are text, and which text may be shown as it is.
 *
 * Pure.  Knows nothing about JSON: only the table of well-formed sequences of the
 * Unicode standard (table 3-7), which is also what strict JSON readers accept.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the well-formed sequence at the begin of s, 1 to 4; 0 if there is none. */
static inline size_t utf8_sequence(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (!len)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	/* Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte. */
	switch (p[0]) {
	case 0xe0:
		lo = 0xa0;
		break;
	case 0xed:
		hi = 0x9f;
		break;
	case 0xf0:
		lo = 0x90;
		break;
	case 0xf4:
		hi = 0x8f;
		break;
	}
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

/* The number of the character that a well-formed sequence of n bytes is. */
static inline uint32_t utf8_code(const char *s, size_t n)
{
	static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (unsigned char)s[0] & lead[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return c;
}

/*
 * Shown, these would do something to what is beside them: what a terminal obeys (C0, DEL,
 * C1), what nobody sees, and what turns the direction of writing, so that a line reads as
 * another.
 */
static inline bool utf8_disturbs(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/*
 * Foreign bytes as text that may be shown, cap bytes with its NUL at the most: what
 * disturbs, or is no text, as \ooo; what does not fit ends with "...".  Returns the length.
 */
static inline size_t utf8_escape(const char *bytes, size_t len, char *buf, size_t cap)
{
	size_t at = 0, cut = 0;		/* cut: where "..." and the NUL still fit */

	for (size_t i = 0, n; i < len; i += n) {
		bool raw;
		size_t need;

		n = utf8_sequence(bytes + i, len - i);
		raw = n && !utf8_disturbs(utf8_code(bytes + i, n));
		n = n ? n : 1;
		need = raw ? n : 4 * n;
		if (at + need + 1 > cap) {
			at = cut;
			for (int k = 0; k < 3 && at + 1 < cap; k++)
				buf[at++] = '.';
			break;
		}
		if (raw)
			memcpy(buf + at, bytes + i, n);
		for (size_t k = 0; !raw && k < n; k++) {
			const unsigned char c = (unsigned char)bytes[i + k];

			buf[at + 4 * k] = '\\';
			buf[at + 4 * k + 1] = (char)('0' + (c >> 6));
			buf[at + 4 * k + 2] = (char)('0' + (c >> 3 & 7));
			buf[at + 4 * k + 3] = (char)('0' + (c & 7));
		}
		at += need;
		if (at + 4 <= cap)
			cut = at;
	}
	if (cap)
		buf[at] = '\0';
	return at;
}

#endif
