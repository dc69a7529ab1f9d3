/* SPDX-License-Identifier: MIT */
/*
 * HTML, flame: the tree of chains, without what is too thin to be seen.
 *
 * The NODES_MAX nodes with the highest totals are told; as a parent has at least the total
 * of its child, these are a tree.  What the others of one parent did is one leaf.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "report/html-parts.h"
#include "report/keys.h"

#define NODES_MAX 3000

struct words_list {
	struct keys keys;		/* by pointer: the chains keep each word once */
	const char **words;		/* owned */
	size_t room;
};

/* What is told of a node: the numbers of its words, its parent's and its own counts. */
struct told {
	uint32_t name, module, up;
	uint64_t self;
};

struct flame {
	const struct chains *chains;
	uint64_t least;			/* totals below are not told */
	struct told *told;		/* owned */
	size_t n, room;
	uint32_t *stack;		/* owned: pairs of a node and its parent's number */
	size_t deep, stack_room;
	struct words_list words;
	uint64_t left_out;
};

static int word_number(struct words_list *l, const char *word, uint32_t *ret)
{
	const char **more;
	int new = keys_index(&l->keys, (uintptr_t)word, 0, ret);

	if (new <= 0)
		return new;
	more = keys_room(l->words, l->keys.n - 1, &l->room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->words = more;
	more[*ret] = word;
	return 0;
}

static int tell(struct flame *f, const char *name, const char *module, uint32_t up, uint64_t self)
{
	struct told *more = keys_room(f->told, f->n, &f->room, sizeof(*more));
	struct told t = { .up = up, .self = self };
	int r;

	if (!more)
		return -ENOMEM;
	f->told = more;
	r = word_number(&f->words, name ? name : "all", &t.name);
	if (!r)
		r = word_number(&f->words, module ? module : "", &t.module);
	if (!r)
		more[f->n++] = t;
	return r;
}

static int push(struct flame *f, uint32_t node, uint32_t up)
{
	uint32_t *more = keys_room(f->stack, f->deep, &f->stack_room, 2 * sizeof(*more));

	if (!more)
		return -ENOMEM;
	f->stack = more;
	more[2 * f->deep] = node;
	more[2 * f->deep + 1] = up;
	f->deep++;
	return 0;
}

/* The node, and its children onto the stack; those below the least are one leaf. */
static int visit(struct flame *f, uint32_t i, uint32_t up)
{
	const struct chains_node *node = chains_node(f->chains, i), *child;
	const uint32_t number = (uint32_t)f->n;
	uint64_t rare = 0;
	int r = tell(f, node->name, node->module, up, node->self);

	for (uint32_t k = node->child; !r && k != CHAINS_NONE; k = child->next) {
		child = chains_node(f->chains, k);
		if (child->total >= f->least) {
			r = push(f, k, number);
		} else {
			rare += child->total;
			f->left_out++;
		}
	}
	return !r && rare ? tell(f, "(rare)", NULL, number, rare) : r;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

/* The total of the last node that is told. */
static int find_least(struct flame *f)
{
	const size_t n = chains_nodes(f->chains);
	uint64_t *totals;

	f->least = 1;
	if (n <= NODES_MAX)
		return 0;
	totals = calloc(n, sizeof(*totals));
	if (!totals)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		totals[i] = chains_node(f->chains, (uint32_t)i)->total;
	qsort(totals, n, sizeof(*totals), by_size);
	/* Of equal ones all or none. */
	f->least = totals[NODES_MAX] + 1;
	free(totals);
	return 0;
}

static int read_chains(struct flame *f)
{
	int r = find_least(f);

	if (!r)
		r = push(f, 0, 0);
	while (!r && f->deep) {
		f->deep--;
		r = visit(f, f->stack[2 * f->deep], f->stack[2 * f->deep + 1]);
	}
	return r;
}

static void write_flame(struct pen *p, const struct flame *f, bool code)
{
	pen_format(p, "{\"unit\":\"write\",\"code\":%s,\"left_out\":%" PRIu64 ",\"names\":[",
		   code ? "true" : "false", f->left_out);
	for (size_t i = 0; i < f->words.keys.n; i++) {
		const char *word = f->words.words[i];

		pen_text(p, i ? ",\n" : "\n");
		html_json_name(p, word, strlen(word));
	}
	pen_text(p, "],\"nodes\":[");
	for (size_t i = 0; i < f->n; i++)
		pen_format(p, "%s%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu64, i ? "," : "",
			   f->told[i].name, f->told[i].module, f->told[i].up, f->told[i].self);
	pen_text(p, "]}");
}

void html_write_flame(struct pen *p, struct html_state *s)
{
	struct flame f = { .chains = s->r->chains, .words.keys = KEYS_NULL };
	const struct chains_node *root = f.chains ? chains_node(f.chains, 0) : NULL;
	int r;

	if (!root || !root->total) {
		pen_text(p, "null");
		return;
	}
	r = read_chains(&f);
	if (r)
		s->error = r;
	else
		write_flame(p, &f, s->r->tally->nr_stacks || s->r->tally->nr_ips);
	keys_done(&f.words.keys);
	free(f.words.words);
	free(f.stack);
	free(f.told);
}
