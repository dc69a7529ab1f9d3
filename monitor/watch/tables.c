/* SPDX-License-Identifier: MIT */
/*
 * Tables: what arming costs the targets in page tables.
 *
 * An empty page is protected by a marker in its page table entry
 * (UFFD_FEATURE_WP_UNPOPULATED), so arming fills page tables, 2 MiB for each GiB, however
 * empty the mapping is: terabytes of shadow memory, say of a sanitizer, would cost
 * gigabytes of tables.  A mapping larger than the machine's memory is left alone, and of
 * all targets together no more is armed so than TABLES_SHARE times the memory: with pages
 * of 4 KiB one part in 32 of the memory goes into tables.  What the user names by address
 * (-a) is not asked.
 */

#include "watch/space.h"

#define TABLES_SHARE 16

/* Private memory without protection where there is no page: see census_kind(). */
static bool costs(const struct space *s, const struct region *g)
{
	return !s->filter->nr_ranges && !(s->async && census_is_lazy(g));
}

static void uncount(struct space *s, uint64_t bytes)
{
	bytes = bytes < s->tabled ? bytes : s->tabled;
	s->tabled -= bytes;
	s->shared->tabled -= bytes;
}

void tables_forget(struct space *s, struct region *g)
{
	uncount(s, g->tabled);
	g->tabled = 0;
}

bool tables_admit(struct space *s, struct region *g, bool arm)
{
	uint64_t len = range_len(g->r), most = s->shared->memory;

	tables_forget(s, g);
	if (!costs(s, g))
		return true;
	if (len > most)
		return false;
	if (!arm)
		return true;
	if (s->shared->tabled + len > most * TABLES_SHARE)
		return false;
	g->tabled = len;
	s->tabled += len;
	s->shared->tabled += len;
	return true;
}

void tables_recount(struct space *s)
{
	uint64_t sum = 0;

	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g)) {
		g->tabled = g->tabled && g->modes && g->arm ? range_len(g->r) : 0;
		sum += g->tabled;
	}
	s->shared->tabled += sum - s->tabled;
	s->tabled = sum;
}
