/* SPDX-License-Identifier: MIT */
/* What the files of the roster share; nobody else does. */
#ifndef RESTORE_ROSTER_PARTS_H
#define RESTORE_ROSTER_PARTS_H

#include "restore/roster.h"

/* Pieces of memory are of 4 KiB, 8 KiB, ... */
#define PIECE_SHIFT 12
#define CLASSES 25u

struct piece;

/* This process's own. */
struct roster {
	struct roster_shared *s;
	char *arena;
	uint64_t size;
	const struct image *image;
	struct settled_index **index;	/* of each task */
	struct piece *free[CLASSES];
	uint32_t hint;			/* slots before it are taken */
};

/* The journals; NULL: no memory.  Whoever has one, and each that begins with it, drops it. */
struct journal *roster_get_journal(struct roster *r, uint64_t entries, uint64_t *ret_room);
struct journal *roster_begin_journal(struct roster *r, enum journal_begin begin,
				     struct journal *parent);
struct journal *roster_save_journal(struct roster *r, const struct owed *o);
void roster_drop_journal(struct roster *r, struct journal *j);

const struct settled_index *roster_index(const struct roster *r, const struct roster_slot *s);
/* Bits, those of `from` or none.  Without memory what has come is asked of the kernel. */
uint64_t *roster_get_bits(struct roster *r, const struct roster_slot *s, const uint64_t *from);
/* Journal and bits of a slot that nobody finds them in any more. */
void roster_put_all(struct roster *r, struct roster_slot *s);

#endif
