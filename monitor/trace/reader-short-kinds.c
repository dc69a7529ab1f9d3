/* SPDX-License-Identifier: MIT */
/*
 * Reader, short cut: dirty, stack, vma, arm and gap lines as record-*.c write them.
 *
 * Pure.  See reader-short.c.  Here, too, whatever is not as expected is for the long way:
 * a name with anything that would be escaped, say.
 */

#include "trace/reader-cursor.h"

static bool interval(struct cursor *c, struct record *r)
{
	return cursor_skip(c, ",\"ts0\":") && cursor_number(c, LINE_INT_MAX, &r->ts0) &&
	       r->ts0 <= r->ts;
}

bool reader_short_arm(struct cursor *c, uint32_t page_size, struct reader_record *ret)
{
	struct record *r = &ret->record;

	r->kind = RECORD_ARM;
	return cursor_common(c, ret) && interval(c, r) && cursor_place(c, page_size, true, r) &&
	       cursor_skip(c, ",\"mode\":") && cursor_word(c, NAMES_ARM_MODE, &r->arm.mode) &&
	       cursor_skip(c, "}") && c->p == c->end;
}

/* Of a span; one of a whole address space is rare. */
bool reader_short_gap(struct cursor *c, uint32_t page_size, struct reader_record *ret)
{
	struct record *r = &ret->record;

	r->kind = RECORD_GAP;
	return cursor_common(c, ret) && interval(c, r) && cursor_place(c, page_size, true, r) &&
	       cursor_skip(c, ",\"reason\":") &&
	       cursor_word(c, NAMES_GAP_REASON, &r->gap.reason) &&
	       cursor_skip(c, "}") && c->p == c->end;
}

bool reader_short_dirty(struct cursor *c, uint32_t page_size, struct reader_record *ret)
{
	struct record *r = &ret->record;
	uint64_t vma;

	r->kind = RECORD_DIRTY;
	if (!cursor_common(c, ret) ||
	    !cursor_skip(c, ",\"epoch\":") || !cursor_number(c, LINE_INT_MAX, &r->dirty.epoch) ||
	    !interval(c, r) || !cursor_place(c, page_size, true, r) ||
	    !cursor_skip(c, ",\"vma\":") || !cursor_number(c, UINT32_MAX, &vma))
		return false;
	r->dirty.vma = (uint32_t)vma;
	return cursor_skip(c, "}") && c->p == c->end;
}

bool reader_short_stack(struct cursor *c, struct reader_record *ret)
{
	struct record *r = &ret->record;
	uint64_t frames[RECORD_FRAMES_MAX], id;
	size_t n = 0;

	r->kind = RECORD_STACK;
	if (!cursor_common(c, ret) ||
	    !cursor_skip(c, ",\"id\":") || !cursor_number(c, UINT32_MAX, &id) || !id ||
	    !cursor_skip(c, ",\"frames\":["))
		return false;
	r->stack.id = (uint32_t)id;
	while (!cursor_skip(c, "]")) {
		if (n == RECORD_FRAMES_MAX || (n && !cursor_skip(c, ",")) ||
		    !cursor_hex(c, &frames[n++]))
			return false;
	}
	if (!cursor_skip(c, "}") || c->p != c->end)
		return false;
	r->text = record_frames_new(frames, n);
	return r->text;
}

/* Between quotes, and nothing in it that JSON writes in another way. */
static bool plain_text(struct cursor *c, const char **ret, size_t *ret_len)
{
	const char *first;

	if (!cursor_skip(c, "\""))
		return false;
	for (first = c->p; c->p < c->end && *c->p >= ' ' && *c->p <= '~'; c->p++)
		if (*c->p == '"' || *c->p == '\\')
			break;
	*ret = first;
	*ret_len = (size_t)(c->p - first);
	return cursor_skip(c, "\"");
}

static bool rights(struct cursor *c, uint8_t *ret)
{
	static const char letters[] = "rwx";
	const char *s;
	size_t len;

	if (!plain_text(c, &s, &len) || len != 4 || (s[3] != 's' && s[3] != 'p'))
		return false;
	*ret = s[3] == 's' ? RECORD_PROT_SHARED : 0;
	for (unsigned int i = 0; i < 3; i++) {
		if (s[i] != letters[i] && s[i] != '-')
			return false;
		*ret |= (uint8_t)((s[i] != '-') << i);
	}
	return true;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* At most so many bytes as pairs of hex digits; longer ones are for the long way. */
static bool raw_bytes(struct cursor *c, char *bytes, size_t cap, size_t *ret_len)
{
	const char *s;
	size_t len;

	if (!plain_text(c, &s, &len) || len % 2 || len / 2 > cap)
		return false;
	for (size_t i = 0; i < len / 2; i++) {
		int hi = nibble(s[2 * i]), lo = nibble(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		bytes[i] = (char)(hi << 4 | lo);
	}
	*ret_len = len / 2;
	return true;
}

bool reader_short_vma(struct cursor *c, uint32_t page_size, struct reader_record *ret)
{
	struct record *r = &ret->record;
	size_t name_len, id_len = 0;
	char build_id[64];
	const char *name;
	uint64_t id;
	bool why;

	r->kind = RECORD_VMA;
	if (!cursor_common(c, ret) ||
	    !cursor_skip(c, ",\"id\":") || !cursor_number(c, UINT32_MAX, &id) || !id ||
	    !cursor_skip(c, ",\"op\":") || !cursor_word(c, NAMES_VMA_OP, &r->vma.op) ||
	    !cursor_place(c, page_size, true, r) ||
	    !cursor_skip(c, ",\"prot\":") || !rights(c, &r->vma.prot) ||
	    !cursor_skip(c, ",\"name\":") || !plain_text(c, &name, &name_len) ||
	    !cursor_skip(c, ",\"off\":") || !cursor_number(c, LINE_INT_MAX, &r->vma.off) ||
	    !cursor_skip(c, ",\"ino\":") || !cursor_number(c, LINE_INT_MAX, &r->vma.ino) ||
	    !cursor_skip(c, ",\"kind\":") || !cursor_word(c, NAMES_VMA_KIND, &r->vma.kind) ||
	    !cursor_skip(c, ",\"watch\":") || !cursor_bool(c, &r->vma.watch))
		return false;
	why = cursor_skip(c, ",\"why\":");
	if ((why && !cursor_word(c, NAMES_VMA_WHY, &r->vma.why)) || (!why && !r->vma.watch) ||
	    (cursor_skip(c, ",\"build_id\":") &&
	     !raw_bytes(c, build_id, sizeof(build_id), &id_len)) ||
	    !cursor_skip(c, "}") || c->p != c->end)
		return false;
	r->vma.id = (uint32_t)id;
	r->text = record_text_new(name, name_len, build_id, id_len);
	return r->text;
}
