/* SPDX-License-Identifier: MIT */
/* Pages: counters in pieces of 64.  See pages.h. */

#include "report/pages.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK 64u

struct pages_chunk {
	uint32_t mm;
	uint64_t number;
	struct page_cell cell[CHUNK];
};

/* What a piece costs with its key: they have about two slots each. */
#define CHUNKS_MAX (PAGES_BYTES_MAX / (sizeof(struct pages_chunk) + 64))

/* NULL with *ret_err 0: there is no room for more. */
static struct pages_chunk *chunk_of(struct pages *p, uint32_t mm, uint64_t number, int *ret_err)
{
	struct pages_chunk **more, *c = p->last;
	uint32_t index;
	int r;

	*ret_err = 0;
	if (c && c->mm == mm && c->number == number)
		return c;
	if (p->keys.n >= CHUNKS_MAX)
		return keys_find(&p->keys, number, mm, &index) ? p->chunks[index] : NULL;
	r = keys_index(&p->keys, number, mm, &index);
	if (!r)
		return p->last = p->chunks[index];
	more = r < 0 ? NULL : keys_room(p->chunks, index, &p->room, sizeof(*more));
	if (more) {
		p->chunks = more;
		more[index] = c = calloc(1, sizeof(*c));
	}
	if (!more || !c) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	c->mm = mm;
	c->number = number;
	return p->last = c;
}

static void write_one(struct pages *p, struct page_cell *cell, uint32_t tick, struct course *c,
		      uint64_t *fresh)
{
	p->touched += !cell->written && !cell->faults;
	if (!cell->written) {
		p->distinct++;
		(*fresh)++;
	}
	cell->written += cell->written < UINT32_MAX;
	course_add(c, tick, cell->last ? cell->last - 1 : COURSE_NEVER, 1);
	cell->last = tick + 1;
}

int pages_write(struct pages *p, uint32_t mm, uint64_t page, uint64_t n, uint32_t tick,
		struct course *c, uint64_t *ret_new)
{
	uint64_t fresh = 0;
	int err = 0;

	while (n) {
		uint64_t at = page % CHUNK, part = CHUNK - at < n ? CHUNK - at : n;
		struct pages_chunk *chunk = chunk_of(p, mm, page / CHUNK, &err);

		if (err)
			return err;
		if (!chunk) {
			p->left_out += part;
			course_add(c, tick, COURSE_NEVER, part);
		}
		for (uint64_t i = at; chunk && i < at + part; i++)
			write_one(p, &chunk->cell[i], tick, c, &fresh);
		page += part;
		n -= part;
	}
	*ret_new = fresh;
	return 0;
}

int pages_fault(struct pages *p, uint32_t mm, uint64_t page)
{
	struct page_cell *cell;
	int err;
	struct pages_chunk *chunk = chunk_of(p, mm, page / CHUNK, &err);

	if (!chunk) {
		p->left_out += !err;
		return err;
	}
	cell = &chunk->cell[page % CHUNK];
	p->touched += !cell->written && !cell->faults;
	cell->faults += cell->faults < UINT32_MAX;
	return 0;
}

static bool above(const struct page_top *a, const struct page_top *b)
{
	if (a->written != b->written)
		return a->written > b->written;
	if (a->faults != b->faults)
		return a->faults > b->faults;
	return a->mm != b->mm ? a->mm < b->mm : a->page < b->page;
}

/* Into its place among the n best; returns how many there are then. */
static size_t insert(struct page_top *top, size_t n, size_t max, struct page_top one)
{
	size_t at = n;

	while (at && above(&one, &top[at - 1]))
		at--;
	if (at == max)
		return n;
	n += n < max;
	for (size_t i = n - 1; i > at; i--)
		top[i] = top[i - 1];
	top[at] = one;
	return n;
}

size_t pages_top(const struct pages *p, struct page_top *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < p->keys.n; i++) {
		const struct pages_chunk *c = p->chunks[i];

		for (unsigned int k = 0; k < CHUNK; k++)
			if (c->cell[k].written || c->cell[k].faults)
				n = insert(ret, n, max, (struct page_top){
					c->mm, c->number * CHUNK + k, c->cell[k].written,
					c->cell[k].faults });
	}
	return n;
}

void pages_done(struct pages *p)
{
	for (size_t i = 0; i < p->keys.n && i < p->room; i++)
		free(p->chunks[i]);
	free(p->chunks);
	keys_done(&p->keys);
	*p = (struct pages){ .keys = KEYS_NULL };
}
