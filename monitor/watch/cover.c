/* SPDX-License-Identifier: MIT */
/* Cover: two bits a page, in chunks of 512 pages.  See cover.h. */

#include "watch/cover.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK_PAGES 512u
#define CHUNK_WORDS (CHUNK_PAGES / 64)

struct cover_chunk {
	RB_ENTRY(cover_chunk) node;
	uint64_t key;			/* page number / CHUNK_PAGES */
	uint64_t claimed[CHUNK_WORDS];
	uint64_t armed[CHUNK_WORDS];
};

static int by_key(const struct cover_chunk *a, const struct cover_chunk *b)
{
	return a->key < b->key ? -1 : a->key > b->key;
}

RB_GENERATE_INTERNAL(cover_tree, cover_chunk, node, by_key, __attribute__((unused)) static)

void cover_init(struct cover *c, uint32_t page_size)
{
	*c = (struct cover){ .page_size = page_size };
}

void cover_done(struct cover *c)
{
	struct cover_chunk *k, *next;

	RB_FOREACH_SAFE(k, cover_tree, &c->chunks, next) {
		RB_REMOVE(cover_tree, &c->chunks, k);
		free(k);
	}
	cover_init(c, c->page_size);
}

static struct cover_chunk *chunk_find(const struct cover *c, uint64_t key)
{
	struct cover_chunk want = { .key = key };

	if (c->recent && c->recent->key == key)
		return c->recent;
	return RB_FIND(cover_tree, (struct cover_tree *)(uintptr_t)&c->chunks, &want);
}

/* The first chunk at or after key. */
static struct cover_chunk *chunk_from(const struct cover *c, uint64_t key)
{
	struct cover_chunk want = { .key = key };

	if (c->recent && c->recent->key == key)
		return c->recent;
	return RB_NFIND(cover_tree, (struct cover_tree *)(uintptr_t)&c->chunks, &want);
}

static struct cover_chunk *chunk_make(struct cover *c, uint64_t key)
{
	struct cover_chunk *k = chunk_find(c, key);

	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->key = key;
	RB_INSERT(cover_tree, &c->chunks, k);
	return k;
}

/* Range as page numbers: [lo, hi). */
struct pages {
	uint64_t lo, hi;
};

static struct pages pages_of(const struct cover *c, struct range r)
{
	return (struct pages){ r.lo / c->page_size, r.hi / c->page_size };
}

/* The bits of word w of a chunk that p names. */
static uint64_t word_mask(uint64_t key, unsigned int w, struct pages p)
{
	uint64_t first = key * CHUNK_PAGES + w * 64, mask = UINT64_MAX;

	if (p.hi <= first || p.lo >= first + 64)
		return 0;
	if (p.lo > first)
		mask &= UINT64_MAX << (p.lo - first);
	if (p.hi < first + 64)
		mask &= UINT64_MAX >> (first + 64 - p.hi);
	return mask;
}

static unsigned int popcount(uint64_t v)
{
	return (unsigned int)__builtin_popcountll(v);
}

int cover_arm(struct cover *c, struct range r)
{
	struct pages p = pages_of(c, r);
	uint64_t first = p.lo / CHUNK_PAGES, last;

	if (p.lo >= p.hi)
		return 0;
	last = (p.hi - 1) / CHUNK_PAGES;
	for (uint64_t key = first; key <= last; key++)
		if (!chunk_make(c, key))
			return -ENOMEM;
	for (uint64_t key = first; key <= last; key++) {
		struct cover_chunk *k = chunk_find(c, key);

		for (unsigned int w = 0; w < CHUNK_WORDS; w++) {
			uint64_t m = word_mask(key, w, p);

			c->claimed += popcount(m & ~k->claimed[w]);
			c->armed += popcount(m & ~k->armed[w]);
			k->claimed[w] |= m;
			k->armed[w] |= m;
		}
	}
	return 0;
}

uint64_t cover_take(struct cover *c, struct range r)
{
	struct pages p = pages_of(c, r);
	struct cover_chunk *k;
	uint64_t taken = 0;

	for (k = chunk_from(c, p.lo / CHUNK_PAGES); k && k->key * CHUNK_PAGES < p.hi;
	     k = RB_NEXT(cover_tree, &c->chunks, k)) {
		for (unsigned int w = 0; w < CHUNK_WORDS; w++) {
			uint64_t hit = word_mask(k->key, w, p) & k->armed[w];

			taken += popcount(hit);
			k->armed[w] &= ~hit;
		}
		c->recent = k;
	}
	c->armed -= taken;
	return taken;
}

static bool chunk_blank(const struct cover_chunk *k)
{
	for (unsigned int w = 0; w < CHUNK_WORDS; w++)
		if (k->claimed[w])
			return false;
	return true;
}

uint64_t cover_drop(struct cover *c, struct range r)
{
	struct pages p = pages_of(c, r);
	struct cover_chunk *k, *next;
	uint64_t dropped = 0;

	for (k = chunk_from(c, p.lo / CHUNK_PAGES); k && k->key * CHUNK_PAGES < p.hi; k = next) {
		next = RB_NEXT(cover_tree, &c->chunks, k);
		for (unsigned int w = 0; w < CHUNK_WORDS; w++) {
			uint64_t m = word_mask(k->key, w, p);

			dropped += popcount(m & k->armed[w]);
			c->claimed -= popcount(m & k->claimed[w]);
			k->armed[w] &= ~m;
			k->claimed[w] &= ~m;
		}
		if (chunk_blank(k)) {
			RB_REMOVE(cover_tree, &c->chunks, k);
			if (c->recent == k)
				c->recent = NULL;
			free(k);
		}
	}
	c->armed -= dropped;
	return dropped;
}

/* Which pages a search is for. */
enum wanted { UNCLAIMED, SPENT, ARMED };

static uint64_t wanted_bits(const struct cover_chunk *k, unsigned int w, enum wanted what)
{
	switch (what) {
	case UNCLAIMED:
		return ~k->claimed[w];
	case SPENT:
		return k->claimed[w] & ~k->armed[w];
	case ARMED:
		break;
	}
	return k->armed[w];
}

/*
 * The first page at or after `page`, below `hi`, whose bit is as asked (on: wanted,
 * off: not wanted); hi if there is none.  Where no chunk is, all is unclaimed.
 */
static uint64_t seek(const struct cover *c, uint64_t page, uint64_t hi, enum wanted what, bool on)
{
	bool blank_fits = (what == UNCLAIMED) == on;
	struct cover_chunk *k = chunk_from(c, page / CHUNK_PAGES);

	while (page < hi) {
		unsigned int w = (unsigned int)(page % CHUNK_PAGES / 64);
		uint64_t bits;

		if (!k || k->key > page / CHUNK_PAGES) {
			if (blank_fits || !k)
				return blank_fits ? page : hi;
			page = k->key * CHUNK_PAGES;
			continue;
		}
		bits = wanted_bits(k, w, what);
		bits = (on ? bits : ~bits) & UINT64_MAX << page % 64;
		if (bits) {
			page = align_down(page, 64) + (unsigned int)__builtin_ctzll(bits);
			return page < hi ? page : hi;
		}
		page = align_down(page, 64) + 64;
		if (page % CHUNK_PAGES == 0)
			k = RB_NEXT(cover_tree, NULL, k);
	}
	return hi;
}

static bool next_run(const struct cover *c, struct range within, enum wanted what,
		     struct range *ret)
{
	struct pages p = pages_of(c, within);
	uint64_t lo = seek(c, p.lo, p.hi, what, true), hi;

	if (p.lo >= p.hi || lo >= p.hi)
		return false;
	hi = seek(c, lo, p.hi, what, false);
	*ret = (struct range){ lo * c->page_size, hi * c->page_size };
	return true;
}

bool cover_next_unclaimed(const struct cover *c, struct range within, struct range *ret)
{
	return next_run(c, within, UNCLAIMED, ret);
}

bool cover_next_spent(const struct cover *c, struct range within, struct range *ret)
{
	return next_run(c, within, SPENT, ret);
}

bool cover_next_armed(const struct cover *c, struct range within, struct range *ret)
{
	return next_run(c, within, ARMED, ret);
}

bool cover_armed_any(const struct cover *c, struct range r)
{
	struct range run;

	return next_run(c, r, ARMED, &run);
}

bool cover_armed_all(const struct cover *c, struct range r)
{
	struct range run;

	return next_run(c, r, ARMED, &run) && range_contains(run, r);
}

struct range cover_block(const struct cover *c, struct range within, uint64_t addr,
			 unsigned int most)
{
	struct range block = { 0, 0 };
	unsigned int n = most ? most : 1;

	for (; n; n /= 2) {
		uint64_t len = (uint64_t)n * c->page_size;

		block.lo = align_down(addr, len);
		block.hi = block.lo + len;
		if (n == 1 || (range_contains(within, block) && cover_armed_all(c, block)))
			break;
	}
	return block;
}

static int copy_chunk(struct cover *c, const struct cover_chunk *from)
{
	struct cover_chunk *k = chunk_make(c, from->key);

	if (!k)
		return -ENOMEM;
	for (unsigned int w = 0; w < CHUNK_WORDS; w++) {
		k->claimed[w] = from->claimed[w];
		k->armed[w] = from->armed[w];
		c->claimed += popcount(from->claimed[w]);
		c->armed += popcount(from->armed[w]);
	}
	return 0;
}

int cover_clone(struct cover *ret, const struct cover *c)
{
	struct cover_chunk *k;

	cover_init(ret, c->page_size);
	RB_FOREACH(k, cover_tree, (struct cover_tree *)(uintptr_t)&c->chunks) {
		if (copy_chunk(ret, k) < 0) {
			cover_done(ret);
			return -ENOMEM;
		}
	}
	return 0;
}

/*
 * Run by run: spent runs are claimed at the destination by arming and taking.  The
 * destination is emptied first; source and destination never overlap (mremap(2)).
 */
int cover_move(struct cover *c, struct range from, uint64_t to)
{
	struct range rest, run, dest;
	bool armed;
	int r = 0;

	cover_drop(c, (struct range){ to, to + range_len(from) });
	for (rest = from; !r && !range_empty(rest); rest.lo = run.hi) {
		armed = next_run(c, rest, ARMED, &run) && run.lo == rest.lo;
		if (!armed && !(next_run(c, rest, SPENT, &run) && run.lo == rest.lo)) {
			/* An unclaimed stretch: go to its end. */
			if (!next_run(c, rest, UNCLAIMED, &run))
				break;
			continue;
		}
		dest = (struct range){ to + (run.lo - from.lo), to + (run.hi - from.lo) };
		r = cover_arm(c, dest);
		if (!r && !armed)
			cover_take(c, dest);
	}
	cover_drop(c, from);
	return r;
}
