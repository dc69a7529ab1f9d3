/* SPDX-License-Identifier: MIT */
/* Roster: slots, batches, and memory for journals.  See roster.h. */

#include "restore/roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"

/* Of address space; what is not touched is not there. */
#define ARENA_MOST (UINT64_C(1) << 36)
#define ARENA_LEAST (UINT64_C(1) << 24)
/* Pieces of 4 KiB, 8 KiB, ... */
#define PIECE_SHIFT 12
#define CLASSES 25u
/* Their memory goes back to the kernel while nobody has them. */
#define PIECE_LARGE (UINT64_C(1) << 16)
/* So many entries and more, and so many for each run that is owed. */
#define LONG_ENTRIES 4096u
#define LONG_TIMES 4u
/* Deeper, and a child begins with runs of its own. */
#define DEPTH_MOST (JOURNAL_DEPTH - 1)

struct piece {
	struct piece *next;
};

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

/* ---- memory ---- */

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
static void drop_journal(struct roster *r, struct journal *j)
{
	struct journal *parent;

	for (; j && !--j->refs; j = parent) {
		parent = (struct journal *)(uintptr_t)j->parent;
		put(r, j, journal_bytes(j->room));
	}
}

static struct journal *get_journal(struct roster *r, uint64_t entries, uint64_t *ret_room)
{
	uint64_t size = UINT64_C(1) << (PIECE_SHIFT + class_of(journal_bytes(entries)));

	*ret_room = journal_room(size);
	return get(r, size);
}

static struct journal *begin_journal(struct roster *r, enum journal_begin begin,
				     struct journal *parent)
{
	uint64_t room;
	struct journal *j = get_journal(r, 1, &room);

	if (!j)
		return NULL;
	journal_start(j, room, begin, parent);
	j->refs = 1;
	if (parent)
		parent->refs++;
	return j;
}

static const struct settled_index *index_of(const struct roster *r, const struct roster_slot *s)
{
	const struct image_task *task = image_task(r->image, s->pid);

	return task ? r->index[task - r->image->tasks] : NULL;
}

/* Bits, those of `from` or none.  Without memory what has come is asked of the kernel. */
static uint64_t *get_bits(struct roster *r, const struct roster_slot *s, const uint64_t *from)
{
	const struct settled_index *x = index_of(r, s);
	uint64_t size = x ? settled_bytes(x) : 0, *bits = size ? get(r, size) : NULL;

	if (bits && from)
		memcpy(bits, from, size);
	else if (bits)
		memset(bits, 0, size);
	return bits;
}

static void put_all(struct roster *r, struct roster_slot *s)
{
	const struct settled_index *x = index_of(r, s);

	if (s->settled && x)
		put(r, s->settled, settled_bytes(x));
	drop_journal(r, s->journal);
	s->settled = NULL;
	s->journal = NULL;
}

/* ---- slots ---- */

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
		s->journal = begin_journal(r, JOURNAL_OF_TASK, NULL);
		if (!s->journal) {
			unused_slot(r, s);
			return NULL;
		}
		s->settled = get_bits(r, s, NULL);
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
	put_all(r, s);
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

/* ---- batches ---- */

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
	more = get_journal(r, 2 * j->room, &room);
	if (!more || journal_copy(more, room, j) < 0)
		return -ENOMEM;
	/* The parent is the same, and has one more who begins with it. */
	more->refs = 1;
	if (more->parent)
		((struct journal *)(uintptr_t)more->parent)->refs++;
	s->journal = more;
	drop_journal(r, j);
	return journal_append(more, e);
}

/* A journal that begins with these runs. */
static struct journal *save_journal(struct roster *r, const struct owed *o)
{
	uint64_t room;
	struct journal *j = get_journal(r, o->nruns + 1, &room);

	if (!j)
		return NULL;
	/* There is room for all of them. */
	journal_save(j, room, o);
	j->refs = 1;
	return j;
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
		s->journal = begin_journal(r, JOURNAL_OF_PARENT, parent->journal);
	else
		s->journal = save_journal(r, now);
	if (!s->journal) {
		unused_slot(r, s);
		return NULL;
	}
	s->settled = get_bits(r, s, parent->settled);
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

/* ---- what is owed ---- */

bool roster_long(const struct roster_slot *s, uint64_t nruns)
{
	uint64_t n = s->journal->written;

	return n >= LONG_ENTRIES && n / LONG_TIMES > nruns;
}

void roster_shorten(struct roster *r, struct roster_slot *s, const struct owed *o)
{
	struct journal *was = s->journal, *j = save_journal(r, o);

	if (!j)
		return;
	s->journal = j;
	drop_journal(r, was);
}

void roster_settle(struct roster *r, struct roster_slot *s, uint64_t image, uint64_t npages)
{
	const struct settled_index *x = index_of(r, s);

	if (s->settled && x)
		settled_set(x, s->settled, image, npages);
	atomic_fetch_add_explicit(&r->s->progress, npages, memory_order_relaxed);
}

int roster_owed(struct roster *r, const struct roster_slot *s, struct owed *ret)
{
	const struct image_task *task = image_task(r->image, s->pid);
	const struct settled_index *x = index_of(r, s);
	int e = task ? journal_replay(s->journal, task, ret) : -EBADMSG;

	if (!e && s->settled && x && settled_close(x, s->settled, ret) < 0) {
		owed_done(ret);
		e = -ENOMEM;
	}
	return e;
}

/* ---- after a death ---- */

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
