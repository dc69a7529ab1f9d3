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

#include <endian.h>
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

/* Decimal digits of a number that is not 0. */
static inline unsigned int line_digits(uint64_t v)
{
	static const uint64_t tens[] = {
		UINT64_C(0), UINT64_C(10), UINT64_C(100), UINT64_C(1000), UINT64_C(10000),
		UINT64_C(100000), UINT64_C(1000000), UINT64_C(10000000), UINT64_C(100000000),
		UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
		UINT64_C(1000000000000), UINT64_C(10000000000000), UINT64_C(100000000000000),
		UINT64_C(1000000000000000), UINT64_C(10000000000000000),
		UINT64_C(100000000000000000), UINT64_C(1000000000000000000),
		UINT64_C(10000000000000000000),
	};
	/* 1233 / 4096 is log10(2), near enough for 64 bits. */
	unsigned int guess = (64u - (unsigned int)__builtin_clzll(v)) * 1233 >> 12;

	return guess + (v >= tens[guess]);
}

/* Straight to their place: a copy of a length not known before costs more than they do. */
static inline void line_u64(struct line *l, uint64_t v)
{
	static const char pairs[] =
		"0001020304050607080910111213141516171819202122232425262728293031323334353637383940"
		"4142434445464748495051525354555657585960616263646566676869707172737475767778798081"
		"828384858687888990919293949596979899";
	char *d;

	l->bad |= v > LINE_INT_MAX;
	if (v < 10) {
		*l->p++ = (char)('0' + v);
		return;
	}
	d = l->p += line_digits(v);
	while (v >= 100) {
		d -= 2;
		memcpy(d, pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10)
		memcpy(d - 2, pairs + v * 2, 2);
	else
		d[-1] = (char)('0' + v);
}

static inline void line_i64(struct line *l, int64_t v)
{
	if (v < 0)
		*l->p++ = '-';
	line_u64(l, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

/* Eight nibbles as eight characters, the first at the lowest address. */
static inline uint64_t line_nibbles(uint32_t v)
{
	uint64_t x = v, letters;

	x = (x << 16 | x) & UINT64_C(0x0000ffff0000ffff);
	x = (x << 8 | x) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x << 4 | x) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	letters = (x + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
	return htobe64(x + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10));
}

/* An address: "0x7f3c036db000", quotes included. */
static inline void line_hex(struct line *l, uint64_t v)
{
	unsigned int nibbles = v ? (67u - (unsigned int)__builtin_clzll(v)) / 4 : 1;
	uint64_t all[2];

	line_lit(l, "\"0x");
	v <<= 64 - 4 * nibbles;
	all[0] = line_nibbles((uint32_t)(v >> 32));
	all[1] = line_nibbles((uint32_t)v);
	memcpy(l->p, all, sizeof(all));		/* there is room: what is too much goes over */
	l->p += nibbles;
	*l->p++ = '"';
}

#endif
