/* SPDX-License-Identifier: MIT */
/*
 * Reader, cursor: a line taken byte by byte, as our own writer makes it.
 *
 * Pure, and only for reader-short*.c.  Every function takes what it expects and says
 * true, or says false; then the line is for the long way.
 */
#ifndef TRACE_READER_CURSOR_H
#define TRACE_READER_CURSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "trace/line.h"
#include "trace/names.h"
#include "trace/reader-parts.h"

struct cursor {
	const char *p, *end;
};

#define cursor_skip(c, lit) cursor_skip_bytes(c, lit, sizeof(lit) - 1)

static inline bool cursor_skip_bytes(struct cursor *c, const char *lit, size_t n)
{
	if ((size_t)(c->end - c->p) < n || memcmp(c->p, lit, n))
		return false;
	c->p += n;
	return true;
}

/* Digits as JSON writes them: no sign, no leading zero. */
static inline bool cursor_number(struct cursor *c, uint64_t max, uint64_t *ret)
{
	const char *first = c->p;
	uint64_t v = 0;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9' && c->p - first < 17)
		v = v * 10 + (uint64_t)(*c->p++ - '0');
	*ret = v;
	return c->p != first && v <= max && (*first != '0' || c->p == first + 1);
}

static inline bool cursor_hex(struct cursor *c, uint64_t *ret)
{
	const char *first;
	uint64_t v = 0;

	if (!cursor_skip(c, "\"0x"))
		return false;
	for (first = c->p; c->p < c->end && c->p - first < 16; c->p++) {
		if (*c->p >= '0' && *c->p <= '9')
			v = v << 4 | (uint64_t)(*c->p - '0');
		else if (*c->p >= 'a' && *c->p <= 'f')
			v = v << 4 | (uint64_t)(*c->p - 'a' + 10);
		else
			break;
	}
	*ret = v;
	return c->p != first && (*first != '0' || c->p == first + 1) && cursor_skip(c, "\"");
}

static inline bool cursor_word(struct cursor *c, enum names_set set, uint8_t *ret)
{
	const char *first, *quote;
	int v;

	if (!cursor_skip(c, "\""))
		return false;
	first = c->p;
	quote = memchr(first, '"', (size_t)(c->end - first));
	if (!quote)
		return false;
	v = names_find(set, first, (size_t)(quote - first));
	*ret = (uint8_t)v;
	c->p = quote + 1;
	return v >= 0;
}

/* true or false. */
static inline bool cursor_bool(struct cursor *c, bool *ret)
{
	*ret = cursor_skip(c, "true");
	return *ret || cursor_skip(c, "false");
}

/* What follows ev in every record. */
static inline bool cursor_common(struct cursor *c, struct reader_record *ret)
{
	uint64_t pid, mm;

	if (!cursor_skip(c, ",\"seq\":") || !cursor_number(c, LINE_INT_MAX, &ret->seq) ||
	    !ret->seq || !cursor_skip(c, ",\"ts\":") ||
	    !cursor_number(c, LINE_INT_MAX, &ret->record.ts) ||
	    !cursor_skip(c, ",\"pid\":") || !cursor_number(c, INT32_MAX, &pid) ||
	    !cursor_skip(c, ",\"mm\":") || !cursor_number(c, UINT32_MAX, &mm))
		return false;
	ret->record.pid = (int32_t)pid;
	ret->record.mm = (uint32_t)mm;
	return true;
}

/* addr, page and npages; aligned: addr is the first byte of its page. */
static inline bool cursor_place(struct cursor *c, uint32_t page_size, bool aligned,
				struct record *r)
{
	unsigned int shift = (unsigned int)__builtin_ctz(page_size);
	uint64_t page, bytes, hi;

	return cursor_skip(c, ",\"addr\":") && cursor_hex(c, &r->addr) &&
	       cursor_skip(c, ",\"page\":") && cursor_number(c, LINE_INT_MAX, &page) &&
	       cursor_skip(c, ",\"npages\":") && cursor_number(c, LINE_INT_MAX, &r->npages) &&
	       page == r->addr >> shift && r->npages &&
	       (!aligned || r->addr == page << shift) &&
	       !__builtin_mul_overflow(r->npages, page_size, &bytes) &&
	       !__builtin_add_overflow(r->addr, bytes - 1, &hi);
}

#endif
