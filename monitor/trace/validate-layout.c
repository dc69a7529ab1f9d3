/* SPDX-License-Identifier: MIT */
/*
 * Validate, layout: mappings come, change and go; no two are ever in one place.
 *
 * Changes are told one by one and each must fit what was told before: who needs room
 * comes after who left it.  After a complaint the newer record is believed, so that
 * one fault is not told a thousand times.
 */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "trace/validate-parts.h"

static int compare(const struct mapping *a, const struct mapping *b)
{
	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

RB_GENERATE_INTERNAL(mapping_tree, mapping, node, compare, __attribute__((unused)) static)

static struct mapping *find(struct validator *v, uint32_t id)
{
	struct mapping *m;

	HASH_FIND(hh, v->mappings, &id, sizeof(id), m);
	return m;
}

static void drop(struct validator *v, struct address_space *s, struct mapping *m)
{
	RB_REMOVE(mapping_tree, &s->mappings, m);
	assert(v->mappings);
	HASH_DEL(v->mappings, m);
	free(m);
}

/* The first mapping that ends behind the page. */
static struct mapping *from(struct address_space *s, uint64_t page)
{
	struct mapping *m = RB_ROOT(&s->mappings), *best = NULL;

	while (m) {
		if (m->hi > page) {
			best = m;
			m = RB_LEFT(m, node);
		} else {
			m = RB_RIGHT(m, node);
		}
	}
	return best;
}

/* What stands in the way goes. */
static void make_room(struct validator *v, struct address_space *s, uint32_t id, uint64_t lo,
		      uint64_t hi)
{
	struct mapping *m, *next;

	for (m = from(s, lo); m && m->lo < hi; m = next) {
		next = RB_NEXT(mapping_tree, &s->mappings, m);
		if (m->id == id)
			continue;
		if (!v->blind)
			validate_complain_about(v, "vma %u overlaps vma %u, which is still there",
						id, m->id);
		drop(v, s, m);
	}
}

static int place(struct validator *v, struct address_space *s, const struct record *r)
{
	uint64_t lo = validate_first(v, r), hi = validate_last(v, r);
	struct mapping *m;

	make_room(v, s, r->vma.id, lo, hi);
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->id = r->vma.id;
	m->mm = s->mm;
	m->lo = lo;
	m->hi = hi;
	HASH_ADD(hh, v->mappings, id, sizeof(m->id), m);
	if (!m->hh.tbl) {
		free(m);
		return -ENOMEM;
	}
	RB_INSERT(mapping_tree, &s->mappings, m);
	return 0;
}

static int come(struct validator *v, struct address_space *s, const struct record *r)
{
	uint64_t id = r->vma.id;
	int err;

	if (spans_has(&v->used_ids, id)) {
		struct mapping *m = find(v, r->vma.id);

		validate_complain_about(v, "vma id %u is used a second time", r->vma.id);
		if (m && m->mm != s->mm)
			return 0;
		if (m)
			drop(v, s, m);
	}
	err = spans_add(&v->used_ids, id, id + 1);
	return err ? err : place(v, s, r);
}

static int change(struct validator *v, struct address_space *s, const struct record *r)
{
	struct mapping *m = find(v, r->vma.id);

	if (m && m->mm == s->mm) {
		drop(v, s, m);
		return place(v, s, r);
	}
	if (!v->blind)
		validate_complain_about(v, "vma %u changes, but is not in mm %u", r->vma.id, s->mm);
	if (m)
		return 0;
	return come(v, s, r);
}

static void go(struct validator *v, struct address_space *s, const struct record *r)
{
	struct mapping *m = find(v, r->vma.id);

	if (!m || m->mm != s->mm) {
		if (!v->blind)
			validate_complain_about(v, "vma %u goes, but is not in mm %u", r->vma.id,
						s->mm);
		return;
	}
	if ((m->lo != validate_first(v, r) || m->hi != validate_last(v, r)) && !v->blind)
		validate_complain_about(v, "vma %u goes from another place than it was told to be "
					"at", r->vma.id);
	drop(v, s, m);
}

int validate_vma(struct validator *v, const struct record *r, struct address_space *s)
{
	switch (r->vma.op) {
	case VMA_OP_SNAPSHOT:
	case VMA_OP_ADD:
		return come(v, s, r);
	case VMA_OP_CHANGE:
		return change(v, s, r);
	default:
		go(v, s, r);
		return 0;
	}
}

void validate_place(struct validator *v, const struct record *r)
{
	uint32_t id = r->kind == RECORD_FAULT ? r->fault.vma : r->dirty.vma;
	uint64_t page = r->addr / v->page_size;
	struct mapping *m;

	if (!id || v->blind)
		return;
	m = find(v, id);
	if (!m || m->mm != r->mm)
		validate_complain_about(v, "vma %u is not in mm %u", id, r->mm);
	else if (page < m->lo || page >= m->hi)
		validate_complain_about(v, "page %" PRIu64 " is not in vma %u", page, id);
}

void validate_mappings_done(struct validator *v, struct address_space *s)
{
	struct mapping *m;

	while ((m = RB_ROOT(&s->mappings)))
		drop(v, s, m);
}
