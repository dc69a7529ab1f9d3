/* SPDX-License-Identifier: MIT */
/*
 * Enrol: registration of one mapping, and never of a part of one.
 *
 * UFFDIO_REGISTER over a part of a mapping splits it, and for good: neighbours merge
 * again only if they share their anon_vma, and as long as one of two pieces alone is
 * registered, each gets its own at its first write (anon_vma_compatible() compares
 * the flags).  An mremap(2) across the two then fails with EFAULT, also after the
 * monitor has gone.  A layout that was read a millisecond ago is too old: where
 * threads map and unmap, other mappings stand at its bounds.  So they are asked of
 * the kernel again right before (PROCMAP_QUERY, Linux 6.11).
 *
 * For the same reason a range of the user's (-a) does not cut a mapping where only
 * write protection is wanted: the whole is registered, which costs nothing, and the
 * part is armed.  A missing page of the whole would be told, so those are cut.
 */

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "watch/space.h"
#include "watch/uffd.h"

/* Mappings that a target may be short of vm.max_map_count when we split one. */
#define SPARE_MAPPINGS 64

uint64_t enrol_limit(void)
{
	_fclose_ FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long n;

	return f && fscanf(f, "%lu", &n) == 1 ? n : 65530;
}

/* -ESTALE: another mapping stands there now, or it has other bounds. */
static int still_there(struct space *s, struct range r)
{
	struct maps *m = &s->shared->now;
	int e = s->text_only ? -ENOTTY : maps_query(s->mapsfd, r, SIZE_MAX, m);

	if (e == -ENOTTY)
		return 0;
	if (e < 0)
		return e;
	return m->n && m->v[0].lo == r.lo && m->v[m->n - 1].hi == r.hi ? 0 : -ESTALE;
}

static struct range part_of(const struct region *g, struct range wanted)
{
	struct range part = {
		align_down(wanted.lo, g->page_size),
		align_up(wanted.hi, g->page_size),
	};

	return range_common(part, g->r);
}

static int enrol_parts(struct space *s, const struct region *g, uint32_t modes)
{
	const struct watch_filter *f = s->filter;
	int r = 0;

	if (s->layout.n + 2 * f->nr_ranges + SPARE_MAPPINGS > s->shared->max_mappings)
		return -ENOMEM;
	for (unsigned int i = 0; i < f->nr_ranges && !r; i++) {
		struct range part = part_of(g, f->ranges[i]);

		if (!range_empty(part))
			r = uffd_register(s->uffd, part, modes);
	}
	return r;
}

static bool wanted(const struct space *s, const struct region *g)
{
	const struct watch_filter *f = s->filter;

	for (unsigned int i = 0; i < f->nr_ranges; i++)
		if (!range_empty(part_of(g, f->ranges[i])))
			return true;
	return !f->nr_ranges;
}

enum vma_why enrol_refusal(int error)
{
	return error == -EBUSY ? WHY_BUSY : error == -EPERM ? WHY_READ_ONLY_FD : WHY_REFUSED;
}

int enrol(struct space *s, const struct region *g, uint32_t modes)
{
	int r;

	if (!wanted(s, g))
		return 0;
	r = still_there(s, g->r);
	if (r < 0)
		return r;
	if (s->filter->nr_ranges && modes & ~(uint32_t)WATCH_MODE_WRITE)
		return enrol_parts(s, g, modes);
	return uffd_register(s->uffd, g->r, modes);
}
