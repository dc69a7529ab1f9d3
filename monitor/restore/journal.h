/* SPDX-License-Identifier: MIT */
/*
 * Journal: what has become of the memory of one restored process, for a pager that takes
 * over from one that died.
 *
 * Pure.  A run of bytes that the caller keeps where both see it, at the same address: how
 * it began, and the layout messages since, in order, as they were read.  Replayed onto
 * what was owed at first they give what is owed now, and besides what has come meanwhile
 * (settled.h knows that).
 *
 * Entries are appended behind `count` and count from journal_commit() on, by one store: a
 * writer that is killed leaves all of a batch or nothing.  What counts never changes, so
 * that the journal of a forked child can begin with its parent's as far as that had come.
 *
 * One writer; who replays does it when that one is dead, or is it.
 */
#ifndef RESTORE_JOURNAL_H
#define RESTORE_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range.h"
#include "restore/image.h"
#include "restore/owed.h"

/* A chain of parents is at most so long. */
#define JOURNAL_DEPTH 32u

enum journal_kind {
	JOURNAL_UNMAP = 1,
	JOURNAL_REMOVE,
	JOURNAL_REMAP,		/* at: where it went */
	JOURNAL_RUN,		/* of a journal that begins with nothing; at: in the image */
};

struct journal_entry {
	uint8_t kind;
	uint8_t moved, doubt;	/* JOURNAL_RUN */
	uint8_t zero[5];
	uint64_t lo, hi, at;
};

enum journal_begin {
	JOURNAL_OF_TASK,	/* all lazy pages of the image's task */
	JOURNAL_OF_PARENT,	/* what the parent was owed after so many of its entries */
	JOURNAL_OF_NOTHING,	/* runs follow */
};

struct journal {
	_Atomic uint64_t count;
	uint64_t written;		/* count, and the entries of the batch under way */
	uint64_t room;			/* for so many entries */
	const struct journal *parent;
	uint64_t parent_count;
	uint32_t begin;
	uint32_t depth;			/* of the parents */
	uint32_t refs;			/* the caller's: who begins with it, and who has it */
	struct journal_entry entries[];
};

/* Bytes for a journal of so many entries, and the other way round. */
size_t journal_bytes(uint64_t entries);
uint64_t journal_room(size_t bytes);

/* parent may be NULL; its entries that are written by now are what the child begins with. */
void journal_start(struct journal *j, uint64_t room, enum journal_begin begin,
		   const struct journal *parent);
/* All of it, what is not committed too; parents included.  -ENOSPC. */
int journal_copy(struct journal *to, uint64_t room, const struct journal *from);
/* As if it had begun with nothing and got these runs.  -ENOSPC. */
int journal_save(struct journal *j, uint64_t room, const struct owed *o);

/* -ENOSPC: full. */
int journal_append(struct journal *j, const struct journal_entry *e);
void journal_commit(struct journal *j);
/* What a dead writer had not committed. */
void journal_forget(struct journal *j);

/* All lazy pages of the task are owed.  -ENOMEM, -EINVAL. */
int journal_owe_task(struct owed *o, const struct image_task *task);
/*
 * What was owed after all that counts, and what has come.  -ENOMEM; -EBADMSG: entries that
 * nobody can have written.  Nothing is to be freed then.
 */
int journal_replay(const struct journal *j, const struct image_task *task, struct owed *ret);

#endif
