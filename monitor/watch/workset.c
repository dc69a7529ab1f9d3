/* SPDX-License-Identifier: MIT */
/* Workset: which pages have been found written.  See workset.h. */

#include "watch/workset.h"

#include <stdlib.h>

#define CHUNK_PAGES 512u
#define CHUNK_WORDS (CHUNK_PAGES / 64)

struct workset_chunk {
	RB_ENTRY(workset_chunk) node;
	uint64_t key;		/* page number / CHUNK_PAGES */
	uint64_t bits[CHUNK_WORDS];
};

static int chunk_order(const struct workset_chunk *a, const struct workset_chunk *b)
{
	return a->key < b->key ? -1 : a->key > b->key;
}

RB_GENERATE_INTERNAL(workset_tree, workset_chunk, node, chunk_order,
		     __attribute__((unused)) static)

void workset_init(struct workset *w, uint32_t page_size)
{
	RB_INIT(&w->chunks);
	w->shift = (unsigned int)__builtin_ctz(page_size);
}

void workset_done(struct workset *w)
{
	struct workset_chunk *k, *next;

	RB_FOREACH_SAFE(k, workset_tree, &w->chunks, next) {
		RB_REMOVE(workset_tree, &w->chunks, k);
		free(k);
	}
}

/* near: the one used last, or NULL. */
static struct workset_chunk *chunk_at(struct workset *w, struct workset_chunk *near, uint64_t key)
{
	struct workset_chunk *k, want = { .key = key };

	if (near && near->key == key)
		return near;
	k = near ? RB_NEXT(workset_tree, &w->chunks, near) : NULL;
	if (!k || k->key != key)
		k = RB_FIND(workset_tree, &w->chunks, &want);
	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->key = key;
	RB_INSERT(workset_tree, &w->chunks, k);
	return k;
}

/* Pages [lo, hi) of the chunk, counted from its first. */
static uint64_t fill(struct workset_chunk *k, unsigned int lo, unsigned int hi)
{
	uint64_t added = 0;

	for (unsigned int word = lo / 64; lo < hi; word++) {
		unsigned int end = (word + 1) * 64 < hi ? (word + 1) * 64 : hi;
		uint64_t mask = UINT64_MAX >> (64 - (end - lo)) << lo % 64;

		added += (unsigned int)__builtin_popcountll(mask & ~k->bits[word]);
		k->bits[word] |= mask;
		lo = end;
	}
	return added;
}

uint64_t workset_add(struct workset *w, const struct range *runs, size_t n)
{
	struct workset_chunk *k = NULL, *found;
	uint64_t added = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t page = runs[i].lo >> w->shift, end = runs[i].hi >> w->shift;

		while (page < end) {
			uint64_t key = page / CHUNK_PAGES, first = key * CHUNK_PAGES;
			uint64_t stop = end < first + CHUNK_PAGES ? end : first + CHUNK_PAGES;

			found = chunk_at(w, k, key);
			if (found)
				added += fill(found, (unsigned int)(page - first),
					      (unsigned int)(stop - first));
			k = found ? found : k;
			page = stop;
		}
	}
	return added;
}
