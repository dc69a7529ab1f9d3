/* SPDX-License-Identifier: MIT */
/*
 * Line: numbers and known words into the bytes of one JSON line, fast.
 *
 * Pure, and only for record-*.c.  Escapes nothing and checks no bound: the caller
 * has room for RECORD_LINE_MAX bytes and passes no foreign text.  A factor of
 * twenty over a JSON library, which is why the hot record is written with it.
 */
#ifndef TRACE_LINE_H
#define TRACE_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Above it jq, node and sqlite round integers: they read them as doubles. */
#define LINE_INT_MAX ((UINT64_C(1) << 53) - 1)

struct line {
	char *p;		/* where the next byte goes */
	bool bad;		/* a number was too large for every reader */
};

/* A literal, without its NUL. */
#define line_lit(l, s) line_put(l, s, sizeof(s) - 1)

static inline void line_put(struct line *l, const char *bytes, size_t n)
{
	memcpy(l->p, bytes, n);
	l->p += n;
}

/* A word between quotes. */
static inline void line_word(struct line *l, const char *word)
{
	*l->p++ = '"';
	line_put(l, word, strlen(word));
	*l->p++ = '"';
}

static inline void line_bool(struct line *l, bool v)
{
	if (v)
		line_lit(l, "true");
	else
		line_lit(l, "false");
}

static inline void line_u64(struct line *l, uint64_t v)
{
	static const char pairs[] =
		"0001020304050607080910111213141516171819202122232425262728293031323334353637383940"
		"4142434445464748495051525354555657585960616263646566676869707172737475767778798081"
		"828384858687888990919293949596979899";
	char digits[20], *d = digits + sizeof(digits);

	l->bad |= v > LINE_INT_MAX;
	while (v >= 100) {
		d -= 2;
		memcpy(d, pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10) {
		d -= 2;
		memcpy(d, pairs + v * 2, 2);
	} else {
		*--d = (char)('0' + v);
	}
	line_put(l, d, (size_t)(digits + sizeof(digits) - d));
}

static inline void line_i64(struct line *l, int64_t v)
{
	if (v < 0)
		*l->p++ = '-';
	line_u64(l, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

/* An address: "0x7f3c036db000", quotes included. */
static inline void line_hex(struct line *l, uint64_t v)
{
	unsigned int nibbles = v ? (67u - (unsigned int)__builtin_clzll(v)) / 4 : 1;

	line_lit(l, "\"0x");
	for (unsigned int i = nibbles; i--;)
		*l->p++ = "0123456789abcdef"[v >> (4 * i) & 15];
	*l->p++ = '"';
}

#endif
