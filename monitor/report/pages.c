/* SPDX-License-Identifier: MIT */
/* Pages: counters in pieces of 16.  See pages.h. */

#include "report/pages.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK 16u

struct pages_chunk {
	uint32_t mm;
	uint64_t number;
	struct page_cell cell[CHUNK];
};

/* What a piece costs with its key: they have about two slots each. */
#define CHUNKS_MAX (PAGES_BYTES_MAX / (sizeof(struct pages_chunk) + 64))

static bool has_ended(const struct pages *p, const struct pages_chunk *c)
{
	uint32_t index;

	return keys_find(&p->ended, c->mm, 0, &index);
}

static void release(struct pages *p, struct pages_chunk *c)
{
	for (unsigned int i = 0; i < CHUNK; i++)
		p->released += c->cell[i].written || c->cell[i].faults;
	free(c);
}

/*
 * Let go what has ended.  Not again before more has ended: where that frees little, all would
 * be looked at for each page.  -ENOMEM: nothing changed.
 */
static int sweep(struct pages *p)
{
	struct keys keys = KEYS_NULL;
	size_t n = p->keys.n, kept = 0;
	uint32_t index;

	for (size_t i = 0; i < n; i++)
		if (!has_ended(p, p->chunks[i]) &&
		    keys_index(&keys, p->chunks[i]->number, p->chunks[i]->mm, &index) < 0) {
			keys_done(&keys);
			return -ENOMEM;
		}
	for (size_t i = 0; i < n; i++) {
		if (has_ended(p, p->chunks[i]))
			release(p, p->chunks[i]);
		else
			p->chunks[kept++] = p->chunks[i];
	}
	keys_done(&p->keys);
	p->keys = keys;
	p->last = NULL;
	p->ended_swept = p->ended.n;
	p->sweep_after = n - kept > n / 8 ? 1 : p->sweep_after * 2 + 1;
	return 0;
}

static int new_chunk(struct pages *p, uint32_t mm, uint64_t number, struct pages_chunk **ret)
{
	struct pages_chunk **more, *c;
	uint32_t index;

	more = keys_room(p->chunks, p->keys.n, &p->room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->chunks = more;
	c = calloc(1, sizeof(*c));
	if (!c || keys_index(&p->keys, number, mm, &index) < 0) {
		free(c);
		return -ENOMEM;
	}
	c->mm = mm;
	c->number = number;
	more[index] = *ret = p->last = c;
	return 0;
}

/* NULL with *ret_err 0: there is no room for more. */
static struct pages_chunk *chunk_of(struct pages *p, uint32_t mm, uint64_t number, int *ret_err)
{
	struct pages_chunk *c = p->last;
	uint32_t index;

	*ret_err = 0;
	if (c && c->mm == mm && c->number == number)
		return c;
	if (keys_find(&p->keys, number, mm, &index))
		return p->last = p->chunks[index];
	c = NULL;
	if (p->keys.n >= CHUNKS_MAX && p->ended.n - p->ended_swept > p->sweep_after)
		*ret_err = sweep(p);
	if (!*ret_err && p->keys.n < CHUNKS_MAX)
		*ret_err = new_chunk(p, mm, number, &c);
	return c;
}

int pages_end(struct pages *p, uint32_t mm)
{
	uint32_t index;
	int r = keys_index(&p->ended, mm, 0, &index);

	return r < 0 ? r : 0;
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
	for (size_t i = 0; i < p->keys.n; i++)
		free(p->chunks[i]);
	free(p->chunks);
	keys_done(&p->keys);
	keys_done(&p->ended);
	*p = (struct pages){ .keys = KEYS_NULL };
}
