/* SPDX-License-Identifier: MIT */
/*
 * Utf8: which bytes are text.
 *
 * Pure.  Knows nothing about JSON: only the table of well-formed sequences of the
 * Unicode standard (table 3-7), which is also what strict JSON readers accept.
 */
#ifndef TRACE_UTF8_H
#define TRACE_UTF8_H

#include <stddef.h>

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

#endif
