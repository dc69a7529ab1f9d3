/* SPDX-License-Identifier: MIT */
/*
 * Image, the pages of a task: its pagemap, what of that is in a parent, and in which
 * mapping each page lies.
 *
 * A pagemap has entries in order of their addresses.  The pages of those that are here
 * (FLAG_PRESENT) follow one another in the pages file, and nothing else is in it.
 */

#include <criu.pb-c.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/range.h"
#include "restore/image-parts.h"

enum {
	FLAG_PARENT = 1,	/* the contents are the parent's */
	FLAG_LAZY = 2,
	FLAG_PRESENT = 4,	/* they are in our pages file; else, if lazy, at the server */
};

/* In the place of a pages file, while parents are read. */
#define IN_PARENT (IMAGE_REMOTE - 1)

static void pieces_done(struct image_pieces *p)
{
	free(p->v);
}
#define _pieces_ _cleanup_(pieces_done)

static uint64_t piece_len(const struct image_piece *p)
{
	return p->npages * IMAGE_PAGE;
}

static uint64_t piece_end(const struct image_piece *p)
{
	return p->vaddr + piece_len(p);
}

void *image_grow(void *array, size_t n, size_t *max, size_t size)
{
	size_t want = *max ? *max * 2 : 16;
	void *p;

	if (n < *max)
		return array;
	p = reallocarray(array, want, size);
	if (p)
		*max = want;
	return p;
}

static int pieces_add(struct image_pieces *to, const struct image_piece *p)
{
	struct image_piece *v = image_grow(to->v, to->n, &to->max, sizeof(*v));

	if (!v)
		return -ENOMEM;
	to->v = v;
	v[to->n++] = *p;
	return 0;
}

/* The same, but what goes on where the last one ended becomes longer. */
static int pieces_join(struct image_pieces *to, const struct image_piece *p)
{
	struct image_piece *last = to->n ? &to->v[to->n - 1] : NULL;
	const bool in_file = p->pages < IN_PARENT;

	if (!last || last->pages != p->pages || last->lazy != p->lazy ||
	    piece_end(last) != p->vaddr ||
	    (in_file && last->offset + piece_len(last) != p->offset))
		return pieces_add(to, p);
	last->npages += p->npages;
	return 0;
}

/* The part of a piece from vaddr on, of at most npages. */
static struct image_piece piece_part(const struct image_piece *p, uint64_t vaddr, uint64_t npages)
{
	const uint64_t skipped = vaddr - p->vaddr;
	struct image_piece part = *p;

	part.vaddr = vaddr;
	part.npages -= skipped / IMAGE_PAGE;
	if (part.npages > npages)
		part.npages = npages;
	if (p->pages < IN_PARENT)
		part.offset += skipped;
	return part;
}

static int no_memory(struct image_problem *why, const struct image_name *name)
{
	return image_refuse_file(why, name, -ENOMEM);
}

/* ---- one file ---------------------------------------------------------------- */

struct map {
	struct image_file file;
	uint32_t pages_id;
	uint32_t index;			/* that of the pages file, in reading.files */
	uint64_t offset;		/* where the next page that is here lies in it */
	uint64_t end;			/* of the entry before */
};

static const char unknown_field[] = "a field that is not known; a later CRIU's?";

static int bad_entry(struct image_reading *r, struct map *m, int err, const char *words)
{
	return image_refuse(r->why, &m->file.name, err, "record %" PRIu64 ": %s", m->file.nrecords,
			    words);
}

/* How many pages; from CRIU 4.2 on in a field of 64 bits. */
static int entry_pages(struct image_reading *r, struct map *m, const PagemapEntry *e, uint64_t *ret)
{
	uint64_t npages = e->has_nr_pages ? e->nr_pages : e->compat_nr_pages;

	if (e->has_nr_pages && e->compat_nr_pages && e->compat_nr_pages != e->nr_pages)
		return bad_entry(r, m, -EBADMSG, "two numbers of pages");
	if (!npages)
		return bad_entry(r, m, -EBADMSG, "no pages");
	if (e->vaddr % IMAGE_PAGE)
		return bad_entry(r, m, -EBADMSG, "an address inside of a page");
	if (e->vaddr >= IMAGE_TASK_SIZE || npages > (IMAGE_TASK_SIZE - e->vaddr) / IMAGE_PAGE)
		return bad_entry(r, m, -EBADMSG, "an address that no process can have");
	if (e->vaddr < m->end)
		return bad_entry(r, m, -EBADMSG, "it begins before the end of the one before");
	if (!m->file.name.level)
		r->wide |= e->has_nr_pages;
	*ret = npages;
	return 0;
}

static int entry_flags(struct image_reading *r, struct map *m, const PagemapEntry *e,
		       uint32_t *ret)
{
	uint32_t flags = e->has_flags ? e->flags : 0;

	/* CRIU before 2.8 wrote no flags, but whether the parent has it. */
	if (e->has_in_parent && e->in_parent)
		flags |= FLAG_PARENT;
	else if (!e->has_flags)
		flags = FLAG_PRESENT;
	if (flags & ~(uint32_t)(FLAG_PARENT | FLAG_LAZY | FLAG_PRESENT))
		return bad_entry(r, m, -EOPNOTSUPP, "a flag that is not known; a later CRIU's?");
	if (!flags)
		return bad_entry(r, m, -EBADMSG, "pages that are nowhere");
	if ((flags & FLAG_PARENT) && (flags & FLAG_PRESENT))
		return bad_entry(r, m, -EBADMSG, "pages that are both here and in the parent");
	*ret = flags;
	return 0;
}

static int add_entry(struct image_reading *r, struct map *m, const PagemapEntry *e,
		     struct image_pieces *ret)
{
	struct image_piece p = { .vaddr = e->vaddr, .pages = IMAGE_REMOTE };
	uint32_t flags = 0;
	int err;

	if (e->blocks)
		return bad_entry(r, m, -EOPNOTSUPP,
				 "compressed pages, which are not read; dump without --compress");
	if (e->base.n_unknown_fields)
		return bad_entry(r, m, -EOPNOTSUPP, unknown_field);
	err = entry_pages(r, m, e, &p.npages);
	if (!err)
		err = entry_flags(r, m, e, &flags);
	if (err)
		return err;
	m->end = piece_end(&p);
	p.lazy = flags & FLAG_LAZY;
	if (flags & FLAG_PARENT) {
		p.pages = IN_PARENT;
	} else if (flags & FLAG_PRESENT) {
		p.pages = m->index;
		p.offset = m->offset;
		/* Both are below 2^56, and entries do not overlap: no sum wraps. */
		m->offset += piece_len(&p);
	}
	return pieces_join(ret, &p) ? no_memory(r->why, &m->file.name) : 0;
}

static int read_head(struct image_reading *r, struct map *m)
{
	struct image_record record;
	PagemapHead *head;
	int err = image_file_next(&m->file, &record, r->why);
	bool known;

	if (err <= 0)
		return err ? err : image_refuse(r->why, &m->file.name, -EBADMSG, "it is empty");
	head = image_unpack(&m->file, &record, &pagemap_head__descriptor, &err, r->why);
	if (!head)
		return err;
	m->pages_id = head->pages_id;
	known = !head->base.n_unknown_fields;
	pagemap_head__free_unpacked(head, NULL);
	return known ? 0 : bad_entry(r, m, -EOPNOTSUPP, unknown_field);
}

static int read_entries(struct image_reading *r, struct map *m, struct image_pieces *ret)
{
	struct image_record record;
	PagemapEntry *e;
	int err;

	while ((err = image_file_next(&m->file, &record, r->why)) > 0) {
		e = image_unpack(&m->file, &record, &pagemap_entry__descriptor, &err, r->why);
		if (!e)
			return err;
		err = add_entry(r, m, e, ret);
		pagemap_entry__free_unpacked(e, NULL);
		if (err)
			return err;
	}
	return err;
}

/* A pagemap cut at the end of a record, too, does not go with the length of its pages. */
static int check_size(struct image_reading *r, struct map *m)
{
	const struct image_name pages = { IMAGE_PAGES, m->pages_id, m->file.name.level };
	uint64_t size = 0;
	int err = r->dir->ops->size(r->dir, &pages, &size);

	if (err && (err != -ENOENT || m->offset))
		return image_refuse_file(r->why, &pages, err);
	if (size != m->offset)
		return image_refuse(r->why, &pages, -EBADMSG,
				    "it has %" PRIu64 " bytes, its pagemap tells of %" PRIu64, size,
				    m->offset);
	return 0;
}

static int read_map(struct image_reading *r, struct map *m, struct image_pieces *ret)
{
	struct image_pages *files;
	int err = read_head(r, m);

	if (err)
		return err;
	/* Indices of pages files are all that is not IN_PARENT or IMAGE_REMOTE. */
	if (r->files.n >= IN_PARENT)
		return image_refuse(r->why, &m->file.name, -E2BIG, "too many pages files");
	m->index = (uint32_t)r->files.n;
	err = read_entries(r, m, ret);
	if (!err)
		err = check_size(r, m);
	if (err)
		return err;
	files = image_grow(r->files.v, r->files.n, &r->files.max, sizeof(*files));
	if (!files)
		return no_memory(r->why, &m->file.name);
	r->files.v = files;
	files[r->files.n++] = (struct image_pages){ m->pages_id, m->file.name.level, m->offset };
	return 0;
}

static int read_level(struct image_reading *r, const struct image_name *name,
		      struct image_pieces *ret)
{
	struct map m = { 0 };
	int err = image_file_open(r->dir, name, r->common, &m.file, r->why);

	if (!err)
		err = read_map(r, &m, ret);
	image_file_close(&m.file);
	return err;
}

/* ---- parents ----------------------------------------------------------------- */

static const struct image_piece *first_in_parent(const struct image_pieces *pieces)
{
	for (size_t i = 0; i < pieces->n; i++)
		if (pieces->v[i].pages == IN_PARENT)
			return &pieces->v[i];
	return NULL;
}

static int no_parent(struct image_reading *r, const struct image_name *name,
		     const struct image_piece *p, int err)
{
	const struct image_name child = { name->kind, name->id, name->level - 1 };

	if (err == -ELOOP)
		return image_refuse(r->why, &child, err,
				    "its chain of parents comes back on itself");
	if (err != -ENOENT)
		return image_refuse(r->why, &child, err, "its parent cannot be read: %s",
				    strerror(-err));
	return image_refuse(r->why, &child, err,
			    "the page at 0x%" PRIx64 " is in the parent, and there is none",
			    p->vaddr);
}

/*
 * What `want` says is in the parent becomes what the parent says of it, which may be cut
 * in other places.  Whether a page is lazy the first of them tells: restore reads that one.
 */
static int take_from(struct image_reading *r, const struct image_name *name,
		     const struct image_piece *want, const struct image_pieces *parent,
		     size_t *at, struct image_pieces *ret)
{
	uint64_t vaddr = want->vaddr;
	const uint64_t end = piece_end(want);

	while (vaddr < end) {
		struct image_piece part;

		while (*at < parent->n && piece_end(&parent->v[*at]) <= vaddr)
			++*at;
		if (*at == parent->n || parent->v[*at].vaddr > vaddr)
			return image_refuse(r->why, name, -EBADMSG,
					    "the page at 0x%" PRIx64 " should be here, and is not",
					    vaddr);
		part = piece_part(&parent->v[*at], vaddr, (end - vaddr) / IMAGE_PAGE);
		if (part.pages == IMAGE_REMOTE)
			return image_refuse(r->why, name, -EOPNOTSUPP,
					    "the page at 0x%" PRIx64 " is at the page server of a "
					    "parent", vaddr);
		part.lazy = want->lazy;
		if (pieces_join(ret, &part))
			return no_memory(r->why, name);
		vaddr = piece_end(&part);
	}
	return 0;
}

static int resolve_level(struct image_reading *r, const struct image_name *name,
			 struct image_pieces *pieces)
{
	_pieces_ struct image_pieces parent = { 0 }, whole = { 0 };
	size_t at = 0;
	int err = read_level(r, name, &parent);

	for (size_t i = 0; i < pieces->n && !err; i++) {
		if (pieces->v[i].pages == IN_PARENT)
			err = take_from(r, name, &pieces->v[i], &parent, &at, &whole);
		else if (pieces_join(&whole, &pieces->v[i]))
			err = no_memory(r->why, name);
	}
	if (err)
		return err;
	free(pieces->v);
	*pieces = whole;
	whole = (struct image_pieces){ 0 };
	return 0;
}

/* From one parent to the next, until nothing is in one any more. */
static int resolve(struct image_reading *r, int32_t pid, struct image_pieces *pieces)
{
	struct image_name name = { IMAGE_PAGEMAP, (uint32_t)pid, 0 };
	const struct image_piece *first;
	int err;

	while ((first = first_in_parent(pieces))) {
		if (++name.level >= IMAGE_LEVELS)
			return image_refuse(r->why, &name, -EOPNOTSUPP,
					    "more than %d parents, one upon the other",
					    IMAGE_LEVELS - 1);
		err = r->dir->ops->level(r->dir, name.level);
		if (err)
			return no_parent(r, &name, first, err);
		err = resolve_level(r, &name, pieces);
		if (err)
			return err;
	}
	return 0;
}

/* ---- mappings ---------------------------------------------------------------- */

static int cut(struct image_reading *r, const struct image_name *name,
	       const struct image_piece *p, const struct image_vma *vmas, size_t nvmas, size_t *at,
	       struct image_pieces *ret)
{
	uint64_t vaddr = p->vaddr;
	struct image_piece part;

	while (vaddr < piece_end(p)) {
		while (*at < nvmas && vmas[*at].end <= vaddr)
			++*at;
		if (*at == nvmas || vmas[*at].start > vaddr)
			return image_refuse(r->why, name, -EBADMSG,
					    "the page at 0x%" PRIx64 " is in no mapping", vaddr);
		if (p->lazy && !image_vma_lazy(&vmas[*at]))
			return image_refuse(r->why, name, -EBADMSG,
					    "the page at 0x%" PRIx64 " is lazy, and its mapping is "
					    "not private anonymous memory", vaddr);
		part = piece_part(p, vaddr, (vmas[*at].end - vaddr) / IMAGE_PAGE);
		if (pieces_add(ret, &part))
			return no_memory(r->why, name);
		vaddr = piece_end(&part);
	}
	return 0;
}

int image_pagemap(struct image_reading *r, int32_t pid, const struct image_vma *vmas, size_t nvmas,
		  struct image_pieces *ret)
{
	const struct image_name name = { IMAGE_PAGEMAP, (uint32_t)pid, 0 };
	_pieces_ struct image_pieces pieces = { 0 };
	size_t at = 0;
	int err = read_level(r, &name, &pieces);

	if (!err)
		err = resolve(r, pid, &pieces);
	for (size_t i = 0; i < pieces.n && !err; i++)
		err = cut(r, &name, &pieces.v[i], vmas, nvmas, &at, ret);
	return err;
}
