/* SPDX-License-Identifier: MIT */
/* Spans: a set of numbers in a red-black tree.  See spans.h. */

#include "trace/spans.h"

#include <errno.h>
#include <stdlib.h>

static int compare(const struct span_node *a, const struct span_node *b)
{
	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

RB_GENERATE_INTERNAL(spans_tree, span_node, node, compare, __attribute__((unused)) static)

void spans_init(struct spans *s)
{
	RB_INIT(&s->tree);
	s->n = 0;
}

static void drop(struct spans *s, struct span_node *n)
{
	RB_REMOVE(spans_tree, &s->tree, n);
	s->n--;
	free(n);
}

void spans_done(struct spans *s)
{
	struct span_node *n;

	while ((n = RB_ROOT(&s->tree)))
		drop(s, n);
}

/* The first span that ends behind v: the one that holds v, or the next one. */
static struct span_node *from(const struct spans *s, uint64_t v)
{
	struct span_node *n = RB_ROOT(&s->tree), *best = NULL;

	while (n) {
		if (n->hi > v) {
			best = n;
			n = RB_LEFT(n, node);
		} else {
			n = RB_RIGHT(n, node);
		}
	}
	return best;
}

bool spans_any(const struct spans *s, uint64_t lo, uint64_t hi)
{
	const struct span_node *n = from(s, lo);

	return n && n->lo < hi && lo < hi;
}

bool spans_all(const struct spans *s, uint64_t lo, uint64_t hi)
{
	const struct span_node *n = from(s, lo);

	return lo >= hi || (n && n->lo <= lo && n->hi >= hi);
}

bool spans_has(const struct spans *s, uint64_t v)
{
	const struct span_node *n = from(s, v);

	return n && n->lo <= v;
}

static int insert(struct spans *s, uint64_t lo, uint64_t hi)
{
	struct span_node *n = malloc(sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->lo = lo;
	n->hi = hi;
	RB_INSERT(spans_tree, &s->tree, n);
	s->n++;
	return 0;
}

int spans_add(struct spans *s, uint64_t lo, uint64_t hi)
{
	/* What touches [lo, hi) melts into it; so look one to the left as well. */
	struct span_node *n = from(s, lo ? lo - 1 : 0), *next;

	if (lo >= hi)
		return 0;
	if (!n || n->lo > hi)
		return insert(s, lo, hi);
	/* Growing to the left keeps the order: nothing lies between. */
	if (lo < n->lo)
		n->lo = lo;
	if (hi > n->hi)
		n->hi = hi;
	while ((next = RB_NEXT(spans_tree, &s->tree, n)) && next->lo <= n->hi) {
		if (next->hi > n->hi)
			n->hi = next->hi;
		drop(s, next);
	}
	return 0;
}

int spans_remove(struct spans *s, uint64_t lo, uint64_t hi)
{
	struct span_node *n = from(s, lo), *next;
	uint64_t end;

	for (; n && n->lo < hi && lo < hi; n = next) {
		next = RB_NEXT(spans_tree, &s->tree, n);
		end = n->hi;
		if (n->lo < lo && end > hi) {
			n->hi = lo;
			if (insert(s, hi, end) < 0) {
				n->hi = end;
				return -ENOMEM;
			}
		} else if (n->lo < lo) {
			n->hi = lo;
		} else if (end > hi) {
			n->lo = hi;
		} else {
			drop(s, n);
		}
	}
	return 0;
}

int spans_move(struct spans *s, uint64_t lo, uint64_t hi, uint64_t to)
{
	struct spans moved;
	struct span_node *n;
	int r = 0;

	spans_init(&moved);
	for (n = from(s, lo); n && n->lo < hi && !r; n = RB_NEXT(spans_tree, &s->tree, n))
		r = insert(&moved, (n->lo > lo ? n->lo - lo : 0) + to,
			   (n->hi < hi ? n->hi : hi) - lo + to);
	if (!r)
		r = spans_remove(s, lo, hi);
	if (!r)
		r = spans_remove(s, to, to + (hi - lo));
	for (n = RB_MIN(spans_tree, &moved.tree); n && !r; n = RB_NEXT(spans_tree, &moved.tree, n))
		r = spans_add(s, n->lo, n->hi);
	spans_done(&moved);
	return r;
}

int spans_copy(struct spans *to, const struct spans *other)
{
	const struct span_node *n;
	int r = 0;

	for (n = from(other, 0); n && !r; n = RB_NEXT(spans_tree, &other->tree,
						      (struct span_node *)n))
		r = insert(to, n->lo, n->hi);
	return r;
}
