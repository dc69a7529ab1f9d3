/* SPDX-License-Identifier: MIT */
/*
 * Reader, short cut: the fault line as record-plain.c writes it, without a library.
 *
 * Pure.  Takes the line only if every byte is as expected; anything else, be it
 * wrong or only written by somebody else, is left to the other way, which also
 * finds the words.  So there is one place that says what is wrong, and this one
 * must merely never accept what that one would not; a test and a fuzzer compare.
 */

#include <string.h>

#include "trace/line.h"
#include "trace/names.h"
#include "trace/reader-parts.h"

struct cursor {
	const char *p, *end;
};

#define skip(c, lit) skip_bytes(c, lit, sizeof(lit) - 1)

static bool skip_bytes(struct cursor *c, const char *lit, size_t n)
{
	if ((size_t)(c->end - c->p) < n || memcmp(c->p, lit, n))
		return false;
	c->p += n;
	return true;
}

/* Digits as JSON writes them: no sign, no leading zero. */
static bool number(struct cursor *c, uint64_t max, uint64_t *ret)
{
	const char *first = c->p;
	uint64_t v = 0;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9' && c->p - first < 17)
		v = v * 10 + (uint64_t)(*c->p++ - '0');
	*ret = v;
	return c->p != first && v <= max && (*first != '0' || c->p == first + 1);
}

static bool hex(struct cursor *c, uint64_t *ret)
{
	const char *first;
	uint64_t v = 0;

	if (!skip(c, "\"0x"))
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
	return c->p != first && (*first != '0' || c->p == first + 1) && skip(c, "\"");
}

static bool word(struct cursor *c, enum names_set set, uint8_t *ret)
{
	const char *first, *quote;
	int v;

	if (!skip(c, "\""))
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

static bool is_write(struct cursor *c, struct record *r)
{
	r->fault.write = skip(c, "true");
	r->fault.unsure = !r->fault.write && skip(c, "null");
	return r->fault.write || r->fault.unsure || skip(c, "false");
}

static bool common(struct cursor *c, struct reader_record *ret)
{
	uint64_t pid, mm;

	if (!skip(c, "{\"ev\":\"fault\",\"seq\":") || !number(c, LINE_INT_MAX, &ret->seq) ||
	    !ret->seq || !skip(c, ",\"ts\":") || !number(c, LINE_INT_MAX, &ret->record.ts) ||
	    !skip(c, ",\"pid\":") || !number(c, INT32_MAX, &pid) ||
	    !skip(c, ",\"mm\":") || !number(c, UINT32_MAX, &mm))
		return false;
	ret->record.pid = (int32_t)pid;
	ret->record.mm = (uint32_t)mm;
	return true;
}

static bool place(struct cursor *c, uint32_t page_size, struct record *r)
{
	uint64_t page, bytes, hi;

	return skip(c, ",\"addr\":") && hex(c, &r->addr) &&
	       skip(c, ",\"page\":") && number(c, LINE_INT_MAX, &page) &&
	       skip(c, ",\"npages\":") && number(c, LINE_INT_MAX, &r->npages) &&
	       page == r->addr / page_size && r->npages &&
	       !__builtin_mul_overflow(r->npages, page_size, &bytes) &&
	       !__builtin_add_overflow(r->addr, bytes - 1, &hi);
}

/* Of one that nobody waited for no duration is known. */
static bool duration(struct cursor *c, struct record *r)
{
	uint64_t lat;

	if (skip(c, ",\"lat_ns\":null,\"stop_ns\":null"))
		return !skip(c, ",\"ts0\":") ||
		       (number(c, LINE_INT_MAX, &r->ts0) && r->ts0 <= r->ts);
	if (!skip(c, ",\"lat_ns\":") || !number(c, UINT32_MAX, &lat) ||
	    !skip(c, ",\"stop_ns\":") || !number(c, LINE_INT_MAX, &r->fault.stop_ns))
		return false;
	r->fault.lat_ns = (uint32_t)lat;
	return true;
}

static bool outcome(struct cursor *c, struct record *r)
{
	uint64_t vma, ns_tid = 0, stack = 0;

	if (!skip(c, ",\"vma\":") || !number(c, UINT32_MAX, &vma) ||
	    !skip(c, ",\"act\":") || !word(c, NAMES_FAULT_ACT, &r->fault.act) ||
	    !skip(c, ",\"via\":") || !word(c, NAMES_FAULT_VIA, &r->fault.via) ||
	    !duration(c, r))
		return false;
	if (skip(c, ",\"ns_tid\":") && !number(c, INT32_MAX, &ns_tid))
		return false;
	if ((skip(c, ",\"ip\":") && !hex(c, &r->fault.ip)) ||
	    (skip(c, ",\"stack\":") && !number(c, UINT32_MAX, &stack)) ||
	    (skip(c, ",\"src\":") && !word(c, NAMES_FAULT_SRC, &r->fault.src)))
		return false;
	r->fault.vma = (uint32_t)vma;
	r->fault.stack = (uint32_t)stack;
	r->fault.ns_tid = (int32_t)ns_tid;
	return skip(c, "}") && c->p == c->end;
}

bool reader_short_cut(const char *line, size_t len, uint32_t page_size,
		      struct reader_record *ret)
{
	struct cursor c = { line, line + len };
	struct record *r = &ret->record;
	uint64_t tid;

	*ret = (struct reader_record){ .record.kind = RECORD_FAULT };
	if (!common(&c, ret) ||
	    !skip(&c, ",\"tid\":") || !number(&c, INT32_MAX, &tid) ||
	    !skip(&c, ",\"kind\":") || !word(&c, NAMES_FAULT_KIND, &r->fault.kind) ||
	    !skip(&c, ",\"write\":") || !is_write(&c, r) ||
	    !place(&c, page_size, r) || !outcome(&c, r))
		return false;
	r->fault.tid = (int32_t)tid;
	return true;
}
