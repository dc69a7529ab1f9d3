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
 * the kernel again right before (PROCMAP_QUERY, Linux 6.11), and right after: what has
 * grown, or was replaced, in the microseconds between the two calls is in pieces now, and
 * they become one again when the other piece is registered before both are written.
 *
 * For the same reason a range of the user's (-a) does not cut a mapping where only
 * write protection is wanted: the whole is registered, which costs nothing, and the
 * part is armed.  A missing page of the whole would be told, so those are cut.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
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

/* How often a cut is followed up, where mappings keep changing under us. */
#define MENDS_MAX 4

/* What overlaps r, and what adjoins it. */
static int look_around(struct space *s, struct range r)
{
	uint64_t page = s->shared->page_size;
	struct range around = { r.lo >= page ? r.lo - page : r.lo, r.hi + page };

	return s->text_only ? -ENOTTY : maps_query(s->mapsfd, around, SIZE_MAX, &s->shared->now);
}

/* -ESTALE: another mapping stands there now, or it has other bounds. */
static int still_there(struct space *s, struct range r)
{
	const struct maps *m = &s->shared->now;
	bool begins = false, ends = false;
	int e = look_around(s, r);

	if (e == -ENOTTY)
		return 0;
	if (e < 0)
		return e == -EAGAIN ? -ESTALE : e;
	for (size_t i = 0; i < m->n; i++) {
		begins |= m->v[i].lo == r.lo;
		ends |= m->v[i].hi == r.hi;
	}
	return begins && ends ? 0 : -ESTALE;
}

/* May they have been one mapping? */
static bool is_torn(const struct map_entry *a, const struct map_entry *b)
{
	return a->hi == b->lo && a->prot == b->prot && a->ino == b->ino &&
	       a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       (!a->ino || a->off + (a->hi - a->lo) == b->off) &&
	       a->name_len == b->name_len && !memcmp(a->name, b->name, a->name_len);
}

/* r, with what may have been cut off at its bounds. */
static struct range as_one(const struct maps *m, struct range r)
{
	struct range one = r;

	for (size_t i = 1; i < m->n; i++) {
		if (!is_torn(&m->v[i - 1], &m->v[i]))
			continue;
		if (m->v[i].lo == r.lo)
			one.lo = m->v[i - 1].lo;
		if (m->v[i].lo == r.hi)
			one.hi = m->v[i].hi;
	}
	return one;
}

/*
 * r has been registered.  What adjoins it and is of its kind is registered, too: it would be
 * at the next reading.  Nothing is taken back: a registered mapping may have been moved
 * to there, and a page that is protected in it would be so no more.  -ESTALE: it is
 * one with r now, which is no mapping of the layout then.
 */
static int mend_cut(struct space *s, struct range r, uint32_t modes)
{
	const struct watch_filter *theirs = s->shared->twin_filter;
	struct range done = r, one;

	/* What adjoins may be the other userfaultfd's. */
	if (theirs && theirs->nr_ranges)
		return 0;
	for (int i = 0; i < MENDS_MAX; i++) {
		int e = look_around(s, done);

		if (e == -EAGAIN)
			continue;
		if (e < 0)
			break;
		one = as_one(&s->shared->now, done);
		if (range_len(one) == range_len(done))
			break;
		space_reread(s, clock_now(), 0);
		if (uffd_register(s->uffd, one, modes) < 0)
			break;
		done = one;
	}
	return range_len(done) == range_len(r) ? 0 : still_there(s, r);
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
	r = uffd_register(s->uffd, g->r, modes);
	/* Is that said of this mapping, or of what stands there, or stands no more, since? */
	if (r < 0 && !s->text_only) {
		int e = still_there(s, g->r);

		r = e < 0 ? e : uffd_register(s->uffd, g->r, modes);
	}
	return r ? r : mend_cut(s, g->r, modes);
}
