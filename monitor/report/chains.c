/* SPDX-License-Identifier: MIT */
/* Chains: a tree in an array, and hash tables of numbers.  See chains.h. */

#include "report/chains.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/lexicon.h"

/* Numbers in an array, found by what they stand for; linear probing, at most half full. */
struct index {
	uint32_t *slots;	/* 1 + number */
	size_t mask, n;
};

/* How often a function did something at a line. */
struct spot {
	const char *file;
	uint64_t count;
	uint32_t row, line;
};

struct vector {
	void *v;
	size_t n, room;
};

struct chains {
	struct lexicon *words;
	struct vector nodes, rows, spots;
	struct index by_node, by_row, by_spot;
	uint32_t *seen;		/* of each row: 1 + the last chain that it was counted for */
	size_t seen_room;
	uint32_t chain;
};

#define NODE(c, i) (&((struct chains_node *)(c)->nodes.v)[i])
#define ROW(c, i) (&((struct chains_row *)(c)->rows.v)[i])
#define SPOT(c, i) (&((struct spot *)(c)->spots.v)[i])

/* ---- tables --------------------------------------------------------------------- */

static int push(struct vector *v, size_t each, const void *what, uint32_t *ret)
{
	size_t room = v->room ? v->room * 2 : 64;
	void *more;

	if (v->n == v->room) {
		more = realloc(v->v, room * each);
		if (!more)
			return -ENOMEM;
		v->v = more;
		v->room = room;
	}
	memcpy((char *)v->v + v->n * each, what, each);
	*ret = (uint32_t)v->n++;
	return 0;
}

static uint64_t hash3(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t h = a * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ h >> 29 ^ b) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 32 ^ c) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static uint64_t hash_node(uint32_t parent, const char *name, const char *module)
{
	return hash3(parent, (uintptr_t)name, (uintptr_t)module);
}

static uint64_t hash_row(const char *name, const char *module)
{
	return hash3(1, (uintptr_t)name, (uintptr_t)module);
}

static uint64_t hash_spot(uint32_t row, const char *file, uint32_t line)
{
	return hash3(row, (uintptr_t)file, line);
}

static int index_room(struct chains *c, struct index *x,
		      uint64_t (*hash)(const struct chains *c, uint32_t i))
{
	size_t size = x->slots ? 2 * (x->mask + 1) : 256;
	uint32_t *old = x->slots, *slots;
	size_t n = old ? x->mask + 1 : 0;

	if (old && 2 * x->n < x->mask)
		return 0;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t at;

		if (!old[i])
			continue;
		for (at = hash(c, old[i] - 1) & (size - 1); slots[at];)
			at = (at + 1) & (size - 1);
		slots[at] = old[i];
	}
	free(old);
	x->slots = slots;
	x->mask = size - 1;
	return 0;
}

static uint64_t rehash_node(const struct chains *c, uint32_t i)
{
	return hash_node(NODE(c, i)->parent, NODE(c, i)->name, NODE(c, i)->module);
}

static uint64_t rehash_row(const struct chains *c, uint32_t i)
{
	return hash_row(ROW(c, i)->name, ROW(c, i)->module);
}

static uint64_t rehash_spot(const struct chains *c, uint32_t i)
{
	return hash_spot(SPOT(c, i)->row, SPOT(c, i)->file, SPOT(c, i)->line);
}

/* ---- what is in them ------------------------------------------------------------ */

static int row_of(struct chains *c, const char *name, const char *module, uint32_t *ret)
{
	struct chains_row row = { .name = name, .module = module, .node = CHAINS_NONE };
	size_t room = c->seen_room ? c->seen_room * 2 : 64, at;
	uint32_t *seen;

	if (index_room(c, &c->by_row, rehash_row))
		return -ENOMEM;
	for (at = hash_row(name, module) & c->by_row.mask; c->by_row.slots[at];
	     at = (at + 1) & c->by_row.mask) {
		*ret = c->by_row.slots[at] - 1;
		if (ROW(c, *ret)->name == name && ROW(c, *ret)->module == module)
			return 0;
	}
	if (c->rows.n == c->seen_room) {
		seen = realloc(c->seen, room * sizeof(*seen));
		if (!seen)
			return -ENOMEM;
		memset(seen + c->seen_room, 0, (room - c->seen_room) * sizeof(*seen));
		c->seen = seen;
		c->seen_room = room;
	}
	if (push(&c->rows, sizeof(row), &row, ret))
		return -ENOMEM;
	c->by_row.slots[at] = *ret + 1;
	c->by_row.n++;
	return 0;
}

/* The parent itself, when there are too many. */
static int child_of(struct chains *c, uint32_t parent, const char *name, const char *module,
		    uint32_t *ret)
{
	struct chains_node node = { .name = name, .module = module, .parent = parent,
				    .child = CHAINS_NONE };
	size_t at;

	if (index_room(c, &c->by_node, rehash_node))
		return -ENOMEM;
	for (at = hash_node(parent, name, module) & c->by_node.mask; c->by_node.slots[at];
	     at = (at + 1) & c->by_node.mask) {
		const struct chains_node *n = NODE(c, c->by_node.slots[at] - 1);

		*ret = c->by_node.slots[at] - 1;
		if (n->parent == parent && n->name == name && n->module == module)
			return 0;
	}
	*ret = parent;
	if (c->nodes.n == CHAINS_NODES_MAX)
		return 0;
	node.next = NODE(c, parent)->child;
	if (row_of(c, name, module, &node.row) ||
	    push(&c->nodes, sizeof(node), &node, ret))
		return -ENOMEM;
	NODE(c, parent)->child = *ret;
	c->by_node.slots[at] = *ret + 1;
	c->by_node.n++;
	return 0;
}

static int count_spot(struct chains *c, uint32_t row, const char *file, uint32_t line,
		      uint64_t count)
{
	struct spot spot = { .file = file, .row = row, .line = line };
	struct chains_row *r = ROW(c, row);
	uint32_t i = 0;
	size_t at;

	if (index_room(c, &c->by_spot, rehash_spot))
		return -ENOMEM;
	for (at = hash_spot(row, file, line) & c->by_spot.mask; c->by_spot.slots[at];
	     at = (at + 1) & c->by_spot.mask) {
		i = c->by_spot.slots[at] - 1;
		if (SPOT(c, i)->row == row && SPOT(c, i)->file == file &&
		    SPOT(c, i)->line == line)
			break;
	}
	if (!c->by_spot.slots[at]) {
		if (push(&c->spots, sizeof(spot), &spot, &i))
			return -ENOMEM;
		c->by_spot.slots[at] = i + 1;
		c->by_spot.n++;
	}
	SPOT(c, i)->count += count;
	if (file && SPOT(c, i)->count > r->at_line) {
		r->file = file;
		r->line = line;
		r->at_line = SPOT(c, i)->count;
	}
	return 0;
}

/* ---- chains --------------------------------------------------------------------- */

int chains_new(struct chains **ret)
{
	struct chains_node root = { .parent = CHAINS_NONE, .child = CHAINS_NONE,
				    .next = CHAINS_NONE, .row = CHAINS_NONE };
	struct chains *c = calloc(1, sizeof(*c));
	uint32_t number;

	if (!c)
		return -ENOMEM;
	if (lexicon_new(&c->words) || push(&c->nodes, sizeof(root), &root, &number)) {
		chains_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

struct chains *chains_free(struct chains *c)
{
	if (!c)
		return NULL;
	lexicon_free(c->words);
	free(c->nodes.v);
	free(c->rows.v);
	free(c->spots.v);
	free(c->by_node.slots);
	free(c->by_row.slots);
	free(c->by_spot.slots);
	free(c->seen);
	free(c);
	return NULL;
}

static const char *word(struct chains *c, const char *text)
{
	return text ? lexicon_word(c->words, text, strlen(text)) : NULL;
}

/* The way down the tree; *ret is the number of the last node. */
static int walk_down(struct chains *c, const struct chains_frame *frames, size_t n,
		     uint32_t *ret)
{
	uint32_t at = 0;
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		const char *name = word(c, frames[i].name), *module = word(c, frames[i].module);

		if (!name || (frames[i].module && !module))
			return -ENOMEM;
		r = child_of(c, at, name, module, &at);
	}
	*ret = at;
	return r;
}

int chains_add(struct chains *c, const struct chains_frame *frames, size_t n, uint64_t count)
{
	const char *file = n ? word(c, frames[n - 1].file) : NULL;
	uint32_t leaf, row;
	int r = walk_down(c, frames, n, &leaf);

	if (!r && leaf)
		r = count_spot(c, NODE(c, leaf)->row, file, n ? frames[n - 1].line : 0, count);
	if (r)
		return r;
	/* A function that calls itself has done no more by that. */
	c->chain++;
	NODE(c, leaf)->self += count;
	for (uint32_t at = leaf; at != CHAINS_NONE; at = NODE(c, at)->parent) {
		NODE(c, at)->total += count;
		row = NODE(c, at)->row;
		if (row == CHAINS_NONE || c->seen[row] == c->chain)
			continue;
		c->seen[row] = c->chain;
		ROW(c, row)->total += count;
	}
	if (leaf) {
		struct chains_row *own = ROW(c, NODE(c, leaf)->row);

		own->self += count;
		if (own->node == CHAINS_NONE || NODE(c, leaf)->self > NODE(c, own->node)->self)
			own->node = leaf;
	}
	return 0;
}

/* ---- order ---------------------------------------------------------------------- */

static bool before(const struct chains_node *a, const struct chains_node *b)
{
	int order;

	if (a->total != b->total)
		return a->total > b->total;
	order = strcmp(a->name, b->name);
	if (!order)
		order = strcmp(a->module ? a->module : "", b->module ? b->module : "");
	return order < 0;
}

/* Two lists in order into one. */
static uint32_t merge(struct chains *c, uint32_t a, uint32_t b)
{
	uint32_t head = CHAINS_NONE, *tail = &head, *from;

	while (a != CHAINS_NONE && b != CHAINS_NONE) {
		from = before(NODE(c, b), NODE(c, a)) ? &b : &a;
		*tail = *from;
		tail = &NODE(c, *tail)->next;
		*from = *tail;
	}
	*tail = a != CHAINS_NONE ? a : b;
	return head;
}

/* Lists of 1, 2, 4, ... nodes, as they come. */
static uint32_t sort_list(struct chains *c, uint32_t list)
{
	uint32_t part[32], next, n;

	for (size_t i = 0; i < 32; i++)
		part[i] = CHAINS_NONE;
	for (; list != CHAINS_NONE; list = next) {
		size_t i = 0;

		next = NODE(c, list)->next;
		NODE(c, list)->next = CHAINS_NONE;
		for (n = list; i < 31 && part[i] != CHAINS_NONE; i++) {
			n = merge(c, part[i], n);
			part[i] = CHAINS_NONE;
		}
		part[i] = n;
	}
	n = CHAINS_NONE;
	for (size_t i = 0; i < 32; i++)
		n = merge(c, part[i], n);
	return n;
}

void chains_sort(struct chains *c)
{
	for (uint32_t i = 0; i < c->nodes.n; i++)
		NODE(c, i)->child = sort_list(c, NODE(c, i)->child);
}

const struct chains_node *chains_node(const struct chains *c, uint32_t i)
{
	return i < c->nodes.n ? NODE(c, i) : NULL;
}

size_t chains_nodes(const struct chains *c)
{
	return c->nodes.n;
}

const struct chains_row *chains_rows(const struct chains *c, size_t *ret_n)
{
	*ret_n = c->rows.n;
	return c->rows.v;
}

static int by_self(const void *a, const void *b)
{
	const struct chains_row *x = a, *y = b;
	int order;

	if (x->self != y->self)
		return x->self < y->self ? 1 : -1;
	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->module ? x->module : "", y->module ? y->module : "");
}

struct chains_row *chains_ranked(const struct chains *c, size_t *ret_n)
{
	struct chains_row *v = c->rows.n ? calloc(c->rows.n, sizeof(*v)) : NULL;

	*ret_n = v ? c->rows.n : 0;
	if (!v)
		return NULL;
	memcpy(v, c->rows.v, c->rows.n * sizeof(*v));
	qsort(v, c->rows.n, sizeof(*v), by_self);
	return v;
}
