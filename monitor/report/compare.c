/* SPDX-License-Identifier: MIT */
/* Compare: rows by two words.  See compare.h. */

#include "report/compare.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/keys.h"
#include "report/lexicon.h"

struct compare {
	struct lexicon *words;
	struct keys keys;
	struct compare_row *rows;
	size_t n, room;
};

int compare_new(struct compare **ret)
{
	struct compare *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (lexicon_new(&c->words)) {
		compare_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

struct compare *compare_free(struct compare *c)
{
	if (!c)
		return NULL;
	lexicon_free(c->words);
	keys_done(&c->keys);
	free(c->rows);
	free(c);
	return NULL;
}

int compare_add(struct compare *c, enum compare_side side, const char *name, size_t name_len,
		const char *kind, uint64_t written, uint64_t pages)
{
	const char *a = lexicon_word(c->words, name, name_len);
	const char *b = lexicon_word(c->words, kind ? kind : "", kind ? strlen(kind) : 0);
	struct compare_row *rows;
	uint32_t i;
	int new;

	if (!a || !b)
		return -ENOMEM;
	new = keys_index(&c->keys, (uintptr_t)a, (uintptr_t)b, &i);
	if (new < 0)
		return new;
	if (new) {
		rows = keys_room(c->rows, i, &c->room, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		c->rows = rows;
		c->rows[i] = (struct compare_row){ .name = a, .kind = b };
		c->n = (size_t)i + 1;
	}
	c->rows[i].written[side] += written;
	c->rows[i].pages[side] += pages;
	return 0;
}

static enum compare_change judge(const struct compare_row *r)
{
	if (!r->written[COMPARE_A] != !r->written[COMPARE_B])
		return r->written[COMPARE_A] ? COMPARE_GONE : COMPARE_NEW;
	if (r->rate[COMPARE_B] > r->rate[COMPARE_A])
		return COMPARE_HOTTER;
	return r->rate[COMPARE_B] < r->rate[COMPARE_A] ? COMPARE_COOLER : COMPARE_SAME;
}

static int by_change(const void *a, const void *b)
{
	const struct compare_row *x = a, *y = b;
	double p = fabs(x->rate[1] - x->rate[0]), q = fabs(y->rate[1] - y->rate[0]);
	int order;

	if (p < q || p > q)
		return p < q ? 1 : -1;
	order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->kind, y->kind);
}

const struct compare_row *compare_end(struct compare *c, const uint64_t ns[2], size_t *ret_n)
{
	for (size_t i = 0; i < c->n; i++) {
		struct compare_row *r = &c->rows[i];

		for (int side = 0; side < 2; side++)
			r->rate[side] = (double)r->written[side] * 1e9 /
					(ns[side] ? (double)ns[side] : 1e9);
		r->change = judge(r);
	}
	/* From here on no row is found by its number any more. */
	keys_done(&c->keys);
	c->keys = (struct keys)KEYS_NULL;
	if (c->n)
		qsort(c->rows, c->n, sizeof(*c->rows), by_change);
	*ret_n = c->n;
	return c->rows;
}

const char *compare_word(enum compare_change change)
{
	static const char *const words[] = { "new", "gone", "hotter", "cooler", "same" };

	return words[change];
}
