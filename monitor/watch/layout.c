/* SPDX-License-Identifier: MIT */
/* Layout: the ordered map of regions, cut and moved.  See layout.h. */

#include "watch/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "watch/layout-tree.h"

/* Regions are disjoint: their order is that of their beginnings. */
static int by_address(const struct region *a, const struct region *b)
{
	return a->r.lo < b->r.lo ? -1 : a->r.lo > b->r.lo;
}

RB_GENERATE_INTERNAL(region_tree, region, node, by_address, __attribute__((unused)) static)

static struct region_tree *tree_of(const struct layout *l)
{
	return (struct region_tree *)(uintptr_t)&l->tree;
}

void layout_init(struct layout *l, size_t limit)
{
	*l = (struct layout){ .limit = limit };
	RB_INIT(&l->tree);
}

void region_free(struct region *r)
{
	if (!r)
		return;
	free(r->name);
	free(r);
}

void layout_done(struct layout *l)
{
	struct region *r, *next;

	RB_FOREACH_SAFE(r, region_tree, &l->tree, next) {
		RB_REMOVE(region_tree, &l->tree, r);
		region_free(r);
	}
	l->n = 0;
}

struct region *layout_from(const struct layout *l, uint64_t addr)
{
	struct region want = { .r = { .lo = addr } }, *r, *before;

	r = RB_NFIND(region_tree, tree_of(l), &want);
	before = r ? RB_PREV(region_tree, NULL, r) : RB_MAX(region_tree, tree_of(l));
	return before && before->r.hi > addr ? before : r;
}

struct region *layout_find(const struct layout *l, uint64_t addr)
{
	struct region *r = layout_from(l, addr);

	return r && r->r.lo <= addr ? r : NULL;
}

struct region *layout_next(const struct layout *l, const struct region *r)
{
	(void)l;
	return RB_NEXT(region_tree, NULL, (struct region *)(uintptr_t)r);
}

struct region *region_copy(const struct region *from, struct range r)
{
	struct region *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = *from;
	c->armed = range_common(from->armed, r);
	c->name = NULL;
	if (from->name_len) {
		c->name = malloc(from->name_len);
		if (!c->name) {
			free(c);
			return NULL;
		}
		memcpy(c->name, from->name, from->name_len);
	}
	if (from->ino)
		c->off = from->off + (r.lo - from->r.lo);
	c->r = r;
	return c;
}

void layout_link(struct layout *l, struct region *r)
{
	RB_INSERT(region_tree, &l->tree, r);
	l->n++;
}

void layout_unlink(struct layout *l, struct region *r)
{
	RB_REMOVE(region_tree, &l->tree, r);
	l->n--;
}

/* Give a linked region other bounds; the caller keeps the order. */
void region_resize(struct region *r, struct range to)
{
	if (r->ino)
		r->off += to.lo - r->r.lo;
	r->r = to;
}

/* The middle falls out: the lower piece keeps the id, the upper gets a new one. */
static void cut_middle(struct layout *l, struct region *g, struct region *upper, struct range r,
		       uint32_t *next_id, layout_notify notify, void *arg)
{
	upper->id = (*next_id)++;
	region_resize(g, (struct range){ g->r.lo, r.lo });
	g->armed = range_common(g->armed, g->r);
	notify(arg, VMA_OP_CHANGE, g);
	layout_link(l, upper);
	notify(arg, VMA_OP_ADD, upper);
}

int layout_cut(struct layout *l, struct range r, uint32_t *next_id, layout_notify notify,
	       void *arg)
{
	struct region *g = layout_from(l, r.lo), *next, *upper;

	if (range_empty(r) || !g)
		return 0;
	if (g->r.lo < r.lo && g->r.hi > r.hi) {
		if (l->n >= l->limit)
			return -EOVERFLOW;
		upper = region_copy(g, (struct range){ r.hi, g->r.hi });
		if (!upper)
			return -ENOMEM;
		cut_middle(l, g, upper, r, next_id, notify, arg);
		return 0;
	}
	for (; g && g->r.lo < r.hi; g = next) {
		next = layout_next(l, g);
		if (range_contains(r, g->r)) {
			layout_unlink(l, g);
			notify(arg, VMA_OP_GONE, g);
			region_free(g);
		} else if (range_overlaps(r, g->r)) {
			region_resize(g, g->r.lo < r.lo ? (struct range){ g->r.lo, r.lo } :
							  (struct range){ r.hi, g->r.hi });
			g->armed = range_common(g->armed, g->r);
			notify(arg, VMA_OP_CHANGE, g);
		}
	}
	return 0;
}

static void drop_list(struct region **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		region_free(v[i]);
	free(v);
}

/* Copies of what lies in `from`, already at their new place. */
static int copy_moved(const struct layout *l, struct range from, uint64_t to,
		      struct region ***ret, size_t *ret_n)
{
	struct region **v = NULL;
	size_t n = 0, room = 0;

	for (struct region *g = layout_from(l, from.lo); g && g->r.lo < from.hi;
	     g = layout_next(l, g)) {
		struct range part = range_common(g->r, from);
		struct region *c, **bigger;

		if (n == room) {
			room = room ? room * 2 : 8;
			bigger = realloc(v, room * sizeof(struct region *));
			if (!bigger)
				goto no_memory;
			v = bigger;
		}
		c = region_copy(g, part);
		if (!c)
			goto no_memory;
		if (!range_empty(c->armed)) {
			c->armed.lo += to - from.lo;
			c->armed.hi += to - from.lo;
		}
		/* The kernel tells of what is registered alone: then it is, after all. */
		c->again |= !c->modes;
		c->r = (struct range){ to + (part.lo - from.lo), to + (part.hi - from.lo) };
		v[n++] = c;
	}
	*ret = v;
	*ret_n = n;
	return 0;
no_memory:
	drop_list(v, n);
	return -ENOMEM;
}

int layout_move(struct layout *l, struct range from, uint64_t to, uint32_t *next_id,
		layout_notify notify, void *arg)
{
	struct region **v;
	size_t n;
	int r;

	if (range_empty(from))
		return 0;
	r = copy_moved(l, from, to, &v, &n);
	if (r < 0)
		return r;
	if (l->n + n + 2 > l->limit) {
		drop_list(v, n);
		return -EOVERFLOW;
	}
	r = layout_cut(l, (struct range){ to, to + range_len(from) }, next_id, notify, arg);
	if (!r)
		r = layout_cut(l, from, next_id, notify, arg);
	if (r < 0) {
		drop_list(v, n);
		return r;
	}
	for (size_t i = 0; i < n; i++) {
		v[i]->id = (*next_id)++;
		layout_link(l, v[i]);
		notify(arg, VMA_OP_ADD, v[i]);
	}
	free(v);
	return 0;
}

int layout_clone(struct layout *ret, const struct layout *l, uint32_t *next_id,
		 layout_notify notify, void *arg)
{
	layout_init(ret, l->limit);
	for (struct region *g = layout_from(l, 0); g; g = layout_next(l, g)) {
		struct region *c = region_copy(g, g->r);

		if (!c) {
			layout_done(ret);
			return -ENOMEM;
		}
		c->id = (*next_id)++;
		layout_link(ret, c);
	}
	for (struct region *g = layout_from(ret, 0); g; g = layout_next(ret, g))
		notify(arg, VMA_OP_SNAPSHOT, g);
	return 0;
}
