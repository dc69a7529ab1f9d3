/* SPDX-License-Identifier: MIT */
/*
 * Heat: how often, where and when: addresses times time, a map for each label.
 *
 * Pure.  A map has rows of 2^n pages, aligned, only where something happened (what lies
 * between is folded), and HEAT_COLUMNS columns of time.  A map that gets too many rows has
 * rows of twice the pages; when time runs out of the last column, all columns become twice
 * as long.  So the memory is bounded, however long the trace: HEAT_ROWS_MAX rows in all.
 */
#ifndef REPORT_HEAT_H
#define REPORT_HEAT_H

#include <stddef.h>
#include <stdint.h>

#include "report/keys.h"

#define HEAT_COLUMNS 256
#define HEAT_MAP_ROWS 512		/* of one map, at most */
#define HEAT_ROWS_MAX 32768		/* of all maps */
#define HEAT_TICK_NS UINT64_C(1000000)	/* the shortest column */

struct heat_row {
	uint64_t page;			/* the first of the row */
	uint32_t column[HEAT_COLUMNS];
};

struct heat_map {
	struct heat_row **rows;		/* owned; in no order until heat_sort() */
	size_t n, room;
	struct keys keys;		/* by page >> shift */
	unsigned int shift;		/* a row is 2^shift pages */
	struct heat_row *last;		/* found last; its number is last_number */
	uint64_t last_number;
	uint64_t sum;			/* of all cells */
};

struct heat {
	struct heat_map *maps;		/* owned; by index of the label */
	size_t n, room;
	uint64_t origin;		/* ts of the first column's begin */
	unsigned int shift;		/* a column is HEAT_TICK_NS << shift */
	unsigned int used;		/* columns up to the last that holds anything */
	size_t rows;			/* of all maps */
	uint64_t left_out;		/* what there was no row for */
};

#define HEAT_NULL { .n = 0 }

/*
 * Each of n pages from `page` on, once, at ts (what was before the origin is in the first
 * column), in the map with that index.  -ENOMEM.
 */
int heat_add(struct heat *h, uint32_t map, uint64_t page, uint64_t n, uint64_t ts);
/* Rows in the order of their pages.  After that nothing may be added to the map. */
void heat_sort(struct heat_map *map);
uint64_t heat_column_ns(const struct heat *h);
void heat_done(struct heat *h);

#endif
