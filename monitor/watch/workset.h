/* SPDX-License-Identifier: MIT */
/*
 * Workset: which pages of an address space have been found written, ever.
 *
 * Pure.  A bit a page, in chunks of 512 pages, in a tree ordered by address: 112 bytes
 * for each 2 MiB in which anything was written, whatever is mapped.  A page is its
 * address: what was unmapped and mapped anew is the same.
 */
#ifndef WATCH_WORKSET_H
#define WATCH_WORKSET_H

#include <bsd/sys/tree.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range.h"

struct workset_chunk;
RB_HEAD(workset_tree, workset_chunk);

struct workset {
	struct workset_tree chunks;
	unsigned int shift;	/* of a page; a division costs more than all the rest */
};

void workset_init(struct workset *w, uint32_t page_size);
void workset_done(struct workset *w);

/*
 * n runs of whole pages, in order; cheap where the next one is near.  Returns how many of
 * their pages are in none that came before.  Without memory for a chunk its pages are
 * not, then or later.
 */
uint64_t workset_add(struct workset *w, const struct range *runs, size_t n);

#endif
