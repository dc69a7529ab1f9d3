/* SPDX-License-Identifier: MIT */
/* Stacks: a hash table of chains.  See stacks.h. */

#include "watch/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct chain {
	uint64_t hash;
	uint32_t process, first, n;	/* frames[first], n of them */
	uint32_t as;			/* 1 + index of the chain it is told as; 0: not asked yet */
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

/* 1 + the index of a chain whose frames are there; 0: no room for it. */
static uint32_t find(struct stacks *s, struct chain *c, bool *ret_new)
{
	uint32_t at;

	c->hash = hash_of(c->process, s->frames + c->first, c->n);
	*ret_new = false;
	for (at = (uint32_t)c->hash & s->mask; s->slots[at]; at = (at + 1) & s->mask)
		if (is_it(s, &s->chains[s->slots[at] - 1], c))
			return s->slots[at];
	if (s->nchains == s->room || s->base > UINT32_MAX - s->room)
		return 0;
	*ret_new = true;
	s->chains[s->nchains++] = *c;
	s->slots[at] = s->nchains;
	return s->nchains;
}

uint32_t stacks_number(struct stacks *s, uint32_t process, const struct witness_event *touch)
{
	struct chain c = { .process = process, .first = s->nframes, .n = touch->touch.nframes };
	const void *frames = touch->touch.frames;
	uint32_t index;
	bool new;

	if (!c.n && !touch->touch.kernel) {
		frames = &touch->touch.ip;
		c.n = 1;
	}
	if (!c.n || c.n > s->frames_room - s->nframes)
		return 0;
	/* Into its place, should it be new. */
	memcpy(s->frames + c.first, frames, c.n * sizeof(*s->frames));
	index = find(s, &c, &new);
	if (new)
		s->nframes += c.n;
	return index ? s->base + index - 1 : 0;
}

static struct chain *chain_of(const struct stacks *s, uint32_t number)
{
	if (number < s->base || number - s->base >= s->nchains)
		return NULL;
	return &s->chains[number - s->base];
}

uint64_t stacks_ip(const struct stacks *s, uint32_t number)
{
	const struct chain *c = chain_of(s, number);

	return c ? s->frames[c->first] : 0;
}

/* The frames of a chain that was cut are those of the whole one. */
static uint32_t cut(struct stacks *s, const struct chain *c, uint32_t n)
{
	struct chain head = { .process = c->process, .first = c->first, .n = n };
	uint32_t whole = (uint32_t)(c - s->chains) + 1, index;
	bool new;

	if (n == c->n)
		return whole;
	index = find(s, &head, &new);
	return index ? index : whole;
}

uint32_t stacks_tell(struct stacks *s, uint32_t number, stacks_good good, const void *arg,
		     const uint64_t **ret_frames, size_t *ret_n)
{
	struct chain *c = chain_of(s, number);

	*ret_n = 0;
	if (!c)
		return 0;
	if (!c->as)
		c->as = cut(s, c, (uint32_t)good(arg, s->frames + c->first, c->n));
	number = s->base + c->as - 1;
	c = &s->chains[c->as - 1];
	if (!c->told) {
		*ret_frames = s->frames + c->first;
		*ret_n = c->n;
	}
	c->told = true;
	return number;
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
