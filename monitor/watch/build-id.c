/* SPDX-License-Identifier: MIT */
/* Build id.  See build-id.h. */

#include "watch/build-id.h"

#include <unistd.h>

#include "watch/elf-notes.h"

_Static_assert(ELF_BUILD_ID_MAX == MAPS_BUILD_ID_MAX, "the same as the kernel's");

/* Program headers follow the header, and the notes follow them, in the first page as a rule. */
#define HEAD 4096
#define NOTES_MAX 8
/* How far below its code the beginning of a file is looked for. */
#define BELOW (UINT64_C(1) << 30)
#define BELOW_REGIONS 64

static bool same_file(const struct region *a, const struct region *b)
{
	return a->ino == b->ino && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static const struct region *head_of(const struct layout *l, const struct region *g)
{
	uint64_t low = g->r.lo > BELOW ? g->r.lo - BELOW : 0;
	const struct region *head = NULL, *at = layout_find(l, g->r.lo - g->off);

	/* Where all segments keep their distance, which most linkers see to. */
	if (g->off <= g->r.lo && at && same_file(at, g) && !at->off)
		return at;
	at = layout_from(l, low);
	for (int i = 0; at && i < BELOW_REGIONS && at->r.lo <= g->r.lo; i++) {
		if (same_file(at, g) && !at->off)
			head = at;
		at = layout_next(l, at);
	}
	return head;
}

/* A part of the file, where its beginning is mapped. */
static size_t read_part(int memfd, const struct region *head, struct range part, void *ret)
{
	ssize_t n;

	if (range_empty(part) || range_len(part) > HEAD || part.hi > range_len(head->r))
		return 0;
	n = pread(memfd, ret, range_len(part), (off_t)(head->r.lo + part.lo));
	return n < 0 ? 0 : (size_t)n;
}

static size_t from_memory(const struct layout *l, int memfd, const struct region *g,
			  unsigned char ret[MAPS_BUILD_ID_MAX])
{
	const struct region *head = memfd < 0 ? NULL : head_of(l, g);
	unsigned char bytes[HEAD];
	struct range notes[NOTES_MAX];
	size_t n, found = 0;

	if (!head)
		return 0;
	n = read_part(memfd, head, (struct range){ 0, HEAD }, bytes);
	n = elf_notes(bytes, n, notes, NOTES_MAX);
	for (size_t i = 0; i < n && !found; i++)
		found = elf_build_id(bytes, read_part(memfd, head, notes[i], bytes), ret);
	return found;
}

size_t build_id_of(const struct layout *l, int mapsfd, int memfd, const struct region *g,
		   unsigned char ret[MAPS_BUILD_ID_MAX])
{
	int64_t n = maps_build_id(mapsfd, g->r.lo, ret);

	return n >= 0 ? (size_t)n : from_memory(l, memfd, g, ret);
}
