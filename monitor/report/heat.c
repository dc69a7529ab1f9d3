/* SPDX-License-Identifier: MIT */
/* Heat: addresses times time.  See heat.h. */

#include "report/heat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROW_SHIFT_MAX 52

static void add_to(uint32_t *cell, uint64_t n)
{
	*cell = n > UINT32_MAX - *cell ? UINT32_MAX : *cell + (uint32_t)n;
}

/* ---- time ----------------------------------------------------------------------------- */

static void halve_row(struct heat_row *row)
{
	for (unsigned int i = 0; i < HEAT_COLUMNS; i++) {
		uint32_t v = row->column[i];

		row->column[i] = 0;
		add_to(&row->column[i / 2], v);
	}
}

static unsigned int column_of(struct heat *h, uint64_t ts)
{
	uint64_t tick = ts > h->origin ? (ts - h->origin) / HEAT_TICK_NS : 0;

	while (tick >> h->shift >= HEAT_COLUMNS) {
		for (size_t i = 0; i < h->n; i++)
			for (size_t k = 0; k < h->maps[i].n; k++)
				halve_row(h->maps[i].rows[k]);
		h->shift++;
		h->used = (h->used + 1) / 2;
	}
	return (unsigned int)(tick >> h->shift);
}

/* ---- addresses ------------------------------------------------------------------------ */

/* Rows of twice the pages: two that are one now melt together. */
static int coarsen(struct heat *h, struct heat_map *m)
{
	struct keys keys = KEYS_NULL;
	size_t kept = 0;

	m->shift++;
	m->last = NULL;
	for (size_t i = 0; i < m->n; i++) {
		struct heat_row *row = m->rows[i];
		uint32_t index;
		int r = keys_index(&keys, row->page >> m->shift, 0, &index);

		if (r < 0) {
			keys_done(&keys);
			return r;
		}
		m->rows[i] = NULL;
		if (r) {
			row->page = row->page >> m->shift << m->shift;
			m->rows[kept++] = row;
			continue;
		}
		for (unsigned int k = 0; k < HEAT_COLUMNS; k++)
			add_to(&m->rows[index]->column[k], row->column[k]);
		free(row);
	}
	h->rows -= m->n - kept;
	m->n = kept;
	keys_done(&m->keys);
	m->keys = keys;
	return 0;
}

static struct heat_map *largest(const struct heat *h)
{
	struct heat_map *most = NULL;

	for (size_t i = 0; i < h->n; i++)
		if (h->maps[i].n > 1 && h->maps[i].shift < ROW_SHIFT_MAX &&
		    (!most || h->maps[i].n > most->n))
			most = &h->maps[i];
	return most;
}

/* 1: there is room for a row of this map; 0: there is none. */
static int make_room(struct heat *h, struct heat_map *m)
{
	int r = 0;

	while (!r && m->n >= HEAT_MAP_ROWS && m->shift < ROW_SHIFT_MAX)
		r = coarsen(h, m);
	while (!r && h->rows >= HEAT_ROWS_MAX) {
		struct heat_map *most = largest(h);

		if (!most)
			return 0;
		r = coarsen(h, most);
	}
	return r < 0 ? r : 1;
}

static int new_row(struct heat_map *m, uint64_t number, struct heat_row **ret)
{
	struct heat_row **rows = keys_room(m->rows, m->n, &m->room, sizeof(*rows)), *row;
	uint32_t index;

	if (!rows)
		return -ENOMEM;
	m->rows = rows;
	row = calloc(1, sizeof(*row));
	if (!row || keys_index(&m->keys, number, 0, &index) < 0) {
		free(row);
		return -ENOMEM;
	}
	row->page = number << m->shift;
	rows[m->n++] = row;
	*ret = row;
	return 0;
}

/* The row of a page; NULL with 0: there is no room. */
static int row_of(struct heat *h, struct heat_map *m, uint64_t page, struct heat_row **ret)
{
	uint32_t index;
	int r;

	*ret = NULL;
	if (m->last && m->last_number == page >> m->shift) {
		*ret = m->last;
		return 0;
	}
	if (!keys_find(&m->keys, page >> m->shift, 0, &index)) {
		r = make_room(h, m);
		if (r <= 0)
			return r;
		/* It may be there now, as part of a larger one. */
		if (!keys_find(&m->keys, page >> m->shift, 0, &index)) {
			r = new_row(m, page >> m->shift, ret);
			h->rows += !r;
			return r;
		}
	}
	*ret = m->last = m->rows[index];
	m->last_number = page >> m->shift;
	return 0;
}

static int grow(struct heat *h, uint32_t map)
{
	while (h->n <= map) {
		struct heat_map *maps = keys_room(h->maps, h->n, &h->room, sizeof(*maps));

		if (!maps)
			return -ENOMEM;
		h->maps = maps;
		h->maps[h->n++] = (struct heat_map){ .keys = KEYS_NULL };
	}
	return 0;
}

int heat_add(struct heat *h, uint32_t map, uint64_t page, uint64_t n, uint64_t ts)
{
	unsigned int column = column_of(h, ts);
	struct heat_row *row;
	struct heat_map *m;
	int r = grow(h, map);

	m = r ? NULL : &h->maps[map];
	while (!r && n) {
		uint64_t left, part;

		r = row_of(h, m, page, &row);
		/* Only now is it known how many pages a row has. */
		left = (UINT64_C(1) << m->shift) - (page & ((UINT64_C(1) << m->shift) - 1));
		part = left < n ? left : n;
		if (!r && row) {
			add_to(&row->column[column], part);
			m->sum += part;
		} else if (!r) {
			h->left_out += part;
		}
		page += part;
		n -= part;
	}
	if (column >= h->used)
		h->used = column + 1;
	return r;
}

static int by_page(const void *a, const void *b)
{
	const struct heat_row *const *x = a, *const *y = b;

	return ((*x)->page > (*y)->page) - ((*x)->page < (*y)->page);
}

void heat_sort(struct heat_map *map)
{
	if (map->n)
		qsort(map->rows, map->n, sizeof(struct heat_row *), by_page);
}

uint64_t heat_column_ns(const struct heat *h)
{
	return HEAT_TICK_NS << h->shift;
}

void heat_done(struct heat *h)
{
	for (size_t i = 0; i < h->n; i++) {
		for (size_t k = 0; k < h->maps[i].n; k++)
			free(h->maps[i].rows[k]);
		free(h->maps[i].rows);
		keys_done(&h->maps[i].keys);
	}
	free(h->maps);
	*h = (struct heat)HEAT_NULL;
}
