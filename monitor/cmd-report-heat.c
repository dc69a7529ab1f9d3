/* SPDX-License-Identifier: MIT */
/* Cmd report, heat: addresses against time, as coloured cells or as characters. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd-report.h"
#include "words.h"

#define SHADES 9u			/* beside nothing at all */
#define ROWS_MAX 24u			/* of one map on the screen */
#define ADDRESS_COLUMNS 21u		/* and what is around it */
#define COLUMNS_MAX HEAT_COLUMNS

/* A map, as large as the screen has room for. */
struct screen {
	unsigned int columns, rows;
	unsigned int wide;			/* characters of a column */
	uint64_t page[ROWS_MAX], pages;		/* first page of each row; pages of a row */
	bool folded[ROWS_MAX];			/* there is a gap below it */
	uint64_t cell[ROWS_MAX][COLUMNS_MAX];
	uint64_t most;
};

/* The row of the screen that a page goes to: aligned blocks of 2^shift. */
static unsigned int rows_at(const struct heat_map *m, unsigned int shift)
{
	unsigned int n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += !i || m->rows[i]->page >> shift != m->rows[i - 1]->page >> shift;
	return n;
}

/* Half of it for a cell that is a quarter as hot: what is cool shows, too. */
static unsigned int shade(uint64_t v, uint64_t most)
{
	unsigned int k = 1;

	if (!v)
		return 0;
	while (k < SHADES && (double)v * SHADES * SHADES > (double)most * k * k)
		k++;
	return k;
}

/*
 * What is found is told once for each collection: in less time than one takes most columns
 * would be empty, and the others as dark as many.
 */
static void choose_columns(struct screen *s, const struct heat *h, unsigned int columns,
			   uint64_t collection_ns)
{
	uint64_t ns = heat_column_ns(h) * h->used;
	/* One is told somewhere in a column of the trace. */
	uint64_t least = collection_ns + heat_column_ns(h);
	uint64_t collections = collection_ns ? ns / least : h->used;

	s->columns = h->used < columns ? h->used : columns;
	s->wide = 1;
	if (collections >= s->columns)
		return;
	s->wide = collections ? s->columns / (unsigned int)collections : s->columns;
	s->columns = collections ? (unsigned int)collections : 1;
}

static void fill(struct screen *s, const struct heat *h, struct heat_map *m)
{
	unsigned int shift = m->shift, row = 0;

	heat_sort(m);
	while (rows_at(m, shift) > ROWS_MAX)
		shift++;
	s->pages = UINT64_C(1) << shift;
	for (size_t i = 0; i < m->n; i++) {
		uint64_t page = m->rows[i]->page >> shift << shift;

		if (i && s->page[row] != page)
			row++;
		if (!i || row >= s->rows) {
			s->page[row] = page;
			s->folded[row] = row && s->page[row - 1] + s->pages != page;
			s->rows = row + 1;
		}
		for (unsigned int k = 0; k < h->used; k++)
			s->cell[row][k * s->columns / h->used] += m->rows[i]->column[k];
	}
	for (row = 0; row < s->rows; row++)
		for (unsigned int k = 0; k < s->columns; k++)
			s->most = s->cell[row][k] > s->most ? s->cell[row][k] : s->most;
}

static void draw_row(const struct report_view *v, const struct screen *s, unsigned int row)
{
	static const char ramp[] = " .:-=+*#%@";
	static const uint8_t color[SHADES] = { 17, 18, 54, 90, 126, 161, 202, 214, 228 };
	unsigned int last = s->columns;
	char address[24];

	snprintf(address, sizeof(address), "%#" PRIx64, s->page[row] * v->l->tally->page_size);
	printf("%c %18s ", s->folded[row] ? '~' : ' ', address);
	/* No blanks at the end of a line. */
	while (last && !s->cell[row][last - 1])
		last--;
	for (unsigned int k = 0; k < last; k++) {
		unsigned int hue = shade(s->cell[row][k], s->most);

		for (unsigned int i = 0; i < s->wide; i++)
			if (!v->color || !hue)
				putchar(ramp[hue]);
			else
				printf("\033[48;5;%um \033[0m", color[hue - 1]);
	}
	putchar('\n');
}

static void draw(const struct report_view *v, const struct screen *s,
		 const struct model_label *label, uint64_t sum)
{
	const struct heat *h = &v->l->tally->heat;
	uint64_t ns = heat_column_ns(h) * h->used;
	struct words n, size, most, time;
	char name[1024], begin[32], end[32];
	int pad;

	report_title(v, "%s: %s %s; a row is %s, a column %s, the hottest cell %s",
		     report_name(v, label->text, 40, name, sizeof(name)), words_count(sum, &n),
		     report_noun(v), words_bytes(s->pages * v->l->tally->page_size, &size),
		     words_duration(ns / s->columns, &time), words_count(s->most, &most));
	for (unsigned int row = s->rows; row-- > 0;)
		draw_row(v, s, row);
	snprintf(begin, sizeof(begin), "%.3f s", (double)h->origin / NSEC_PER_SEC);
	snprintf(end, sizeof(end), "%.3f s", (double)(h->origin + ns) / NSEC_PER_SEC);
	pad = (int)(s->columns * s->wide) - (int)strlen(begin);
	printf("  %18s %s%*s\n", "", begin, pad > (int)strlen(end) + 1 ? pad : 0,
	       pad > (int)strlen(end) + 1 ? end : "");
}

static int hotter(const void *a, const void *b)
{
	const struct heat_map *const *x = a, *const *y = b;

	if ((*x)->sum != (*y)->sum)
		return (*x)->sum < (*y)->sum ? 1 : -1;
	return (*x > *y) - (*x < *y);
}

int report_heat(const struct report_view *v)
{
	struct heat *h = &v->l->tally->heat;
	_free_ struct heat_map **maps = calloc(h->n + 1, sizeof(struct heat_map *));
	_free_ struct screen *s = malloc(sizeof(*s));
	unsigned int columns = v->width - ADDRESS_COLUMNS;
	size_t n = 0, shown;

	if (!maps || !s)
		return -ENOMEM;
	columns = columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
	for (size_t i = 0; i < h->n; i++)
		if (h->maps[i].sum && h->maps[i].n)
			maps[n++] = &h->maps[i];
	qsort(maps, n, sizeof(struct heat_map *), hotter);
	shown = report_rows(v, n);
	for (size_t i = 0; i < shown; i++) {
		memset(s, 0, sizeof(*s));
		choose_columns(s, h, columns, spread_quantile(&v->l->tally->interval, 950));
		fill(s, h, maps[i]);
		draw(v, s, model_label(v->l->model, (size_t)(maps[i] - h->maps)), maps[i]->sum);
	}
	report_more(shown, n);
	return 0;
}
