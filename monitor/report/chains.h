/* SPDX-License-Identifier: MIT */
/*
 * Chains: stacks folded to a tree, with counts.
 *
 * Pure.  A chain goes in outermost frame first, with how often it was seen; what begins alike
 * is one.  Two frames are alike if function and module are.  Beside the tree each function has
 * a row of its own: how much it did itself, how much with all that it called, each chain
 * counted once, and at which source line most.  Words are copied, and made harmless.
 */
#ifndef REPORT_CHAINS_H
#define REPORT_CHAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chains;

struct chains_frame {
	const char *name;
	const char *module;	/* NULL: none, as for a thread */
	const char *file;	/* NULL: not known */
	uint32_t line;		/* 0: not known */
};

#define CHAINS_NONE UINT32_MAX

/* Number 0 is the root, which has no name, and whose total is that of all. */
struct chains_node {
	const char *name, *module;
	uint64_t self, total;
	uint32_t parent, child, next;	/* numbers; CHAINS_NONE: no such node */
	uint32_t row;			/* of its function */
};

struct chains_row {
	const char *name, *module;
	const char *file;	/* where it did most itself; NULL: not known */
	uint32_t line;
	uint64_t self, total;
	uint64_t at_line;	/* of self, at that line */
	uint32_t node;		/* the one at which it did most itself */
};

/* Nodes beyond this are not made: their counts go to the frame that they were called from. */
#define CHAINS_NODES_MAX (1u << 20)

/* -ENOMEM. */
int chains_new(struct chains **ret);
/* NULL in, NULL out. */
struct chains *chains_free(struct chains *c);

/* n frames, outermost first; none: counted at the root.  -ENOMEM. */
int chains_add(struct chains *c, const struct chains_frame *frames, size_t n, uint64_t count);

/* Children in order of what they and theirs did, then of name; once, when all are added. */
void chains_sort(struct chains *c);

/* Good until the next chains_add(); NULL: no such node. */
const struct chains_node *chains_node(const struct chains *c, uint32_t i);
size_t chains_nodes(const struct chains *c);
/* Of the rows in no particular order; a node's `row` is an index into them. */
const struct chains_row *chains_rows(const struct chains *c, size_t *ret_n);
/*
 * A copy of the rows in order of what they did themselves, then of total and name; to be
 * freed.  NULL: no memory, or none.
 */
struct chains_row *chains_ranked(const struct chains *c, size_t *ret_n);

#endif
