/* SPDX-License-Identifier: MIT */
/* Model, texts: things that stay where they are, and strings kept once.  Pure. */

#include <stdlib.h>
#include <string.h>

#include "report/model-parts.h"

#define POOL_BLOCK 256u			/* things */
#define TEXT_BLOCK (64u * 1024)		/* bytes */

void *pool_add(struct pool *p)
{
	if (p->n / POOL_BLOCK == p->nr_blocks) {
		char **blocks = keys_room(p->blocks, p->nr_blocks, &p->room, sizeof(*blocks));

		if (!blocks)
			return NULL;
		p->blocks = blocks;
		blocks[p->nr_blocks] = calloc(POOL_BLOCK, p->size);
		if (!blocks[p->nr_blocks])
			return NULL;
		p->nr_blocks++;
	}
	return pool_at(p, p->n++);
}

void *pool_at(const struct pool *p, size_t index)
{
	return p->blocks[index / POOL_BLOCK] + index % POOL_BLOCK * p->size;
}

void pool_done(struct pool *p)
{
	for (size_t i = 0; i < p->nr_blocks; i++)
		free(p->blocks[i]);
	free(p->blocks);
	*p = (struct pool){ .size = p->size };
}

/* A block of its own for what is larger than one. */
static char *new_block(struct texts *t, size_t len)
{
	char **blocks = keys_room(t->blocks, t->nr_blocks, &t->room, sizeof(*blocks));

	if (!blocks)
		return NULL;
	t->blocks = blocks;
	blocks[t->nr_blocks] = calloc(1, len);
	return blocks[t->nr_blocks] ? blocks[t->nr_blocks++] : NULL;
}

void *texts_room(struct texts *t, size_t len)
{
	size_t want = (len + 7) & ~(size_t)7;
	char *at;

	if (want > TEXT_BLOCK / 4)
		return new_block(t, want);
	if (want > t->left) {
		at = new_block(t, TEXT_BLOCK);
		if (!at)
			return NULL;
		t->block = at;
		t->left = TEXT_BLOCK;
	}
	at = t->block;
	t->block += want;
	t->left -= want;
	return at;
}

/* FNV-1a. */
static uint64_t hash(const char *bytes, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
	return h;
}

const struct model_text *texts_keep(struct texts *t, const char *bytes, size_t len)
{
	uint64_t h = hash(bytes, len), attempt = 0;
	struct model_text *text;
	uint32_t index;
	char *copy;

	for (; keys_find(&t->keys, h, attempt, &index); attempt++) {
		text = pool_at(&t->all, index);
		if (text->len == len && (!len || !memcmp(text->s, bytes, len)))
			return text;
	}
	copy = texts_room(t, len + 1);
	text = copy ? pool_add(&t->all) : NULL;
	if (!text)
		return NULL;
	if (keys_index(&t->keys, h, attempt, &index) < 0) {
		t->all.n--;
		return NULL;
	}
	if (len)
		memcpy(copy, bytes, len);
	text->len = len;
	text->s = copy;
	return text;
}

void texts_done(struct texts *t)
{
	keys_done(&t->keys);
	pool_done(&t->all);
	for (size_t i = 0; i < t->nr_blocks; i++)
		free(t->blocks[i]);
	free(t->blocks);
	t->blocks = NULL;
	t->nr_blocks = 0;
}
