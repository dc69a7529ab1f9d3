/* SPDX-License-Identifier: MIT */
/*
 * Keys: an index for each pair of numbers, in the order in which they first came.
 *
 * Pure.  What belongs to a key stands in an array of the caller's, at its index.
 * 24 bytes a key, 48 while it grows.
 */
#ifndef REPORT_KEYS_H
#define REPORT_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keys_slot;

struct keys {
	struct keys_slot *slots;	/* owned */
	size_t n;			/* keys: the next index */
	unsigned int bits;		/* 2^bits slots, 0: none yet */
};

#define KEYS_NULL { .n = 0 }

/* 1: it is new, and has got the next index; 0: known; -ENOMEM. */
int keys_index(struct keys *k, uint64_t a, uint64_t b, uint32_t *ret_index);
/* False: it has never come. */
bool keys_find(const struct keys *k, uint64_t a, uint64_t b, uint32_t *ret_index);
void keys_done(struct keys *k);

/*
 * Room for one more at the end of an array of n things of that size, which has room
 * for *room of them: the array, perhaps elsewhere, with zeroes in what is new; NULL:
 * no memory, nothing changed.
 */
void *keys_room(void *array, size_t n, size_t *room, size_t size);

#endif
