/* SPDX-License-Identifier: MIT */
/* Roster: memory for journals and bits.  See roster.h. */

#include <string.h>
#include <sys/mman.h>

#include "restore/roster-parts.h"

/* Their memory goes back to the kernel while nobody has them. */
#define PIECE_LARGE (UINT64_C(1) << 16)

struct piece {
	struct piece *next;
};

static unsigned int class_of(uint64_t size)
{
	unsigned int c = 0;

	while ((UINT64_C(1) << (PIECE_SHIFT + c)) < size)
		c++;
	return c;
}

/* All of it is zero only if it was never used. */
static void *get(struct roster *r, uint64_t size)
{
	unsigned int c = class_of(size);
	uint64_t whole = UINT64_C(1) << (PIECE_SHIFT + c), at = r->s->top;
	struct piece *p;

	if (c >= CLASSES)
		return NULL;
	p = r->free[c];
	if (p) {
		r->free[c] = p->next;
		return p;
	}
	if (whole > r->size - at)
		return NULL;
	r->s->top = at + whole;
	return r->arena + at;
}

static void put(struct roster *r, void *at, uint64_t size)
{
	unsigned int c = class_of(size);
	struct piece *p = at;

	if (!at)
		return;
	if (size >= PIECE_LARGE)
		madvise(at, UINT64_C(1) << (PIECE_SHIFT + c), MADV_REMOVE);
	p->next = r->free[c];
	r->free[c] = p;
}

/* Nobody begins with it any more, and nobody has it. */
void roster_drop_journal(struct roster *r, struct journal *j)
{
	struct journal *parent;

	/* The slot has another one by now. */
	atomic_signal_fence(memory_order_seq_cst);
	for (; j && !--j->refs; j = parent) {
		parent = (struct journal *)(uintptr_t)j->parent;
		put(r, j, journal_bytes(j->room));
	}
}

struct journal *roster_get_journal(struct roster *r, uint64_t entries, uint64_t *ret_room)
{
	uint64_t size = UINT64_C(1) << (PIECE_SHIFT + class_of(journal_bytes(entries)));

	*ret_room = journal_room(size);
	return get(r, size);
}

struct journal *roster_begin_journal(struct roster *r, enum journal_begin begin,
				     struct journal *parent)
{
	uint64_t room;
	struct journal *j = roster_get_journal(r, 1, &room);

	if (!j)
		return NULL;
	journal_start(j, room, begin, parent);
	j->refs = 1;
	if (parent)
		parent->refs++;
	return j;
}

/* A journal that begins with these runs. */
struct journal *roster_save_journal(struct roster *r, const struct owed *o)
{
	uint64_t room;
	struct journal *j = roster_get_journal(r, o->nruns + 1, &room);

	if (!j)
		return NULL;
	/* There is room for all of them. */
	journal_save(j, room, o);
	j->refs = 1;
	return j;
}

const struct settled_index *roster_index(const struct roster *r, const struct roster_slot *s)
{
	const struct image_task *task = image_task(r->image, s->pid);

	return task ? r->index[task - r->image->tasks] : NULL;
}

/* Bits, those of `from` or none.  Without memory what has come is asked of the kernel. */
uint64_t *roster_get_bits(struct roster *r, const struct roster_slot *s, const uint64_t *from)
{
	const struct settled_index *x = roster_index(r, s);
	uint64_t size = x ? settled_bytes(x) : 0, *bits = size ? get(r, size) : NULL;

	if (bits && from)
		memcpy(bits, from, size);
	else if (bits)
		memset(bits, 0, size);
	return bits;
}

void roster_put_all(struct roster *r, struct roster_slot *s)
{
	const struct settled_index *x = roster_index(r, s);

	if (s->settled && x)
		put(r, s->settled, settled_bytes(x));
	roster_drop_journal(r, s->journal);
	s->settled = NULL;
	s->journal = NULL;
}

/* References are counted anew: the dead one may have been about to. */
void roster_take_over(struct roster *r)
{
	struct roster_shared *sh = r->s;

	memset(r->free, 0, sizeof(r->free));
	r->hint = 0;
	for (uint32_t i = 0; i < sh->nslots; i++)
		for (const struct journal *j = sh->slots[i].journal; j; j = j->parent)
			((struct journal *)(uintptr_t)j)->refs = 0;
	for (uint32_t i = 0; i < sh->nslots; i++) {
		struct roster_slot *s = &sh->slots[i];

		if (s->state == ROSTER_FREE || s->state == ROSTER_ENDED) {
			s->journal = NULL;
			s->settled = NULL;
		}
		if (s->journal)
			journal_forget(s->journal);
		/* Each journal has its parent once, and each slot its journal. */
		for (struct journal *j = s->journal; j && !j->refs++;)
			j = (struct journal *)(uintptr_t)j->parent;
	}
}
