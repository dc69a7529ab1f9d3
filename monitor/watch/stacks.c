/* SPDX-License-Identifier: MIT */
/* Stacks: a hash table of chains.  See stacks.h. */

#include "watch/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct chain {
	uint64_t hash;
	uint32_t process, first, n;	/* frames[first], n of them */
	bool told;
};

struct stacks {
	struct chain *chains;
	uint64_t *frames;
	uint32_t *slots;	/* 1 + index of a chain; linear probing */
	uint32_t base;		/* number of chains[0] */
	uint32_t nchains, room;
	uint32_t nframes, frames_room;
	uint32_t mask;		/* of the slots */
};

/* At most half of the slots are taken. */
static uint32_t slots_for(uint32_t chains)
{
	uint32_t n = 2;

	while (n < 2 * chains)
		n *= 2;
	return n;
}

int stacks_new(struct stacks **ret, uint32_t chains, uint32_t frames)
{
	struct stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->base = 1;
	s->room = chains;
	s->frames_room = frames;
	s->mask = slots_for(chains) - 1;
	s->chains = calloc(chains, sizeof(*s->chains));
	s->frames = calloc(frames, sizeof(*s->frames));
	s->slots = calloc(s->mask + 1, sizeof(*s->slots));
	if (!s->chains || !s->frames || !s->slots) {
		stacks_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

struct stacks *stacks_free(struct stacks *s)
{
	if (!s)
		return NULL;
	free(s->chains);
	free(s->frames);
	free(s->slots);
	free(s);
	return NULL;
}

static uint64_t hash_of(uint32_t process, const uint64_t *frames, uint32_t n)
{
	uint64_t h = process;

	for (uint32_t i = 0; i < n; i++) {
		h = (h ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return h;
}

static bool is_it(const struct stacks *s, const struct chain *c, const struct chain *want)
{
	return c->hash == want->hash && c->process == want->process && c->n == want->n &&
	       !memcmp(s->frames + c->first, s->frames + want->first, c->n * sizeof(*s->frames));
}

uint32_t stacks_number(struct stacks *s, uint32_t process, const struct witness_event *touch)
{
	struct chain c = { .process = process, .first = s->nframes, .n = touch->touch.nframes };
	uint32_t at;

	if (!c.n || c.n > s->frames_room - s->nframes)
		return 0;
	/* Into its place, should it be new. */
	memcpy(s->frames + c.first, touch->touch.frames, c.n * sizeof(*s->frames));
	c.hash = hash_of(process, s->frames + c.first, c.n);
	for (at = (uint32_t)c.hash & s->mask; s->slots[at]; at = (at + 1) & s->mask)
		if (is_it(s, &s->chains[s->slots[at] - 1], &c))
			return s->base + s->slots[at] - 1;
	if (s->nchains == s->room || s->base > UINT32_MAX - s->room)
		return 0;
	s->chains[s->nchains++] = c;
	s->slots[at] = s->nchains;
	s->nframes += c.n;
	return s->base + s->nchains - 1;
}

const uint64_t *stacks_frames(struct stacks *s, uint32_t number, size_t *ret_n, bool *ret_first)
{
	struct chain *c;

	if (number < s->base || number - s->base >= s->nchains)
		return NULL;
	c = &s->chains[number - s->base];
	*ret_first = !c->told;
	c->told = true;
	*ret_n = c->n;
	return s->frames + c->first;
}

bool stacks_crowded(const struct stacks *s)
{
	return s->nchains > s->room / 4 * 3 || s->nframes > s->frames_room / 4 * 3;
}

void stacks_forget(struct stacks *s)
{
	s->base += s->nchains;
	s->nchains = s->nframes = 0;
	memset(s->slots, 0, (s->mask + 1) * sizeof(*s->slots));
}
