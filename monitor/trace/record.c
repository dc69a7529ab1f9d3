/* SPDX-License-Identifier: MIT */
/* Record: its text, and which way a kind becomes a line.  See record.h. */

#include "trace/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/record-parts.h"

struct record_text *record_text_new(const char *a, size_t alen, const char *b, size_t blen)
{
	struct record_text *t;

	if (!b)
		blen = 0;
	if (alen > UINT32_MAX || blen > UINT32_MAX)
		return NULL;
	t = malloc(sizeof(*t) + alen + blen);
	if (!t)
		return NULL;
	t->len[0] = (uint32_t)alen;
	t->len[1] = (uint32_t)blen;
	if (alen)
		memcpy(t->bytes, a, alen);
	if (blen)
		memcpy(t->bytes + alen, b, blen);
	return t;
}

struct record_text *record_frames_new(const uint64_t *frames, size_t n)
{
	n = n < RECORD_FRAMES_MAX ? n : RECORD_FRAMES_MAX;
	return record_text_new((const char *)frames, n * sizeof(*frames), NULL, 0);
}

struct record_text *record_runs_new(size_t n, struct record_run **ret_runs)
{
	struct record_text *t;

	if (!n || n > RECORD_RUNS_MAX)
		return NULL;
	t = malloc(sizeof(*t) + n * sizeof(struct record_run));
	if (!t)
		return NULL;
	t->len[0] = (uint32_t)(n * sizeof(struct record_run));
	t->len[1] = 0;
	*ret_runs = (struct record_run *)(void *)t->bytes;
	return t;
}

size_t record_lines(const struct record *r)
{
	return r->kind == RECORD_DIRTY && r->text ? r->text->len[0] / sizeof(struct record_run) : 1;
}

struct record record_line(const struct record *r, size_t i)
{
	struct record one = *r;
	struct record_run run;

	if (r->kind == RECORD_DIRTY && r->text) {
		memcpy(&run, r->text->bytes + i * sizeof(run), sizeof(run));
		one.addr = run.addr;
		one.npages = run.npages;
		one.text = NULL;
	}
	return one;
}

void record_release(struct record *r)
{
	free(r->text);
	r->text = NULL;
}

static int64_t format_plain(const struct record *r, uint64_t seq, uint32_t page_size, char *buf,
			    size_t cap)
{
	char room[RECORD_STACK_LINE_MAX];
	bool direct = cap >= sizeof(room);
	struct line l = { .p = direct ? buf : room };
	char *start = l.p;
	int64_t len;
	int err;

	if (r->kind == RECORD_FAULT)
		err = record_put_fault(&l, r, seq, page_size);
	else
		err = record_put_plain(&l, r, seq, page_size);
	if (err < 0 || l.bad)
		return err < 0 ? err : -EINVAL;
	len = l.p - start;
	if (!direct) {
		if ((size_t)len > cap)
			return -ENOSPC;
		memcpy(buf, room, (size_t)len);
	}
	return len;
}

int64_t record_format(const struct record *r, uint64_t seq, uint32_t page_size, char *buf,
		      size_t cap)
{
	if (!page_size)
		return -EINVAL;
	switch (r->kind) {
	case RECORD_ATTACH:
	case RECORD_VMA:
	case RECORD_EXEC:
	case RECORD_ERROR:
	case RECORD_THREAD:
		return record_format_text(r, seq, page_size, buf, cap);
	case RECORD_HEADER:
		return -EINVAL;
	default:
		return format_plain(r, seq, page_size, buf, cap);
	}
}
