/* SPDX-License-Identifier: MIT */
/* Picture: strips of characters.  See picture.h. */

#include "picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RANGE_MAX (UINT64_C(1) << 40)
#define BITS 64

static uint64_t pages(const struct picture *p)
{
	return range_len(p->r) / p->page_size;
}

int picture_init(struct picture *p, struct range r, uint32_t page_size)
{
	memset(p, 0, sizeof(*p));
	if (range_empty(r) || !page_size || r.lo % page_size || r.hi % page_size ||
	    range_len(r) > RANGE_MAX)
		return -EINVAL;
	p->r = r;
	p->page_size = page_size;
	p->seen = calloc((pages(p) + BITS - 1) / BITS, sizeof(*p->seen));
	return p->seen ? 0 : -ENOMEM;
}

void picture_done(struct picture *p)
{
	free(p->seen);
	p->seen = NULL;
}

void picture_add(struct picture *p, uint64_t addr)
{
	uint64_t page, bit;

	if (!range_has(p->r, addr))
		return;
	page = (addr - p->r.lo) / p->page_size;
	bit = UINT64_C(1) << (page % BITS);
	p->faults++;
	/* At most 2^40 / 4096 pages: no overflow. */
	p->column[page * PICTURE_COLUMNS / pages(p)]++;
	if (p->seen[page / BITS] & bit)
		return;
	p->seen[page / BITS] |= bit;
	p->touched++;
}

const char *picture_draw(const struct picture *p, char buf[PICTURE_COLUMNS + 1])
{
	static const char shades[] = " .:-=+*#%@";
	const uint64_t darkest = sizeof(shades) - 2;
	uint64_t most = 1;

	for (unsigned int i = 0; i < PICTURE_COLUMNS; i++)
		most = p->column[i] > most ? p->column[i] : most;
	for (unsigned int i = 0; i < PICTURE_COLUMNS; i++)
		buf[i] = shades[(p->column[i] * darkest + most - 1) / most];
	buf[PICTURE_COLUMNS] = '\0';
	return buf;
}
