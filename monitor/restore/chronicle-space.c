/* SPDX-License-Identifier: MIT */
/* Chronicle: the mappings of an address space, as they have been told.  See chronicle.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "restore/chronicle-parts.h"

/* CRIU's bits of a mapping: which are told apart here. */
#define STATUS_STACK (1u << 1)
#define STATUS_HEAP (1u << 5)

struct chronicle_space *chronicle_space_new(struct chronicle *c, int32_t pid)
{
	struct chronicle_space *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->mm = ++c->last_mm;
	s->pid = pid;
	spans_init(&s->covered);
	s->next = c->spaces;
	c->spaces = s;
	return s;
}

void chronicle_space_free(struct chronicle_space *s)
{
	spans_done(&s->covered);
	free(s->vmas);
	free(s);
}

static void tell(struct chronicle *c, const struct chronicle_space *s,
		 const struct chronicle_vma *v, enum vma_op op)
{
	struct record r = chronicle_record(c, s, RECORD_VMA);

	r.addr = v->at.lo;
	r.npages = range_len(v->at) / IMAGE_PAGE;
	r.vma.id = v->id;
	r.vma.op = (uint8_t)op;
	r.vma.kind = v->kind;
	r.vma.prot = v->prot;
	r.vma.watch = true;
	r.text = record_text_new("", 0, NULL, 0);
	chronicle_push(c, &r);
}

/* Room for n more. */
static int make_room(struct chronicle_space *s, size_t n)
{
	size_t room = s->room ? s->room : 16;
	void *v;

	while (room < s->nvmas + n)
		room *= 2;
	if (room == s->room)
		return 0;
	v = realloc(s->vmas, room * sizeof(*s->vmas));
	if (!v)
		return -ENOMEM;
	s->vmas = v;
	s->room = room;
	return 0;
}

static uint8_t prot_of(const struct image_vma *v)
{
	return (uint8_t)((v->prot & PROT_READ ? RECORD_PROT_READ : 0) |
			 (v->prot & PROT_WRITE ? RECORD_PROT_WRITE : 0) |
			 (v->prot & PROT_EXEC ? RECORD_PROT_EXEC : 0));
}

int chronicle_space_map(struct chronicle *c, struct chronicle_space *s,
			const struct image_task *task)
{
	int r = make_room(s, task->nvmas);

	for (size_t i = 0; !r && i < task->nvmas; i++) {
		const struct image_vma *v = &task->vmas[i];

		/* What cannot be lazy is not registered, and nothing is told of its changes. */
		if (!image_vma_lazy(v))
			continue;
		s->vmas[s->nvmas] = (struct chronicle_vma){
			.at = { v->start, v->end }, .id = ++c->last_vma, .prot = prot_of(v),
			.kind = v->status & STATUS_HEAP ? VMA_KIND_HEAP :
				v->status & STATUS_STACK ? VMA_KIND_STACK : VMA_KIND_ANON,
		};
		tell(c, s, &s->vmas[s->nvmas++], VMA_OP_SNAPSHOT);
	}
	return r;
}

int chronicle_space_copy(struct chronicle *c, struct chronicle_space *s,
			 const struct chronicle_space *parent)
{
	int r = make_room(s, parent->nvmas);

	if (r)
		return r;
	for (; s->nvmas < parent->nvmas; s->nvmas++) {
		s->vmas[s->nvmas] = parent->vmas[s->nvmas];
		s->vmas[s->nvmas].id = ++c->last_vma;
		tell(c, s, &s->vmas[s->nvmas], VMA_OP_SNAPSHOT);
	}
	return spans_copy(&s->covered, &parent->covered);
}

/* The first one that ends behind addr. */
static size_t first_behind(const struct chronicle_space *s, uint64_t addr)
{
	size_t lo = 0, hi = s->nvmas, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (s->vmas[mid].at.hi > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

uint32_t chronicle_space_find(const struct chronicle_space *s, uint64_t addr)
{
	size_t i = first_behind(s, addr);

	return i < s->nvmas && range_has(s->vmas[i].at, addr) ? s->vmas[i].id : 0;
}

static void take_out(struct chronicle *c, struct chronicle_space *s, size_t i)
{
	tell(c, s, &s->vmas[i], VMA_OP_GONE);
	s->nvmas--;
	memmove(&s->vmas[i], &s->vmas[i + 1], (s->nvmas - i) * sizeof(*s->vmas));
}

/* With no room left it is not told, and faults in it have no mapping. */
static void put_in(struct chronicle *c, struct chronicle_space *s, struct chronicle_vma v)
{
	size_t i = first_behind(s, v.at.lo);

	if (make_room(s, 1))
		return;
	v.id = ++c->last_vma;
	memmove(&s->vmas[i + 1], &s->vmas[i], (s->nvmas - i) * sizeof(*s->vmas));
	s->vmas[i] = v;
	s->nvmas++;
	tell(c, s, &v, VMA_OP_ADD);
}

/* A cut through the i-th takes the middle out, or an end, or all. */
static void cut_one(struct chronicle *c, struct chronicle_space *s, size_t i, struct range r)
{
	struct chronicle_vma *v = &s->vmas[i], upper = *v;

	upper.at.lo = r.hi;
	if (v->at.lo < r.lo) {
		v->at.hi = r.lo;
		tell(c, s, v, VMA_OP_CHANGE);
		if (upper.at.lo < upper.at.hi)
			put_in(c, s, upper);
	} else if (upper.at.lo < upper.at.hi) {
		v->at.lo = r.hi;
		tell(c, s, v, VMA_OP_CHANGE);
	} else {
		take_out(c, s, i);
	}
}

void chronicle_space_cut(struct chronicle *c, struct chronicle_space *s, struct range r)
{
	size_t i = first_behind(s, r.lo);

	while (i < s->nvmas && s->vmas[i].at.lo < r.hi) {
		/* What is left of the one in front ends where the cut begins. */
		bool front = s->vmas[i].at.lo < r.lo, back = s->vmas[i].at.hi > r.hi;

		cut_one(c, s, i, r);
		if (back)
			break;
		i += front;
	}
}

void chronicle_space_move(struct chronicle *c, struct chronicle_space *s, struct range r,
			  uint64_t to)
{
	size_t i = first_behind(s, r.lo), n = 0;
	struct chronicle_vma *moved;

	while (i + n < s->nvmas && s->vmas[i + n].at.lo < r.hi)
		n++;
	moved = n ? calloc(n, sizeof(*moved)) : NULL;
	for (size_t k = 0; moved && k < n; k++) {
		moved[k] = s->vmas[i + k];
		moved[k].at = range_common(moved[k].at, r);
		moved[k].at.lo += to - r.lo;
		moved[k].at.hi += to - r.lo;
	}
	chronicle_space_cut(c, s, r);
	chronicle_space_cut(c, s, (struct range){ to, to + range_len(r) });
	for (size_t k = 0; moved && k < n; k++)
		put_in(c, s, moved[k]);
	free(moved);
}
