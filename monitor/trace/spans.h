/* SPDX-License-Identifier: MIT */
/*
 * Spans: a set of numbers (pages, ids) as disjoint half-open spans, in order.
 *
 * Pure.  A red-black tree; neighbours melt together, so memory goes with the number
 * of changes and never with the length of a span that a trace claims.
 */
#ifndef TRACE_SPANS_H
#define TRACE_SPANS_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span_node {
	RB_ENTRY(span_node) node;
	uint64_t lo, hi;
};

RB_HEAD(spans_tree, span_node);

struct spans {
	struct spans_tree tree;
	size_t n;
};

void spans_init(struct spans *s);
void spans_done(struct spans *s);
bool spans_has(const struct spans *s, uint64_t v);
/* Is any / every number of [lo, hi) in the set? */
bool spans_any(const struct spans *s, uint64_t lo, uint64_t hi);
bool spans_all(const struct spans *s, uint64_t lo, uint64_t hi);
/* -ENOMEM: nothing changed. */
int spans_add(struct spans *s, uint64_t lo, uint64_t hi);
/* -ENOMEM (a span is cut in two): nothing changed. */
int spans_remove(struct spans *s, uint64_t lo, uint64_t hi);
/*
 * What is of [lo, hi) in the set is now the same distance behind `to`; what was there
 * before is gone.  -ENOMEM: partly done.
 */
int spans_move(struct spans *s, uint64_t lo, uint64_t hi, uint64_t to);
/* Into an empty set.  -ENOMEM: partly done. */
int spans_copy(struct spans *to, const struct spans *from);

#endif
