/* SPDX-License-Identifier: MIT */
/*
 * Reader, short cut: lines as our writer makes them in bulk, without a library; here the
 * fault, the others in reader-short-kinds.c.
 *
 * Pure.  Takes the line only if every byte is as expected; anything else, be it
 * wrong or only written by somebody else, is left to the other way, which also
 * finds the words.  So there is one place that says what is wrong, and this one
 * must merely never accept what that one would not; a test and a fuzzer compare.
 */

#include "trace/reader-cursor.h"

static bool is_write(struct cursor *c, struct record *r)
{
	r->fault.write = cursor_skip(c, "true");
	r->fault.unsure = !r->fault.write && cursor_skip(c, "null");
	return r->fault.write || r->fault.unsure || cursor_skip(c, "false");
}

/* Of one that nobody waited for no duration is known. */
static bool duration(struct cursor *c, struct record *r)
{
	uint64_t lat;

	if (cursor_skip(c, ",\"lat_ns\":null,\"stop_ns\":null"))
		return !cursor_skip(c, ",\"ts0\":") ||
		       (cursor_number(c, LINE_INT_MAX, &r->ts0) && r->ts0 <= r->ts);
	if (!cursor_skip(c, ",\"lat_ns\":") || !cursor_number(c, UINT32_MAX, &lat) ||
	    !cursor_skip(c, ",\"stop_ns\":") || !cursor_number(c, LINE_INT_MAX, &r->fault.stop_ns))
		return false;
	r->fault.lat_ns = (uint32_t)lat;
	return true;
}

static bool outcome(struct cursor *c, struct record *r)
{
	uint64_t vma, ns_tid = 0, stack = 0;

	if (!cursor_skip(c, ",\"vma\":") || !cursor_number(c, UINT32_MAX, &vma) ||
	    !cursor_skip(c, ",\"act\":") || !cursor_word(c, NAMES_FAULT_ACT, &r->fault.act) ||
	    !cursor_skip(c, ",\"via\":") || !cursor_word(c, NAMES_FAULT_VIA, &r->fault.via) ||
	    !duration(c, r))
		return false;
	if (cursor_skip(c, ",\"ns_tid\":") && !cursor_number(c, INT32_MAX, &ns_tid))
		return false;
	if ((cursor_skip(c, ",\"ip\":") && !cursor_hex(c, &r->fault.ip)) ||
	    (cursor_skip(c, ",\"stack\":") && !cursor_number(c, UINT32_MAX, &stack)) ||
	    (cursor_skip(c, ",\"src\":") && !cursor_word(c, NAMES_FAULT_SRC, &r->fault.src)))
		return false;
	r->fault.vma = (uint32_t)vma;
	r->fault.stack = (uint32_t)stack;
	r->fault.ns_tid = (int32_t)ns_tid;
	return cursor_skip(c, "}") && c->p == c->end;
}

static bool fault(struct cursor *c, uint32_t page_size, struct reader_record *ret)
{
	struct record *r = &ret->record;
	uint64_t tid;

	if (!cursor_common(c, ret) ||
	    !cursor_skip(c, ",\"tid\":") || !cursor_number(c, INT32_MAX, &tid) ||
	    !cursor_skip(c, ",\"kind\":") || !cursor_word(c, NAMES_FAULT_KIND, &r->fault.kind) ||
	    !cursor_skip(c, ",\"write\":") || !is_write(c, r) ||
	    !cursor_place(c, page_size, false, r) || !outcome(c, r))
		return false;
	r->fault.tid = (int32_t)tid;
	return true;
}

bool reader_short_cut(const char *line, size_t len, uint32_t page_size,
		      struct reader_record *ret)
{
	struct cursor c = { line, line + len };

	*ret = (struct reader_record){ .record.kind = RECORD_FAULT };
	/* Pages are a power of two in size: reader_header() sees to it. */
	if (!cursor_skip(&c, "{\"ev\":\"") || page_size & (page_size - 1))
		return false;
	if (cursor_skip(&c, "fault\""))
		return fault(&c, page_size, ret);
	if (cursor_skip(&c, "dirty\""))
		return reader_short_dirty(&c, page_size, ret);
	if (cursor_skip(&c, "stack\""))
		return reader_short_stack(&c, ret);
	if (cursor_skip(&c, "vma\""))
		return reader_short_vma(&c, page_size, ret);
	if (cursor_skip(&c, "arm\""))
		return reader_short_arm(&c, page_size, ret);
	if (cursor_skip(&c, "gap\""))
		return reader_short_gap(&c, page_size, ret);
	return false;
}
