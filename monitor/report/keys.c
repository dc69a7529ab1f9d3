/* SPDX-License-Identifier: MIT */
/* Keys: open addressing, at most two thirds full.  See keys.h. */

#include "report/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BITS_MIN 6

struct keys_slot {
	uint64_t a, b;
	uint32_t number;	/* index + 1; 0: free */
};

static size_t place(const struct keys *k, uint64_t a, uint64_t b)
{
	uint64_t h = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + UINT64_C(0x632be59bd9b4e019));

	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return (size_t)(h >> (64 - k->bits));
}

/* Where it is, or would be put. */
static struct keys_slot *seek(const struct keys *k, uint64_t a, uint64_t b)
{
	size_t mask = ((size_t)1 << k->bits) - 1, i = place(k, a, b);

	while (k->slots[i].number && (k->slots[i].a != a || k->slots[i].b != b))
		i = (i + 1) & mask;
	return &k->slots[i];
}

static int grow(struct keys *k)
{
	struct keys bigger = { .n = k->n, .bits = k->bits ? k->bits + 1 : BITS_MIN };

	bigger.slots = calloc((size_t)1 << bigger.bits, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; k->bits && i < (size_t)1 << k->bits; i++)
		if (k->slots[i].number)
			*seek(&bigger, k->slots[i].a, k->slots[i].b) = k->slots[i];
	free(k->slots);
	*k = bigger;
	return 0;
}

int keys_index(struct keys *k, uint64_t a, uint64_t b, uint32_t *ret_index)
{
	struct keys_slot *s;
	int r;

	if (k->bits) {
		s = seek(k, a, b);
		if (s->number) {
			*ret_index = s->number - 1;
			return 0;
		}
	}
	if (!k->bits || (k->n + 1) * 3 > (size_t)2 << k->bits) {
		r = k->n < UINT32_MAX - 1 ? grow(k) : -ENOMEM;
		if (r < 0)
			return r;
	}
	s = seek(k, a, b);
	*s = (struct keys_slot){ a, b, (uint32_t)++k->n };
	*ret_index = s->number - 1;
	return 1;
}

bool keys_find(const struct keys *k, uint64_t a, uint64_t b, uint32_t *ret_index)
{
	const struct keys_slot *s;

	if (!k->bits)
		return false;
	s = seek(k, a, b);
	if (!s->number)
		return false;
	*ret_index = s->number - 1;
	return true;
}

void keys_done(struct keys *k)
{
	free(k->slots);
	*k = (struct keys)KEYS_NULL;
}

void *keys_room(void *array, size_t n, size_t *room, size_t size)
{
	size_t want = *room + *room / 2 + 16, bytes;
	char *more;

	if (n < *room)
		return array;
	if (__builtin_mul_overflow(want, size, &bytes))
		return NULL;
	more = realloc(array, bytes);
	if (!more)
		return NULL;
	memset(more + *room * size, 0, (want - *room) * size);
	*room = want;
	return more;
}
