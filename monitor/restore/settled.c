/* SPDX-License-Identifier: MIT */
/* Settled: sums over the pieces, and bits.  See settled.h. */

#include "restore/settled.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define BITS 64u

struct settled_index {
	const struct image_task *task;
	uint64_t nbits;
	uint64_t first[];	/* the bit of the first page of each piece */
};

int settled_index_new(const struct image_task *task, struct settled_index **ret)
{
	struct settled_index *x = calloc(1, sizeof(*x) + task->npieces * sizeof(*x->first));

	if (!x)
		return -ENOMEM;
	x->task = task;
	for (size_t i = 0; i < task->npieces; i++) {
		x->first[i] = x->nbits;
		x->nbits += task->pieces[i].lazy ? task->pieces[i].npages : 0;
	}
	*ret = x;
	return 0;
}

void settled_index_free(struct settled_index *x)
{
	free(x);
}

size_t settled_bytes(const struct settled_index *x)
{
	return (x->nbits + BITS - 1) / BITS * sizeof(uint64_t);
}

/* Whole words at once where there are such; a store each, which nobody sees half. */
static void set_bits(uint64_t *bits, uint64_t from, uint64_t n)
{
	while (n) {
		uint64_t at = from % BITS, some = BITS - at < n ? BITS - at : n;
		uint64_t mask = some == BITS ? ~UINT64_C(0) : ((UINT64_C(1) << some) - 1) << at;

		__atomic_fetch_or(&bits[from / BITS], mask, __ATOMIC_RELAXED);
		from += some;
		n -= some;
	}
}

/* How many of n bits from here on are as the first one is. */
static uint64_t same_bits(const uint64_t *bits, uint64_t from, uint64_t n, bool *ret_set)
{
	uint64_t done = 0, word;

	*ret_set = bits[from / BITS] >> from % BITS & 1;
	while (done < n) {
		word = bits[(from + done) / BITS];
		word = (*ret_set ? ~word : word) >> (from + done) % BITS;
		if (word)
			return done + (uint64_t)__builtin_ctzll(word) < n ?
			       done + (uint64_t)__builtin_ctzll(word) : n;
		done += BITS - (from + done) % BITS;
	}
	return n;
}

/* The pages of [image, image + n) in the piece that holds image, or the first one behind. */
struct stretch {
	const struct image_piece *piece;
	uint64_t bit, skipped, npages;
};

static bool next_stretch(const struct settled_index *x, uint64_t image, uint64_t n,
			 struct stretch *ret)
{
	size_t i = image_seek(x->task, image);
	const struct image_piece *p = &x->task->pieces[i];
	uint64_t from, end = image + n * IMAGE_PAGE, stop;

	if (i >= x->task->npieces || p->vaddr >= end)
		return false;
	from = p->vaddr > image ? p->vaddr : image;
	stop = p->vaddr + p->npages * IMAGE_PAGE;
	*ret = (struct stretch){
		.piece = p,
		.bit = x->first[i] + (from - p->vaddr) / IMAGE_PAGE,
		.skipped = (from - image) / IMAGE_PAGE,
		.npages = ((stop < end ? stop : end) - from) / IMAGE_PAGE,
	};
	return true;
}

void settled_set(const struct settled_index *x, uint64_t *bits, uint64_t image, uint64_t npages)
{
	struct stretch s;

	while (npages && next_stretch(x, image, npages, &s)) {
		if (s.piece->lazy)
			set_bits(bits, s.bit, s.npages);
		image += (s.skipped + s.npages) * IMAGE_PAGE;
		npages -= s.skipped + s.npages;
	}
}

/* Of one run, whose first page is `image`; at most what lies in one piece. */
static int close_stretch(const uint64_t *bits, const struct stretch *s, uint64_t at,
			 struct owed *o)
{
	bool set;

	for (uint64_t done = 0, n; done < s->npages; done += n) {
		uint64_t lo = at + (s->skipped + done) * IMAGE_PAGE;

		n = same_bits(bits, s->bit + done, s->npages - done, &set);
		if (set && owed_close(o, (struct range){ lo, lo + n * IMAGE_PAGE },
				      OWED_ARRIVED) < 0)
			return -ENOMEM;
	}
	return 0;
}

int settled_close(const struct settled_index *x, const uint64_t *bits, struct owed *o)
{
	struct owed_part run;
	struct stretch s;

	for (uint64_t at = 0; owed_run(o, at, &run); at = run.at.hi) {
		uint64_t n = range_len(run.at) / IMAGE_PAGE, done = 0;

		while (done < n && next_stretch(x, run.image + done * IMAGE_PAGE, n - done, &s)) {
			if (s.piece->lazy &&
			    close_stretch(bits, &s, run.at.lo + done * IMAGE_PAGE, o) < 0)
				return -ENOMEM;
			done += s.skipped + s.npages;
		}
	}
	return 0;
}
