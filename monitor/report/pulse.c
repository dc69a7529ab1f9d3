/* SPDX-License-Identifier: MIT */
/* Pulse: rates of many things.  See pulse.h. */

#include "pulse.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

static void count(struct pulse_row *row, uint64_t n)
{
	row->now += n;
	row->total += n;
}

static struct pulse_row *row_of(struct pulse *p, uint64_t a, uint64_t b)
{
	struct pulse_row *rows;
	uint32_t index;

	if (keys_find(&p->keys, a, b, &index))
		return &p->rows[index];
	if (p->keys.n >= PULSE_ROWS_MAX && (a != PULSE_OTHERS || b != PULSE_OTHERS))
		return row_of(p, PULSE_OTHERS, PULSE_OTHERS);
	rows = keys_room(p->rows, p->keys.n, &p->room, sizeof(*rows));
	if (!rows)
		return NULL;
	p->rows = rows;
	if (keys_index(&p->keys, a, b, &index) < 0)
		return NULL;
	rows[index] = (struct pulse_row){ .a = a, .b = b };
	return &rows[index];
}

int pulse_add(struct pulse *p, uint64_t a, uint64_t b, uint64_t n)
{
	struct pulse_row *row = row_of(p, a, b);

	if (!row)
		return -ENOMEM;
	count(row, n);
	count(&p->all, n);
	return 0;
}

static void close_row(struct pulse_row *row, uint64_t slot, uint64_t ns)
{
	double rate = (double)row->now * (double)NSEC_PER_SEC / (double)ns;

	row->last = row->now;
	row->now = 0;
	row->rate = rate < 1e18 ? (uint64_t)(rate + 0.5) : UINT64_C(1000000000000000000);
	/* What happens once in a while is not nothing. */
	if (row->last && !row->rate)
		row->rate = 1;
	row->strip[slot % PULSE_STRIP] = row->rate < UINT32_MAX ? (uint32_t)row->rate : UINT32_MAX;
}

void pulse_close(struct pulse *p, uint64_t ns)
{
	ns = ns ? ns : 1;
	for (size_t i = 0; i < p->keys.n; i++)
		close_row(&p->rows[i], p->closed, ns);
	close_row(&p->all, p->closed, ns);
	p->closed++;
	p->covered_ns = ns;
}

uint32_t pulse_past(const struct pulse *p, const struct pulse_row *row, unsigned int ago)
{
	if (ago >= PULSE_STRIP || ago >= p->closed)
		return 0;
	return row->strip[(p->closed - 1 - ago) % PULSE_STRIP];
}

void pulse_done(struct pulse *p)
{
	keys_done(&p->keys);
	free(p->rows);
	*p = (struct pulse){ .closed = 0 };
}
