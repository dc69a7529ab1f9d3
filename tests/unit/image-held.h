/* SPDX-License-Identifier: MIT */
/*
 * Image, held against its header: every promise of restore/image.h, looked at one by one
 * and with no help of the code that should keep them.  For flipped and for fuzzed images.
 */
#ifndef TESTS_IMAGE_HELD_H
#define TESTS_IMAGE_HELD_H

#include <stdio.h>
#include <sys/mman.h>

#include "restore/image.h"

#define HELD_BITS 56			/* of an address in user space, at most */

static inline bool held_whole(uint64_t at)
{
	return !(at & 0xfff) && !(at >> HELD_BITS);
}

static inline const struct image_vma *held_vma(const struct image_task *t, uint64_t start,
					       uint64_t end)
{
	for (size_t i = 0; i < t->nvmas; i++)
		if (start >= t->vmas[i].start && end <= t->vmas[i].end)
			return &t->vmas[i];
	return NULL;
}

static inline const char *held_piece(const struct image *image, const struct image_task *t,
				     const struct image_piece *p)
{
	const uint64_t end = p->vaddr + (p->npages << 12);
	const struct image_vma *v = held_vma(t, p->vaddr, end);

	if (!p->npages || p->npages >> (HELD_BITS - 12) || !held_whole(p->vaddr) ||
	    !held_whole(end))
		return "a piece that is no run of pages";
	if (!v)
		return "a piece outside of the mappings";
	if (p->lazy && (v->flags & (MAP_ANONYMOUS | MAP_PRIVATE | MAP_LOCKED | MAP_HUGETLB)) !=
		       (MAP_ANONYMOUS | MAP_PRIVATE))
		return "a lazy piece where none may be";
	if (p->pages == IMAGE_REMOTE)
		return p->lazy && !p->offset ? NULL : "a remote piece that is not lazy";
	if (p->pages >= image->nfiles)
		return "a pages file that is not there";
	if ((p->offset & 0xfff) || p->offset + (p->npages << 12) > image->files[p->pages].size)
		return "a piece that is not within its file";
	if (image_find(t, p->vaddr) != p || image_find(t, end - 1) != p)
		return "a piece that is not found";
	return NULL;
}

static inline const char *held_task(const struct image *image, const struct image_task *t)
{
	uint64_t last = 0, pages = 0, lazy = 0;
	const char *wrong = NULL;

	if (t->pid <= 0 || image_task(image, t->pid) != t || (!t->memory && t->npieces + t->nvmas))
		return "a task";
	for (size_t i = 0; i < t->nvmas; i++) {
		const struct image_vma *v = &t->vmas[i];

		if (!held_whole(v->start) || !held_whole(v->end) || v->start >= v->end ||
		    v->start < last)
			return "a mapping";
		last = v->end;
	}
	last = 0;
	for (size_t i = 0; i < t->npieces && !wrong; i++) {
		const struct image_piece *p = &t->pieces[i];

		wrong = p->vaddr < last ? "pieces that overlap" : held_piece(image, t, p);
		last = p->vaddr + (p->npages << 12);
		pages += p->npages;
		lazy += p->lazy ? p->npages : 0;
	}
	if (!wrong && (pages != t->pages || lazy != t->lazy_pages))
		wrong = "the sums";
	return wrong;
}

/* NULL, or which promise is broken. */
static inline const char *image_held(const struct image *image)
{
	const char *wrong = NULL;

	for (size_t i = 0; i < image->ntasks && !wrong; i++)
		wrong = held_task(image, &image->tasks[i]);
	return wrong;
}

#endif
