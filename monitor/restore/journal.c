/* SPDX-License-Identifier: MIT */
/* Journal: entries in a row, and what they did.  See journal.h. */

#include "restore/journal.h"

#include <errno.h>
#include <string.h>

size_t journal_bytes(uint64_t entries)
{
	return sizeof(struct journal) + entries * sizeof(struct journal_entry);
}

uint64_t journal_room(size_t bytes)
{
	if (bytes < sizeof(struct journal))
		return 0;
	return (bytes - sizeof(struct journal)) / sizeof(struct journal_entry);
}

void journal_start(struct journal *j, uint64_t room, enum journal_begin begin,
		   const struct journal *parent)
{
	*j = (struct journal){
		.room = room,
		.begin = begin,
		.parent = parent,
		.parent_count = parent ? parent->written : 0,
		.depth = parent ? parent->depth + 1 : 0,
	};
}

int journal_copy(struct journal *to, uint64_t room, const struct journal *from)
{
	if (room < from->written)
		return -ENOSPC;
	*to = (struct journal){
		.written = from->written,
		.room = room,
		.parent = from->parent,
		.parent_count = from->parent_count,
		.begin = from->begin,
		.depth = from->depth,
	};
	memcpy(to->entries, from->entries, from->written * sizeof(*to->entries));
	atomic_store(&to->count, atomic_load(&from->count));
	return 0;
}

int journal_save(struct journal *j, uint64_t room, const struct owed *o)
{
	struct owed_part part;
	int r = 0;

	journal_start(j, room, JOURNAL_OF_NOTHING, NULL);
	for (uint64_t at = 0; !r && owed_run(o, at, &part); at = part.at.hi)
		r = journal_append(j, &(struct journal_entry){
			.kind = JOURNAL_RUN,
			.moved = part.moved,
			.doubt = part.doubt,
			.lo = part.at.lo,
			.hi = part.at.hi,
			.at = part.image,
		});
	journal_commit(j);
	return r;
}

int journal_append(struct journal *j, const struct journal_entry *e)
{
	if (j->written >= j->room)
		return -ENOSPC;
	j->entries[j->written++] = *e;
	return 0;
}

void journal_commit(struct journal *j)
{
	atomic_store_explicit(&j->count, j->written, memory_order_release);
}

void journal_forget(struct journal *j)
{
	j->written = atomic_load(&j->count);
}

int journal_owe_task(struct owed *o, const struct image_task *task)
{
	int r = 0;

	for (size_t i = 0; !r && i < task->npieces; i++) {
		const struct image_piece *p = &task->pieces[i];
		struct range at = { p->vaddr, p->vaddr + p->npages * IMAGE_PAGE };

		if (p->lazy)
			r = owed_add(o, at, p->vaddr);
	}
	return r;
}

static int64_t replay_one(struct owed *o, const struct journal_entry *e)
{
	const struct range r = { e->lo, e->hi };

	if (e->lo >= e->hi)
		return -EBADMSG;
	switch ((enum journal_kind)e->kind) {
	case JOURNAL_UNMAP:
		return owed_unmap(o, r);
	case JOURNAL_REMOVE:
		return owed_close(o, r, OWED_REMOVED);
	case JOURNAL_REMAP:
		return owed_remap(o, r, e->at);
	case JOURNAL_RUN:
		return owed_put(o, &(struct owed_part){
			.at = r, .image = e->at, .moved = e->moved, .doubt = e->doubt,
		});
	}
	return -EBADMSG;
}

int journal_replay(const struct journal *j, const struct image_task *task, struct owed *ret)
{
	const struct journal *chain[JOURNAL_DEPTH + 1], *at = j;
	uint64_t counts[JOURNAL_DEPTH + 1], count = atomic_load(&j->count);
	size_t n = 0;
	struct owed o;
	int64_t r;

	do {
		if (n > JOURNAL_DEPTH || count > at->room)
			return -EBADMSG;
		chain[n] = at;
		counts[n++] = count;
		count = at->parent_count;
		at = at->parent;
	} while (at);
	r = owed_init(&o, IMAGE_PAGE);
	if (r < 0)
		return (int)r;
	if (chain[n - 1]->begin == JOURNAL_OF_TASK)
		r = journal_owe_task(&o, task);
	while (r >= 0 && n--)
		for (uint64_t i = 0; r >= 0 && i < counts[n]; i++)
			r = replay_one(&o, &chain[n]->entries[i]);
	if (r < 0) {
		owed_done(&o);
		return r == -ENOMEM ? -ENOMEM : -EBADMSG;
	}
	*ret = o;
	return 0;
}
