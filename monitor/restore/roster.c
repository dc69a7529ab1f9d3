/* SPDX-License-Identifier: MIT */
/* Roster: slots and batches.  See roster.h. */

#include "restore/roster-parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"

/* Of address space; what is not touched is not there. */
#define ARENA_MOST (UINT64_C(1) << 36)
#define ARENA_LEAST (UINT64_C(1) << 24)
/* So many entries and more, and so many for each run that is owed. */
#define LONG_ENTRIES 4096u
#define LONG_TIMES 4u
/* Deeper, and a child begins with runs of its own. */
#define DEPTH_MOST (JOURNAL_DEPTH - 1)

struct roster_shared *roster_shared(struct roster *r)
{
	return r->s;
}

static void *map_shared(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int make_indexes(struct roster *r)
{
	int e = 0;

	r->index = calloc(r->image->ntasks + 1, sizeof(struct settled_index *));
	if (!r->index)
		return -ENOMEM;
	for (size_t i = 0; !e && i < r->image->ntasks; i++)
		e = settled_index_new(&r->image->tasks[i], &r->index[i]);
	return e;
}

int roster_new(const struct image *image, int listener, struct roster **ret)
{
	struct roster *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->image = image;
	r->s = map_shared(sizeof(*r->s));
	for (r->size = ARENA_MOST; !r->arena && r->size >= ARENA_LEAST; r->size /= 2)
		r->arena = map_shared(r->size);
	r->size *= 2;
	if (!r->s || !r->arena || make_indexes(r) < 0) {
		roster_free(r);
		return -ENOMEM;
	}
	/* What the kernel writes here while we are killed must not have to come from swap. */
	mlock(r->s, offsetof(struct roster_shared, slots));
	r->s->listener = listener;
	r->s->chosen = -1;
	r->s->pager.pidfd = r->s->keeper.pidfd = r->s->next.pidfd = -1;
	for (size_t i = 0; i < ROSTER_PEERS; i++)
		r->s->peers[i].fd = -1;
	*ret = r;
	return 0;
}

void roster_free(struct roster *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->index && i < r->image->ntasks; i++)
		settled_index_free(r->index[i]);
	free(r->index);
	if (r->s)
		munmap(r->s, sizeof(*r->s));
	if (r->arena)
		munmap(r->arena, r->size);
	free(r);
}

static struct roster_slot *free_slot(struct roster *r)
{
	for (uint32_t i = r->hint; i < ROSTER_SLOTS; i++) {
		struct roster_slot *s = &r->s->slots[i];

		if (s->state != ROSTER_FREE)
			continue;
		r->hint = i + 1;
		if (i >= r->s->nslots)
			r->s->nslots = i + 1;
		*s = (struct roster_slot){ .uffd = -1, .pidfd = -1 };
		return s;
	}
	return NULL;
}

/* It is free again, or still. */
static void unused_slot(struct roster *r, const struct roster_slot *s)
{
	uint32_t i = (uint32_t)(s - r->s->slots);

	if (i < r->hint)
		r->hint = i;
}

struct roster_slot *roster_enter(struct roster *r, int32_t pid, pid_t host_pid, int uffd,
				 int pidfd)
{
	struct roster_slot *s = free_slot(r);

	if (!s)
		return NULL;
	s->pid = pid;
	s->host_pid = host_pid;
	s->uffd = uffd;
	s->pidfd = pidfd;
	if (uffd >= 0) {
		s->journal = roster_begin_journal(r, JOURNAL_OF_TASK, NULL);
		if (!s->journal) {
			unused_slot(r, s);
			return NULL;
		}
		s->settled = roster_get_bits(r, s, NULL);
	}
	s->state = uffd >= 0 ? ROSTER_SERVED : ROSTER_ENDED;
	return s;
}

struct roster_slot *roster_find(struct roster *r, int32_t pid)
{
	for (uint32_t i = 0; i < r->s->nslots; i++) {
		struct roster_slot *s = &r->s->slots[i];

		if (s->state > ROSTER_UNBORN && !s->forked && s->pid == pid)
			return s;
	}
	return NULL;
}

bool roster_serves(struct roster *r)
{
	for (uint32_t i = 0; i < r->s->nslots; i++)
		if (r->s->slots[i].state == ROSTER_SERVED || r->s->slots[i].state == ROSTER_DEAF)
			return true;
	return false;
}

size_t roster_handed(struct roster *r)
{
	size_t n = 0;

	for (uint32_t i = 0; i < r->s->nslots; i++)
		n += r->s->slots[i].state > ROSTER_UNBORN && !r->s->slots[i].forked;
	return n;
}

void roster_deafen(struct roster_slot *s)
{
	s->state = ROSTER_DEAF;
}

/* A slot of one that was handed over stays: it may not be again. */
static void free_forked(struct roster *r, struct roster_slot *s)
{
	s->state = s->forked ? ROSTER_FREE : ROSTER_ENDED;
	if (s->forked)
		unused_slot(r, s);
}

void roster_leave(struct roster *r, struct roster_slot *s)
{
	int uffd = s->uffd, pidfd = s->pidfd;

	s->state = ROSTER_CLOSING;
	close_fd(&uffd);
	s->uffd = -1;
	s->pidfd = -1;
	close_fd(&pidfd);
	free_forked(r, s);
	roster_put_all(r, s);
}

void roster_leave_again(struct roster *r)
{
	for (uint32_t i = 0; i < r->s->nslots; i++) {
		struct roster_slot *s = &r->s->slots[i];

		if (s->state != ROSTER_CLOSING)
			continue;
		if (s->uffd >= 0 && handoff_is_userfaultfd(s->uffd))
			close(s->uffd);
		free_forked(r, s);
	}
}

struct uffd_msg *roster_read_begin(struct roster *r, struct roster_slot *s)
{
	struct roster_shared *sh = r->s;

	sh->reading_count = atomic_load_explicit(&s->journal->count, memory_order_relaxed);
	atomic_store_explicit(&sh->reading, (uint32_t)(s - sh->slots) + 1, memory_order_release);
	return sh->messages;
}

int roster_follow(struct roster *r, struct roster_slot *s, const struct journal_entry *e)
{
	struct journal *j = s->journal, *more;
	uint64_t room;

	if (!journal_append(j, e))
		return 0;
	more = roster_get_journal(r, 2 * j->room, &room);
	if (!more || journal_copy(more, room, j) < 0)
		return -ENOMEM;
	/* The parent is the same, and has one more who begins with it. */
	more->refs = 1;
	if (more->parent)
		((struct journal *)(uintptr_t)more->parent)->refs++;
	s->journal = more;
	roster_drop_journal(r, j);
	return journal_append(more, e);
}

struct roster_slot *roster_birth(struct roster *r, struct roster_slot *parent, int uffd,
				 const struct owed *now)
{
	struct roster_slot *s = free_slot(r);

	if (!s)
		return NULL;
	s->pid = parent->pid;
	s->forked = true;
	s->uffd = uffd;
	if (parent->journal->depth < DEPTH_MOST)
		s->journal = roster_begin_journal(r, JOURNAL_OF_PARENT, parent->journal);
	else
		s->journal = roster_save_journal(r, now);
	if (!s->journal) {
		unused_slot(r, s);
		return NULL;
	}
	s->settled = roster_get_bits(r, s, parent->settled);
	s->state = ROSTER_UNBORN;
	return s;
}

/* Those of this batch count, or they do not. */
static void settle_births(struct roster *r, bool count)
{
	for (uint32_t i = 0; i < r->s->nslots; i++) {
		struct roster_slot *s = &r->s->slots[i];

		if (s->state == ROSTER_UNBORN)
			s->state = count ? ROSTER_SERVED : ROSTER_FREE;
	}
}

void roster_read_end(struct roster *r, struct roster_slot *s, unsigned int n)
{
	struct roster_shared *sh = r->s;
	bool births = false;

	for (unsigned int i = 0; i < n; i++)
		births |= sh->messages[i].event == UFFD_EVENT_FORK;
	journal_commit(s->journal);
	/* What is killed here has done all before this, and nothing of what follows. */
	atomic_signal_fence(memory_order_seq_cst);
	if (births)
		settle_births(r, true);
	/* Only zeroes are no message: the kernel has no such event. */
	for (unsigned int i = 0; i < n; i++)
		sh->messages[i].event = 0;
	atomic_store_explicit(&sh->reading, 0, memory_order_release);
}

static unsigned int count_messages(const struct roster_shared *sh)
{
	unsigned int n = 0;

	while (n < ROSTER_MESSAGES && sh->messages[n].event)
		n++;
	return n;
}

struct roster_slot *roster_unread(struct roster *r, unsigned int *ret_n)
{
	struct roster_shared *sh = r->s;
	uint32_t at = sh->reading;
	struct roster_slot *s = at ? &sh->slots[at - 1] : NULL;
	bool over = s && atomic_load(&s->journal->count) != sh->reading_count;

	settle_births(r, over);
	if (over) {
		memset(sh->messages, 0, sizeof(sh->messages));
		sh->reading = 0;
	}
	*ret_n = over || !s ? 0 : count_messages(sh);
	return over ? NULL : s;
}

struct roster_slot *roster_born(struct roster *r, int uffd)
{
	for (uint32_t i = 0; i < r->s->nslots; i++) {
		struct roster_slot *s = &r->s->slots[i];

		if (s->state == ROSTER_SERVED && s->uffd == uffd)
			return s;
	}
	return NULL;
}

bool roster_long(const struct roster_slot *s, uint64_t nruns)
{
	uint64_t n = s->journal->written;

	return n >= LONG_ENTRIES && n / LONG_TIMES > nruns;
}

void roster_shorten(struct roster *r, struct roster_slot *s, const struct owed *o)
{
	struct journal *was = s->journal, *j = roster_save_journal(r, o);

	if (!j)
		return;
	s->journal = j;
	roster_drop_journal(r, was);
}

void roster_settle(struct roster *r, struct roster_slot *s, uint64_t image, uint64_t npages)
{
	const struct settled_index *x = roster_index(r, s);

	if (s->settled && x)
		settled_set(x, s->settled, image, npages);
	/* Who only looks disturbs nobody. */
	if (!atomic_load_explicit(&r->s->progress, memory_order_relaxed))
		r->s->progress = true;
}

int roster_owed(struct roster *r, const struct roster_slot *s, struct owed *ret)
{
	const struct image_task *task = image_task(r->image, s->pid);
	const struct settled_index *x = roster_index(r, s);
	int e = task ? journal_replay(s->journal, task, ret) : -EBADMSG;

	if (!e && s->settled && x && settled_close(x, s->settled, ret) < 0) {
		owed_done(ret);
		e = -ENOMEM;
	}
	return e;
}
