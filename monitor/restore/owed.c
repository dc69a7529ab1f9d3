/* SPDX-License-Identifier: MIT */
/* Owed: runs of pages that are still to come, in a tree.  See owed.h. */

#include "restore/owed.h"

#include <errno.h>
#include <stdlib.h>

/* Cuts of one call, at both ends of each of two ranges, and something for the next. */
#define SPARE_RUNS 6

struct owed_run {
	RB_ENTRY(owed_run) node;
	RB_ENTRY(owed_run) flight;	/* linked only if id */
	struct range at;
	uint64_t image;
	uint64_t id;
	bool moved;			/* by mremap, to where it is now */
	bool doubt;
	struct owed_run *next_spare;
};

static int by_address(const struct owed_run *a, const struct owed_run *b)
{
	return a->at.lo < b->at.lo ? -1 : a->at.lo > b->at.lo;
}

/* Two runs of one flight may hold the same page of the image: never, but the order is whole. */
static int by_flight(const struct owed_run *a, const struct owed_run *b)
{
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	if (a->image != b->image)
		return a->image < b->image ? -1 : 1;
	return by_address(a, b);
}

RB_GENERATE_INTERNAL(owed_tree, owed_run, node, by_address, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(owed_flights, owed_run, flight, by_flight, __attribute__((unused)) static)

/* The trees' finders take no const. */
static struct owed_tree *runs_of(const struct owed *o)
{
	return (struct owed_tree *)(uintptr_t)&o->runs;
}

static void spare_put(struct owed *o, struct owed_run *k)
{
	if (o->nspare >= SPARE_RUNS) {
		free(k);
		return;
	}
	k->next_spare = o->spare;
	o->spare = k;
	o->nspare++;
}

/* At least n in store; more, if there is memory. */
static int spare_fill(struct owed *o, unsigned int n)
{
	while (o->nspare < SPARE_RUNS) {
		struct owed_run *k = malloc(sizeof(*k));

		if (!k)
			return o->nspare >= n ? 0 : -ENOMEM;
		spare_put(o, k);
	}
	return 0;
}

static struct owed_run *spare_take(struct owed *o)
{
	struct owed_run *k = o->spare;

	o->spare = k->next_spare;
	o->nspare--;
	return k;
}

int owed_init(struct owed *o, uint32_t page_size)
{
	int r;

	*o = (struct owed){ .page_size = page_size };
	r = spare_fill(o, SPARE_RUNS);
	if (r < 0)
		owed_done(o);
	return r;
}

void owed_done(struct owed *o)
{
	struct owed_run *k, *next;

	RB_FOREACH_SAFE(k, owed_tree, &o->runs, next) {
		RB_REMOVE(owed_tree, &o->runs, k);
		free(k);
	}
	while (o->nspare)
		free(spare_take(o));
	*o = (struct owed){ .page_size = o->page_size };
}

static uint64_t pages(const struct owed *o, struct range r)
{
	return range_len(r) / o->page_size;
}

static uint64_t *state_total(struct owed *o, const struct owed_run *k)
{
	return k->id ? &o->totals.flight : &o->totals.free;
}

static void run_link(struct owed *o, struct owed_run *k)
{
	RB_INSERT(owed_tree, &o->runs, k);
	if (k->id)
		RB_INSERT(owed_flights, &o->flights, k);
	*state_total(o, k) += pages(o, k->at);
	o->nruns++;
}

static void run_unlink(struct owed *o, struct owed_run *k)
{
	RB_REMOVE(owed_tree, &o->runs, k);
	if (k->id)
		RB_REMOVE(owed_flights, &o->flights, k);
	*state_total(o, k) -= pages(o, k->at);
	o->nruns--;
}

/* The run that holds addr, or the first one behind it. */
static struct owed_run *run_from(const struct owed *o, uint64_t addr)
{
	struct owed_run want = { .at = { addr, addr } }, *k, *before;

	k = RB_NFIND(owed_tree, runs_of(o), &want);
	if (k && k->at.lo == addr)
		return k;
	before = k ? RB_PREV(owed_tree, NULL, k) : RB_MAX(owed_tree, runs_of(o));
	return before && before->at.hi > addr ? before : k;
}

/* No run crosses addr any more.  Takes at most one of the store. */
static void cut(struct owed *o, uint64_t addr)
{
	struct owed_run *k = run_from(o, addr), *tail;

	if (!k || k->at.lo >= addr)
		return;
	tail = spare_take(o);
	*tail = *k;
	run_unlink(o, k);
	k->at.hi = addr;
	tail->at.lo = addr;
	tail->image += range_len(k->at);
	run_link(o, k);
	run_link(o, tail);
}

/* The next one follows k in every respect: k takes it in.  Returns k. */
static struct owed_run *join(struct owed *o, struct owed_run *k, struct owed_run *next)
{
	if (!k || !next || k->id || next->id || k->at.hi != next->at.lo ||
	    k->moved != next->moved || k->doubt != next->doubt ||
	    k->image + range_len(k->at) != next->image)
		return next;
	run_unlink(o, k);
	run_unlink(o, next);
	k->at.hi = next->at.hi;
	run_link(o, k);
	spare_put(o, next);
	return k;
}

static void join_around(struct owed *o, struct owed_run *k)
{
	k = join(o, RB_PREV(owed_tree, NULL, k), k);
	join(o, k, RB_NEXT(owed_tree, NULL, k));
}

static bool whole(const struct owed *o, struct range r)
{
	return !range_empty(r) && !((r.lo | r.hi) & (o->page_size - 1));
}

/* From now on no run crosses an end of r.  1; 0: r is no range of pages; -ENOMEM. */
static int cut_around(struct owed *o, struct range r)
{
	if (!whole(o, r))
		return 0;
	if (spare_fill(o, 2) < 0)
		return -ENOMEM;
	cut(o, r.lo);
	cut(o, r.hi);
	return 1;
}

int owed_add(struct owed *o, struct range at, uint64_t image)
{
	return owed_put(o, &(struct owed_part){ .at = at, .image = image });
}

int owed_put(struct owed *o, const struct owed_part *part)
{
	const struct range at = part->at;
	struct owed_run *k = run_from(o, at.lo);
	struct range there;

	if (!whole(o, at) || (part->image & (o->page_size - 1)) ||
	    !range_make(part->image, range_len(at), &there))
		return -EINVAL;
	if (k && k->at.lo < at.hi)
		return -EEXIST;
	if (spare_fill(o, 1) < 0)
		return -ENOMEM;
	k = spare_take(o);
	*k = (struct owed_run){
		.at = at, .image = part->image, .moved = part->moved, .doubt = part->doubt,
	};
	run_link(o, k);
	o->totals.added += pages(o, at);
	join_around(o, k);
	return 0;
}

int owed_clone(struct owed *ret, const struct owed *o)
{
	struct owed_run *from, *k;
	struct owed copy;

	if (owed_init(&copy, o->page_size) < 0)
		goto no_memory;
	RB_FOREACH(from, owed_tree, runs_of(o)) {
		if (spare_fill(&copy, 1) < 0) {
			owed_done(&copy);
			goto no_memory;
		}
		k = spare_take(&copy);
		*k = *from;
		k->id = 0;
		run_link(&copy, k);
		copy.totals.added += pages(o, k->at);
	}
	*ret = copy;
	return 0;
no_memory:
	*ret = (struct owed){ .page_size = o->page_size };
	return -ENOMEM;
}

static struct owed_part part_of(const struct owed_run *k, uint64_t lo, uint64_t hi)
{
	return (struct owed_part){
		.at = { lo, hi },
		.image = k->image + (lo - k->at.lo),
		.id = k->id,
		.doubt = k->doubt,
		.moved = k->moved,
	};
}

bool owed_run(const struct owed *o, uint64_t from, struct owed_part *ret)
{
	struct owed_run *k = run_from(o, from);

	if (!k)
		return false;
	*ret = part_of(k, k->at.lo, k->at.hi);
	return true;
}

bool owed_find(const struct owed *o, uint64_t addr, struct owed_part *ret)
{
	struct owed_run *k = run_from(o, addr);

	if (!k || k->at.lo > addr)
		return false;
	*ret = part_of(k, k->at.lo, k->at.hi);
	return true;
}

bool owed_next(const struct owed *o, uint64_t from, uint64_t most, struct owed_part *ret)
{
	struct owed_run *k = run_from(o, from);
	uint64_t lo, hi;

	/* In flight is no more than there are who fly. */
	while (k && k->id)
		k = RB_NEXT(owed_tree, NULL, k);
	if (!k)
		return false;
	lo = k->at.lo > from ? k->at.lo : from;
	hi = k->at.hi - lo > most ? lo + most : k->at.hi;
	*ret = part_of(k, lo, hi);
	return true;
}

int owed_take(struct owed *o, struct range r, uint64_t id)
{
	struct owed_run *k;
	uint64_t at = r.lo;

	if (!whole(o, r) || !id)
		return -EINVAL;
	for (k = run_from(o, at); k && k->at.lo <= at && !k->id && at < r.hi;
	     k = RB_NEXT(owed_tree, NULL, k))
		at = k->at.hi;
	if (at < r.hi)
		return -ENOENT;
	if (cut_around(o, r) < 0)
		return -ENOMEM;
	for (k = run_from(o, r.lo); k && k->at.lo < r.hi; k = RB_NEXT(owed_tree, NULL, k)) {
		o->totals.free -= pages(o, k->at);
		o->totals.flight += pages(o, k->at);
		k->id = id;
		RB_INSERT(owed_flights, &o->flights, k);
	}
	return 0;
}

bool owed_flight(const struct owed *o, uint64_t id, uint64_t image, struct owed_part *ret)
{
	struct owed_flights *flights = (struct owed_flights *)(uintptr_t)&o->flights;
	struct owed_run want = { .id = id, .image = image }, *k, *before;

	k = RB_NFIND(owed_flights, flights, &want);
	before = k ? RB_PREV(owed_flights, NULL, k) : RB_MAX(owed_flights, flights);
	if (before && before->id == id && before->image + range_len(before->at) > image) {
		*ret = part_of(before, before->at.lo + (image - before->image), before->at.hi);
		return true;
	}
	if (!k || k->id != id)
		return false;
	*ret = part_of(k, k->at.lo, k->at.hi);
	return true;
}

int64_t owed_give_back(struct owed *o, struct range r)
{
	int cuts = cut_around(o, r);
	struct owed_run *k;
	uint64_t at, n = 0;

	if (cuts <= 0)
		return cuts;
	for (at = r.lo; (k = run_from(o, at)) && k->at.lo < r.hi;) {
		at = k->at.hi;
		if (!k->id)
			continue;
		n += pages(o, k->at);
		run_unlink(o, k);
		k->id = 0;
		run_link(o, k);
		join_around(o, k);
	}
	return (int64_t)n;
}

/* Forget what is in r, which no run crosses; with spare_moved only put those in doubt. */
static int64_t forget(struct owed *o, struct range r, enum owed_end why, bool spare_moved)
{
	struct owed_run *k, *next;
	uint64_t n = 0;

	for (k = run_from(o, r.lo); k && k->at.lo < r.hi; k = next) {
		next = RB_NEXT(owed_tree, NULL, k);
		if (spare_moved && k->moved) {
			k->doubt = true;
			continue;
		}
		n += pages(o, k->at);
		run_unlink(o, k);
		spare_put(o, k);
	}
	o->totals.ended[why] += n;
	return (int64_t)n;
}

static int64_t cut_out(struct owed *o, struct range r, enum owed_end why, bool spare_moved)
{
	int cuts = cut_around(o, r);

	return cuts <= 0 ? cuts : forget(o, r, why, spare_moved);
}

int64_t owed_close(struct owed *o, struct range r, enum owed_end why)
{
	return cut_out(o, r, why, false);
}

int64_t owed_unmap(struct owed *o, struct range r)
{
	return cut_out(o, r, OWED_UNMAPPED, true);
}

/* Runs of r out of the tree, on a chain, in order. */
static struct owed_run *pull_out(struct owed *o, struct range r)
{
	struct owed_run *k, *next, *first = NULL, **end = &first;

	for (k = run_from(o, r.lo); k && k->at.lo < r.hi; k = next) {
		next = RB_NEXT(owed_tree, NULL, k);
		run_unlink(o, k);
		k->next_spare = NULL;
		*end = k;
		end = &k->next_spare;
	}
	return first;
}

int owed_remap(struct owed *o, struct range from, uint64_t to)
{
	struct owed_run *chain, *k;
	struct range there;

	if (!whole(o, from) || (to & (o->page_size - 1)) ||
	    !range_make(to, range_len(from), &there))
		return -EINVAL;
	if (spare_fill(o, 4) < 0)
		return -ENOMEM;
	cut(o, from.lo);
	cut(o, from.hi);
	cut(o, there.lo);
	cut(o, there.hi);
	chain = pull_out(o, from);
	forget(o, there, OWED_UNMAPPED, false);
	while ((k = chain)) {
		chain = k->next_spare;
		k->at.hi = to + (k->at.hi - from.lo);
		k->at.lo = to + (k->at.lo - from.lo);
		k->moved = true;
		k->doubt = false;
		run_link(o, k);
	}
	return 0;
}
