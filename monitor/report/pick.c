/* SPDX-License-Identifier: MIT */
/* Pick: which records a question is about.  See pick.h. */

#include "report/pick.h"

#include <stdlib.h>

#include "report/keys.h"
#include "trace/vma-glob.h"

enum { NOT_LOOKED, MATCHES, DIFFERS };

static uint32_t kind_of(const struct record *r)
{
	static const uint32_t of_fault[FAULT_NR] = {
		[FAULT_MISSING] = PICK_KIND_MISSING, [FAULT_WP] = PICK_KIND_WP,
		[FAULT_MINOR] = PICK_KIND_MINOR,
	};

	switch (r->kind) {
	case RECORD_FAULT:
		return of_fault[r->fault.kind];
	case RECORD_DIRTY:
		return PICK_KIND_WP;
	case RECORD_FORK:
	case RECORD_EXEC:
		return PICK_KIND_FORK;
	case RECORD_EXIT:
		return PICK_KIND_EXIT;
	case RECORD_REMAP:
	case RECORD_REMOVE:
	case RECORD_UNMAP:
		return PICK_KIND_MAP;
	default:
		return ~UINT32_C(0);
	}
}

static bool has_place(const struct record *r)
{
	switch (r->kind) {
	case RECORD_FAULT:
	case RECORD_DIRTY:
	case RECORD_VMA:
	case RECORD_ARM:
	case RECORD_REMAP:
	case RECORD_REMOVE:
	case RECORD_UNMAP:
		return true;
	case RECORD_GAP:
		return r->npages;
	default:
		return false;
	}
}

static bool in_ranges(const struct pick *p, const struct model *m, const struct record *r)
{
	uint64_t bytes = r->kind == RECORD_FAULT ? 1 : r->npages * model_page_size(m);
	struct range span = { r->addr, r->addr + bytes };

	if (span.hi <= span.lo)
		span.hi = UINT64_MAX;
	for (unsigned int i = 0; i < p->nr_ranges; i++)
		if (range_overlaps(p->ranges[i], span))
			return true;
	return !p->nr_ranges;
}

static bool label_matches(const struct pick *p, const struct model_label *l)
{
	for (unsigned int i = 0; i < p->nr_globs; i++)
		if (vma_glob_matches(p->globs[i], l->name.s, l->name.len, l->kind))
			return true;
	return false;
}

/* A pattern is tried once for each label, not for each record. */
static bool in_globs(struct pick *p, const struct model *m, const struct record *r)
{
	const struct model_vma *v;
	uint32_t i;

	if (!p->nr_globs)
		return true;
	v = model_place(m, r);
	if (!v)
		return false;
	i = v->label->index;
	while (p->known_room <= i) {
		uint8_t *known = keys_room(p->known, p->known_room, &p->known_room, 1);

		if (!known)
			return label_matches(p, v->label);
		p->known = known;
	}
	if (!p->known[i])
		p->known[i] = label_matches(p, v->label) ? MATCHES : DIFFERS;
	return p->known[i] == MATCHES;
}

static bool of_pids(const struct pick *p, const struct record *r)
{
	if (!p->nr_pids || (!r->pid && !r->mm))
		return true;
	for (unsigned int i = 0; i < p->nr_pids; i++)
		if (p->pids[i] == r->pid)
			return true;
	return false;
}

bool pick_takes(struct pick *p, const struct model *m, const struct record *r)
{
	if (r->ts < p->since || (p->until && r->ts >= p->until))
		return false;
	if (p->kinds && !(kind_of(r) & p->kinds))
		return false;
	if (!of_pids(p, r))
		return false;
	return !has_place(r) || (in_ranges(p, m, r) && in_globs(p, m, r));
}

bool pick_is_empty(const struct pick *p)
{
	return !p->nr_ranges && !p->nr_globs && !p->nr_pids && !p->kinds && !p->since && !p->until;
}

void pick_done(struct pick *p)
{
	free(p->known);
	p->known = NULL;
	p->known_room = 0;
}
