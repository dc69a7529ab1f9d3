/* SPDX-License-Identifier: MIT */
/* Doubt: ranges that a scan cannot be relied on for.  See doubt.h. */

#include "watch/doubt.h"

#include <stddef.h>
#include <string.h>

static struct doubt both(const struct doubt *a, const struct doubt *b)
{
	return (struct doubt){
		.r.lo = a->r.lo < b->r.lo ? a->r.lo : b->r.lo,
		.r.hi = a->r.hi > b->r.hi ? a->r.hi : b->r.hi,
		.since = a->since < b->since ? a->since : b->since,
		.until = a->until > b->until ? a->until : b->until,
	};
}

static void take_out(struct doubts *d, unsigned int i, unsigned int n)
{
	memmove(&d->v[i], &d->v[i + n], (d->n - i - n) * sizeof(d->v[0]));
	d->n -= n;
}

/* The two that lie closest to one another become one. */
static void make_room(struct doubts *d)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i + 1 < d->n; i++)
		if (d->v[i + 1].r.lo - d->v[i].r.hi < d->v[best + 1].r.lo - d->v[best].r.hi)
			best = i;
	d->v[best] = both(&d->v[best], &d->v[best + 1]);
	take_out(d, best + 1, 1);
}

void doubt_add(struct doubts *d, struct doubt one)
{
	unsigned int i = 0, n = 0;

	if (range_empty(one.r))
		return;
	while (i < d->n && d->v[i].r.hi < one.r.lo)
		i++;
	for (; i + n < d->n && d->v[i + n].r.lo <= one.r.hi; n++)
		one = both(&one, &d->v[i + n]);
	if (n) {
		d->v[i] = one;
		take_out(d, i + 1, n - 1);
		return;
	}
	if (d->n == DOUBTS_MAX) {
		make_room(d);
		doubt_add(d, one);
		return;
	}
	memmove(&d->v[i + 1], &d->v[i], (d->n - i) * sizeof(d->v[0]));
	d->v[i] = one;
	d->n++;
}

const struct doubt *doubt_first(const struct doubts *d, struct range r, struct range *ret)
{
	for (unsigned int i = 0; i < d->n && d->v[i].r.lo < r.hi; i++) {
		*ret = range_common(d->v[i].r, r);
		if (!range_empty(*ret))
			return &d->v[i];
	}
	return NULL;
}

void doubt_copy(struct doubts *d, struct range from, uint64_t to)
{
	struct range part, rest = from;
	const struct doubt *found;
	struct doubt one;

	while ((found = doubt_first(d, rest, &part))) {
		one = *found;
		one.r.lo = to + (part.lo - from.lo);
		one.r.hi = to + (part.hi - from.lo);
		rest.lo = part.hi;
		doubt_add(d, one);
	}
}

void doubt_scanned(struct doubts *d, uint64_t begun)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n; i++) {
		if (d->v[i].until < begun)
			continue;
		d->v[n] = d->v[i];
		if (d->v[n].since < begun)
			d->v[n].since = begun;
		n++;
	}
	d->n = n;
}
