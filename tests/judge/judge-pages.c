/* SPDX-License-Identifier: MIT */
/*
 * Judge, pages: what the trace says of each judged page of an address space.
 *
 * Chunks of pages, shared by a child with its parent until one of them changes.  Only
 * chunks that the truth names exist, so a span of terabytes costs nothing.
 */

#include <stdlib.h>
#include <string.h>

#include "judge.h"

void *grow(void *v, size_t n, size_t size)
{
	if (n && (n & (n - 1)))
		return v;
	v = realloc(v, (n ? n * 2 : 1) * size);
	if (!v)
		abort();
	return v;
}

static struct chunk *own_chunk(struct mm *mm, uint32_t c)
{
	struct chunk *k = mm->chunks[c], *copy;

	if (k && k->refs == 1)
		return k;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		abort();
	if (k) {
		memcpy(copy, k, sizeof(*copy));
		k->refs--;
	}
	copy->refs = 1;
	mm->chunks[c] = copy;
	return copy;
}

static void need_chunks(struct judge *j, struct mm *mm)
{
	if (mm->chunks)
		return;
	mm->chunks = calloc(j->truth->nchunks + 1, sizeof(*mm->chunks));
	if (!mm->chunks)
		abort();
}

struct page *page_of(struct judge *j, struct mm *mm, uint64_t page)
{
	uint32_t c = truth_chunk(j->truth, page);

	if (c == j->truth->nchunks || j->truth->chunks[c] != page / CHUNK_PAGES)
		return NULL;
	need_chunks(j, mm);
	return &own_chunk(mm, c)->page[page % CHUNK_PAGES];
}

void pages_each(struct judge *j, struct mm *mm, uint64_t lo, uint64_t hi, page_fn f, void *arg)
{
	const struct truth *t = j->truth;

	need_chunks(j, mm);
	for (uint32_t c = truth_chunk(t, lo); c < t->nchunks; c++) {
		uint64_t first = t->chunks[c] * CHUNK_PAGES, p = first > lo ? first : lo;
		uint64_t last = first + CHUNK_PAGES < hi ? first + CHUNK_PAGES : hi;
		struct chunk *k;

		if (first >= hi)
			break;
		k = own_chunk(mm, c);
		for (; p < last; p++)
			f(j, mm, p, &k->page[p - first], arg);
	}
}

void pages_clone(struct judge *j, struct mm *to, const struct mm *from)
{
	need_chunks(j, to);
	for (uint32_t c = 0; from->chunks && c < j->truth->nchunks; c++) {
		to->chunks[c] = from->chunks[c];
		if (to->chunks[c])
			to->chunks[c]->refs++;
	}
}

void pages_free(struct judge *j, struct mm *mm)
{
	for (uint32_t c = 0; mm->chunks && c < j->truth->nchunks; c++) {
		if (mm->chunks[c] && !--mm->chunks[c]->refs)
			free(mm->chunks[c]);
	}
	free(mm->chunks);
	mm->chunks = NULL;
}
