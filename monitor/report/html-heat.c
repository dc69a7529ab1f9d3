/* SPDX-License-Identifier: MIT */
/*
 * HTML, heat: the maps of the hottest labels, packed as page-cells.js unpacks them.
 *
 * A column is as long as a collection at least.  All maps together have BYTES_MAX bytes
 * before base64; while they need more, the one that needs most gets rows of twice the pages.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "report/html-parts.h"

#define BYTES_MAX (500u << 10)
#define COLUMNS_MIN 8u

/* A map and by how many bits more its rows are merged. */
struct strip {
	struct heat_map *map;
	uint32_t rank;		/* its label's place among the ranked */
	unsigned int more;
	unsigned int wider;	/* the same of its columns */
	size_t bytes;		/* packed so */
};

/* Where packed numbers go; NULL: they are counted alone. */
struct packing {
	unsigned char *to;
	size_t n;
	uint64_t skipped;	/* empty cells since the last one */
};

/* LEB128 */
static void pack_number(struct packing *p, uint64_t v)
{
	do {
		const unsigned char low = (unsigned char)(v & 127);

		v >>= 7;
		if (p->to)
			p->to[p->n] = v ? low | 128 : low;
		p->n++;
	} while (v);
}

static void pack_row(struct packing *p, const uint64_t sum[HEAT_COLUMNS], unsigned int columns)
{
	for (unsigned int i = 0; i < columns; i++) {
		if (!sum[i]) {
			p->skipped++;
			continue;
		}
		pack_number(p, p->skipped);
		pack_number(p, sum[i]);
		p->skipped = 0;
	}
}

static uint64_t number_of(const struct strip *s, size_t row)
{
	return s->map->rows[row]->page >> (s->map->shift + s->more);
}

/*
 * From `row` on those that are one now: their sum.  Returns the first of the next; after
 * the last, map->n.
 */
static size_t merge(const struct strip *s, size_t row, uint64_t ret_sum[HEAT_COLUMNS])
{
	const uint64_t number = number_of(s, row);

	for (unsigned int i = 0; i < HEAT_COLUMNS; i++)
		ret_sum[i] = 0;
	for (; row < s->map->n && number_of(s, row) == number; row++)
		for (unsigned int i = 0; i < HEAT_COLUMNS; i++)
			ret_sum[i >> s->wider] += s->map->rows[row]->column[i];
	return row;
}

static size_t pack(const struct strip *s, unsigned int columns, unsigned char *to)
{
	struct packing p = { .to = to };
	uint64_t sum[HEAT_COLUMNS];

	for (size_t row = 0; row < s->map->n;) {
		row = merge(s, row, sum);
		pack_row(&p, sum, columns);
	}
	return p.n;
}

static void fit(struct strip *strips, size_t n, unsigned int columns)
{
	size_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += strips[i].bytes = pack(&strips[i], columns, NULL);
	while (all > BYTES_MAX) {
		struct strip *most = strips;

		for (size_t i = 1; i < n; i++)
			if (strips[i].bytes > most->bytes)
				most = &strips[i];
		/* One row of each would fit; only more strips than there can be do not. */
		if (most->map->shift + most->more >= 52)
			return;
		most->more++;
		all -= most->bytes;
		most->bytes = pack(most, columns, NULL);
		all += most->bytes;
	}
}

/* Rows that follow one another: the page of the first, and how many. */
static void write_rows(struct pen *p, const struct strip *s)
{
	const unsigned int shift = s->map->shift + s->more;
	uint64_t first = 0, n = 0;

	pen_format(p, "\"pages_row\":%" PRIu64 ",\"rows\":[", UINT64_C(1) << shift);
	for (size_t row = 0, runs = 0; row <= s->map->n; row++) {
		const uint64_t number = row < s->map->n ? number_of(s, row) : UINT64_MAX;

		if (n && (number == first + n - 1 || number == first + n)) {
			n += number == first + n;
			continue;
		}
		if (n)
			pen_format(p, "%s[%" PRIu64 ",%" PRIu64 "]", runs++ ? "," : "",
				   first << shift, n);
		first = number;
		n = 1;
	}
	pen_text(p, "]");
}

static int write_strip(struct pen *p, const struct strip *s, unsigned int columns)
{
	unsigned char *packed = malloc(s->bytes + 1);

	if (!packed)
		return -ENOMEM;
	pack(s, columns, packed);
	pen_format(p, "{\"map\":%" PRIu32 ",", s->rank);
	write_rows(p, s);
	pen_text(p, ",\"cells\":\"");
	html_base64(p, packed, s->bytes);
	pen_text(p, "\"}");
	free(packed);
	return 0;
}

/* By how many bits columns are merged. */
static unsigned int widen(const struct heat *heat, uint64_t least_ns)
{
	unsigned int wider = 0;

	while (heat_column_ns(heat) << wider < least_ns && heat->used >> (wider + 1) >= COLUMNS_MIN)
		wider++;
	return wider;
}

void html_write_heat(struct pen *p, struct html_state *s)
{
	struct heat *heat = &s->r->tally->heat;
	const unsigned int wider = widen(heat, html_collection_ns(s->r));
	const unsigned int columns = heat->used ? ((heat->used - 1) >> wider) + 1 : 1;
	struct strip strips[HTML_STRIPS_MAX];
	size_t n = 0, left_out = 0;

	for (size_t i = 0; i < s->n_ranked; i++) {
		const uint32_t label = s->ranked[i];

		if (label >= heat->n || !heat->maps[label].n)
			continue;
		if (n == HTML_STRIPS_MAX) {
			left_out++;
			continue;
		}
		heat_sort(&heat->maps[label]);
		strips[n++] = (struct strip){ .map = &heat->maps[label], .rank = (uint32_t)i,
					      .wider = wider };
	}
	fit(strips, n, columns);
	pen_format(p, "{\"t0\":%" PRIu64 ",\"step\":%" PRIu64 ",\"cols\":%u,\"unit\":\"%s\"",
		   heat->origin, heat_column_ns(heat) << wider, columns, html_unit(s->r));
	pen_format(p, ",\"left_out\":%zu,\"strips\":[", left_out);
	for (size_t i = 0; i < n && !s->error; i++) {
		pen_text(p, i ? ",\n" : "\n");
		s->error = write_strip(p, &strips[i], columns);
	}
	pen_text(p, "]}");
}
