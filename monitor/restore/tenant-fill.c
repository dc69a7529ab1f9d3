/* SPDX-License-Identifier: MIT */
/* Tenant: what comes next, and copied without anybody waiting for it.  See tenant.h. */

#include <sys/mman.h>

#include "restore/tenant-parts.h"
#include "restore/tenant.h"

/* Some of what was touched first in an earlier run may be free still.  Under the lock. */
static bool is_hot(const struct tenant *t)
{
	return t->hot && t->hot_at < t->hot->n;
}

/*
 * The next free part: of what was touched first, then of the rest.  By the addresses of the
 * image: what has moved comes with the rest.  Under the lock.
 */
static bool next_part(struct tenant *t, uint64_t most, struct owed_part *ret)
{
	for (; is_hot(t); t->hot_at++) {
		struct range hot = t->hot->v[t->hot_at];

		if (!owed_next(&t->owed, hot.lo, most, ret) || ret->at.lo >= hot.hi)
			continue;
		if (ret->at.hi > hot.hi)
			ret->at.hi = hot.hi;
		return true;
	}
	if (t->leave)
		return false;
	return owed_next(&t->owed, t->cursor, most, ret) ||
	       (t->cursor && owed_next(&t->owed, 0, most, ret));
}

bool tenant_has_work(struct tenant *t)
{
	bool work;

	if (t->gone || t->deaf)
		return false;
	pthread_mutex_lock(&t->lock);
	work = t->owed.totals.free > 0 && (!t->leave || is_hot(t));
	pthread_mutex_unlock(&t->lock);
	return work;
}

bool tenant_is_hot(struct tenant *t)
{
	bool hot;

	if (!t->hot)
		return false;
	pthread_mutex_lock(&t->lock);
	hot = is_hot(t) && t->owed.totals.free;
	pthread_mutex_unlock(&t->lock);
	return hot;
}

bool tenant_rests(struct tenant *t)
{
	return t->gone || (t->leave && !tenant_is_hot(t));
}

/* The next free part, in flight as `id`; false: none. */
static bool take_next(struct tenant *t, uint64_t most, uint64_t id, struct owed_part *ret,
		      struct source_want *ret_want)
{
	bool found;

	pthread_mutex_lock(&t->lock);
	found = next_part(t, most, ret);
	ret->id = id;
	found = found && tenant_want(t, ret, ret_want);
	if (found) {
		if (!is_hot(t))
			t->cursor = ret->at.hi;
		found = !owed_take(&t->owed, ret->at, id);
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* Looked at together, whether it is in memory. */
#define FETCH_BYTES UINT64_C(262144)

/* Is all of it in memory?  A source that is no file is. */
static bool resident(const void *data, uint64_t len)
{
	unsigned char there[SOURCE_PAGES_MAX];

	if (mincore((void *)(uintptr_t)data, len, there) < 0)
		return true;
	for (uint64_t i = 0; i < len / IMAGE_PAGE; i++)
		if (!(there[i] & 1))
			return false;
	return true;
}

/*
 * What has to come from the disk comes now: in here nobody waits for us to leave the
 * gate.  What is in memory the kernel finds as quickly while it copies.  Looked at once for
 * many small copies: that costs as much as the copy of a page.
 */
static void fetch(struct tenant *t, struct source *s)
{
	static _Thread_local const char *from, *to;	/* looked at last */
	struct source_want want;
	struct owed_part part;
	const char *data;

	pthread_mutex_lock(&t->lock);
	part.at = (struct range){ 0, 0 };
	if (!next_part(t, FETCH_BYTES, &part) || !tenant_want(t, &part, &want))
		part.at = (struct range){ 0, 0 };
	pthread_mutex_unlock(&t->lock);
	if (range_empty(part.at))
		return;
	data = s->ops->at(s, &want);
	if (!data || (data >= from && data < to))
		return;
	from = data;
	to = data + range_len(part.at);
#ifdef MADV_POPULATE_READ	/* 5.14 */
	if (!resident(data, range_len(part.at)))
		madvise((void *)(uintptr_t)data, range_len(part.at), MADV_POPULATE_READ);
#endif
}

/*
 * The front of a part, step by step, for as long as nobody wants to read messages; the rest of
 * what was not to be had that way is for tenant_place().
 */
static enum place_end place_steps(struct tenant *t, struct owed_part *part, const char **data,
				  uint64_t step)
{
	struct range rest = part->at, some;
	enum place_end end = PLACE_ALL;
	uint64_t done;

	while (end == PLACE_ALL && !range_empty(rest)) {
		if (rest.lo != part->at.lo && gate_wanted(&t->gate))
			break;
		some = rest;
		if (range_len(some) > step)
			some.hi = some.lo + step;
		end = place_copy(t->uffd, some, *data, t->wp, &done);
		rest.lo += done;
		*data += done;
	}
	tenant_close_part(t, (struct range){ part->at.lo, rest.lo }, OWED_ARRIVED);
	part->image += rest.lo - part->at.lo;
	part->at = rest;
	return end;
}

static enum place_end fill_part(struct tenant *t, struct owed_part *part, const char *data,
				uint64_t step)
{
	enum place_end end = place_steps(t, part, &data, step);

	if (end != PLACE_ALL)
		return tenant_place(t, part, data, NULL);
	if (range_empty(part->at))
		return end;
	pthread_mutex_lock(&t->lock);
	owed_give_back(&t->owed, part->at);
	if (t->cursor == part->at.hi)
		t->cursor = part->at.lo;
	pthread_mutex_unlock(&t->lock);
	return end;
}

enum tenant_fill tenant_fill(struct tenant *t, struct source *s, uint64_t most, uint64_t step,
			     uint64_t id)
{
	enum tenant_fill r = TENANT_NOTHING;
	struct source_want want;
	struct owed_part part;

	if (t->gone || t->deaf)
		return TENANT_GONE;
	fetch(t, s);
	if (!gate_enter(&t->gate))
		return TENANT_BUSY;
	if (take_next(t, most, id, &part, &want)) {
		switch (fill_part(t, &part, s->ops->at(s, &want), step)) {
		case PLACE_BUSY:
		case PLACE_NO_MEMORY:
			r = TENANT_BUSY;
			break;
		case PLACE_GONE:
			r = TENANT_GONE;
			break;
		default:
			r = TENANT_FILLED;
		}
	}
	gate_leave(&t->gate);
	return r;
}

bool tenant_next_want(struct tenant *t, uint32_t npages, uint64_t id, struct source_want *ret)
{
	struct owed_part part;

	return take_next(t, npages * IMAGE_PAGE, id, &part, ret);
}
