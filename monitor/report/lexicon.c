/* SPDX-License-Identifier: MIT */
/* Lexicon: a hash table of words.  See lexicon.h. */

#include "report/lexicon.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

struct word {
	struct word *next;
	uint64_t hash;
	char bytes[];
};

struct lexicon {
	struct word **slots;
	size_t n, mask;
};

int lexicon_new(struct lexicon **ret)
{
	struct lexicon *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->mask = 1023;
	l->slots = calloc(l->mask + 1, sizeof(*l->slots));
	if (!l->slots)
		return lexicon_free(l), -ENOMEM;
	*ret = l;
	return 0;
}

struct lexicon *lexicon_free(struct lexicon *l)
{
	struct word *x, *next;

	if (!l)
		return NULL;
	for (size_t i = 0; l->slots && i <= l->mask; i++) {
		for (x = l->slots[i]; x; x = next) {
			next = x->next;
			free(x);
		}
	}
	free(l->slots);
	free(l);
	return NULL;
}

static uint64_t hash_of(const char *s, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void grow(struct lexicon *l)
{
	size_t mask = l->mask * 4 + 3;
	struct word **slots = calloc(mask + 1, sizeof(*slots)), *x, *next;

	/* Without memory it becomes slow, not wrong. */
	if (!slots)
		return;
	for (size_t i = 0; i <= l->mask; i++) {
		for (x = l->slots[i]; x; x = next) {
			next = x->next;
			x->next = slots[x->hash & mask];
			slots[x->hash & mask] = x;
		}
	}
	free(l->slots);
	l->slots = slots;
	l->mask = mask;
}

const char *lexicon_word(struct lexicon *l, const char *bytes, size_t len)
{
	char buf[LEXICON_WORD_MAX + 1];
	struct word *x;
	uint64_t h;

	if (!bytes)
		return NULL;
	len = utf8_escape(bytes, len, buf, sizeof(buf));
	h = hash_of(buf, len);
	for (x = l->slots[h & l->mask]; x; x = x->next)
		if (x->hash == h && !strncmp(x->bytes, buf, len) && !x->bytes[len])
			return x->bytes;
	if (l->n++ > l->mask)
		grow(l);
	x = malloc(sizeof(*x) + len + 1);
	if (!x)
		return NULL;
	x->hash = h;
	memcpy(x->bytes, buf, len);
	x->bytes[len] = '\0';
	x->next = l->slots[h & l->mask];
	l->slots[h & l->mask] = x;
	return x->bytes;
}
