/* SPDX-License-Identifier: MIT */
/* Tenant: its beginning and end, and pages that are put in place.  See tenant.h. */

#include "restore/tenant.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "restore/tenant-parts.h"

/* All pages that a range can hold. */
#define EVERYWHERE ((struct range){ 0, UINT64_MAX - (IMAGE_PAGE - 1) })

/*
 * It is held for less than a microsecond, and asked for by a thread on which another one waits:
 * rather than to sleep, and be woken by an interrupt, one spins for a moment.
 */
static void make_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
#ifdef __GLIBC__
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

struct tenant *tenant_blank(int32_t pid, const struct image_task *task)
{
	struct tenant *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->uffd = -1;
	t->pid = pid;
	t->task = task;
	make_lock(&t->lock);
	return t;
}

int tenant_new(int32_t pid, const struct image_task *task, int uffd, struct tenant **ret)
{
	struct tenant *t = tenant_blank(pid, task);
	int r;

	if (!t)
		return -ENOMEM;
	r = owed_init(&t->owed, IMAGE_PAGE);
	if (!r)
		r = journal_owe_task(&t->owed, task);
	if (r < 0) {
		tenant_free(t);
		return r;
	}
	t->uffd = uffd;
	t->early = true;
	*ret = t;
	return 0;
}

int tenant_inherit(struct roster *r, struct roster_slot *s, const struct image_task *task,
		   struct tenant **ret)
{
	struct tenant *t = tenant_blank(s->pid, task);
	int e = t ? roster_owed(r, s, &t->owed) : -ENOMEM;

	/* Nobody can tell what it is owed: it waits, which is better than a wrong page. */
	if (e == -EBADMSG) {
		roster_deafen(s);
		e = owed_init(&t->owed, IMAGE_PAGE);
	}
	if (e < 0) {
		tenant_free(t);
		return e;
	}
	t->uffd = s->uffd;
	t->host_pid = s->host_pid;
	t->forked = s->forked;
	t->deaf = s->state == ROSTER_DEAF;
	tenant_enroll(t, r, s);
	*ret = t;
	return 0;
}

void tenant_enroll(struct tenant *t, struct roster *r, struct roster_slot *s)
{
	t->roster = r;
	t->slot = s;
}

static void close_uffd(struct tenant *t)
{
	if (t->slot && t->uffd >= 0) {
		roster_leave(t->roster, t->slot);
		t->slot = NULL;
		t->uffd = -1;
	}
	close_fd(&t->uffd);
}

void tenant_free(struct tenant *t)
{
	if (!t)
		return;
	owed_done(&t->owed);
	close_uffd(t);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void tenant_end(struct tenant *t)
{
	gate_close(&t->gate);
	close_uffd(t);
}

void tenant_gone(struct tenant *t)
{
	t->gone = true;
	pthread_mutex_lock(&t->lock);
	owed_close(&t->owed, EVERYWHERE, OWED_GONE);
	pthread_mutex_unlock(&t->lock);
}

/* Some of what was touched first in an earlier run may be free still.  Under the lock. */
static bool is_hot(const struct tenant *t)
{
	return t->hot && t->hot_at < t->hot->n;
}

/*
 * The next free part: of what was touched first, then of the rest.  By the addresses of the
 * image: what has moved comes with the rest.  Under the lock.
 */
static bool next_part(struct tenant *t, uint64_t most, struct owed_part *ret)
{
	for (; is_hot(t); t->hot_at++) {
		struct range hot = t->hot->v[t->hot_at];

		if (!owed_next(&t->owed, hot.lo, most, ret) || ret->at.lo >= hot.hi)
			continue;
		if (ret->at.hi > hot.hi)
			ret->at.hi = hot.hi;
		return true;
	}
	if (t->leave)
		return false;
	return owed_next(&t->owed, t->cursor, most, ret) ||
	       (t->cursor && owed_next(&t->owed, 0, most, ret));
}

bool tenant_has_work(struct tenant *t)
{
	bool work;

	if (t->gone || t->deaf)
		return false;
	pthread_mutex_lock(&t->lock);
	work = t->owed.totals.free > 0 && (!t->leave || is_hot(t));
	pthread_mutex_unlock(&t->lock);
	return work;
}

bool tenant_is_hot(struct tenant *t)
{
	bool hot;

	if (!t->hot)
		return false;
	pthread_mutex_lock(&t->lock);
	hot = is_hot(t) && t->owed.totals.free;
	pthread_mutex_unlock(&t->lock);
	return hot;
}

bool tenant_rests(struct tenant *t)
{
	return t->gone || (t->leave && !tenant_is_hot(t));
}

bool tenant_has_news(const struct tenant *t)
{
	struct pollfd p = { .fd = t->uffd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

bool tenant_done(struct tenant *t)
{
	bool done;

	pthread_mutex_lock(&t->lock);
	done = owed_none(&t->owed) && (!t->deaf || t->gone);
	pthread_mutex_unlock(&t->lock);
	return done;
}

uint64_t tenant_owes(struct tenant *t)
{
	uint64_t n;

	pthread_mutex_lock(&t->lock);
	n = t->owed.totals.free + t->owed.totals.flight;
	pthread_mutex_unlock(&t->lock);
	return n;
}

int64_t tenant_close(struct tenant *t, struct range r, enum owed_end why)
{
	struct owed_part part;

	for (uint64_t at = r.lo; t->slot && owed_run(&t->owed, at, &part) && part.at.lo < r.hi;
	     at = part.at.hi) {
		struct range here = range_common(part.at, r);

		roster_settle(t->roster, t->slot, part.image + (here.lo - part.at.lo),
			      range_len(here) / IMAGE_PAGE);
	}
	if (t->roster && (why == OWED_LOST || why == OWED_POISONED))
		atomic_fetch_add(why == OWED_LOST ? &roster_shared(t->roster)->lost :
				 &roster_shared(t->roster)->poisoned, range_len(r) / IMAGE_PAGE);
	return owed_close(&t->owed, r, why);
}

bool tenant_want(const struct tenant *t, struct owed_part *part, struct source_want *ret)
{
	const struct image_piece *piece = image_find(t->task, part->image);
	uint64_t len = range_len(part->at), left;

	if (!piece)
		return false;
	left = piece->vaddr + piece->npages * IMAGE_PAGE - part->image;
	if (len > left)
		len = left;
	if (len > SOURCE_PAGES_MAX * IMAGE_PAGE)
		len = SOURCE_PAGES_MAX * IMAGE_PAGE;
	part->at.hi = part->at.lo + len;
	*ret = (struct source_want){
		.id = part->id,
		.pid = t->pid,
		.vaddr = part->image,
		.npages = (uint32_t)(len / IMAGE_PAGE),
		.piece = piece,
	};
	return true;
}

void tenant_unreadable(struct tenant *t, struct range page)
{
	enum place_end end = place_poison(t->uffd, page);

	pthread_mutex_lock(&t->lock);
	t->counts.unreadable++;
	if (end == PLACE_ALL)
		tenant_close(t, page, OWED_POISONED);
	else if (end == PLACE_THERE)
		tenant_close(t, page, OWED_THERE);
	else if (end == PLACE_REFUSED)
		t->counts.parked++;
	else
		owed_give_back(&t->owed, page);
	pthread_mutex_unlock(&t->lock);
}

static void close_part(struct tenant *t, struct range r, enum owed_end why)
{
	if (range_empty(r))
		return;
	pthread_mutex_lock(&t->lock);
	/* At a lack of memory it stays owed, and the kernel will say that it is there. */
	if (tenant_close(t, r, why) < 0)
		owed_give_back(&t->owed, r);
	pthread_mutex_unlock(&t->lock);
}

static void give_back(struct tenant *t, struct range r)
{
	pthread_mutex_lock(&t->lock);
	owed_give_back(&t->owed, r);
	pthread_mutex_unlock(&t->lock);
}

/* This became of these pages. */
static void note(struct tenant_aim *aim, struct range r, enum tenant_deed deed)
{
	if (aim && range_has(r, aim->page))
		aim->deed = deed;
}

/* As much of the front as is to come in one way, and whether protected. */
static struct range one_way(const struct tenant *t, struct range rest,
			    const struct tenant_aim *aim, bool *ret_wp)
{
	*ret_wp = t->wp;
	if (!t->wp || !aim || !aim->plain || !range_has(rest, aim->page))
		return rest;
	*ret_wp = aim->page != rest.lo;
	rest.hi = *ret_wp ? aim->page : rest.lo + IMAGE_PAGE;
	return rest;
}

enum place_end tenant_place(struct tenant *t, const struct owed_part *part, const void *data,
			    struct tenant_aim *aim)
{
	struct range rest = part->at, way, page;
	enum place_end end = PLACE_ALL;
	/* Before it is tried: it may run by the time that it has failed. */
	bool early = t->early, wp;
	uint64_t done;

	while (!range_empty(rest)) {
		way = one_way(t, rest, aim, &wp);
		end = place_copy(t->uffd, way, (const char *)data + (rest.lo - part->at.lo), wp,
				 &done);
		close_part(t, (struct range){ rest.lo, rest.lo + done }, OWED_ARRIVED);
		note(aim, (struct range){ rest.lo, rest.lo + done }, TENANT_DID_COPY);
		rest.lo += done;
		page = (struct range){ rest.lo, rest.lo + IMAGE_PAGE };
		switch (end) {
		case PLACE_ALL:
			continue;
		case PLACE_THERE:
			close_part(t, page, OWED_THERE);
			note(aim, page, TENANT_DID_REPEAT);
			break;
		case PLACE_UNREADABLE:
			tenant_unreadable(t, page);
			note(aim, page, TENANT_DID_POISON);
			break;
		case PLACE_NOWHERE:
		case PLACE_REFUSED:
			if (early && end == PLACE_NOWHERE) {
				give_back(t, rest);
				return PLACE_BUSY;
			}
			close_part(t, page, part->doubt ? OWED_UNMAPPED : OWED_LOST);
			break;
		case PLACE_BUSY:
		case PLACE_NO_MEMORY:
			give_back(t, rest);
			return end;
		case PLACE_GONE:
			tenant_gone(t);
			return end;
		}
		rest.lo += IMAGE_PAGE;
	}
	return end;
}

/* The next free part, in flight as `id`; false: none. */
static bool take_next(struct tenant *t, uint64_t most, uint64_t id, struct owed_part *ret,
		      struct source_want *ret_want)
{
	bool found;

	pthread_mutex_lock(&t->lock);
	found = next_part(t, most, ret);
	ret->id = id;
	found = found && tenant_want(t, ret, ret_want);
	if (found) {
		if (!is_hot(t))
			t->cursor = ret->at.hi;
		found = !owed_take(&t->owed, ret->at, id);
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* Is all of it in memory?  A source that is no file is. */
static bool resident(const void *data, uint64_t len)
{
	unsigned char there[SOURCE_PAGES_MAX];

	if (mincore((void *)(uintptr_t)data, len, there) < 0)
		return true;
	for (uint64_t i = 0; i < len / IMAGE_PAGE; i++)
		if (!(there[i] & 1))
			return false;
	return true;
}

/*
 * What has to come from the disk comes now: in here nobody waits for us to leave the
 * gate.  What is in memory the kernel finds as quickly while it copies.
 */
static void fetch(struct tenant *t, struct source *s, uint64_t most)
{
	struct source_want want;
	struct owed_part part;
	const void *data;

	pthread_mutex_lock(&t->lock);
	part.at = (struct range){ 0, 0 };
	if (!next_part(t, most, &part) || !tenant_want(t, &part, &want))
		part.at = (struct range){ 0, 0 };
	pthread_mutex_unlock(&t->lock);
	if (range_empty(part.at))
		return;
	data = s->ops->at(s, &want);
#ifdef MADV_POPULATE_READ	/* 5.14 */
	if (data && !resident(data, range_len(part.at)))
		madvise((void *)(uintptr_t)data, range_len(part.at), MADV_POPULATE_READ);
#else
	(void)data;
#endif
}

enum tenant_fill tenant_fill(struct tenant *t, struct source *s, uint64_t most, uint64_t id)
{
	enum tenant_fill r = TENANT_NOTHING;
	struct source_want want;
	struct owed_part part;
	const void *data;

	if (t->gone || t->deaf)
		return TENANT_GONE;
	fetch(t, s, most);
	if (!gate_enter(&t->gate))
		return TENANT_BUSY;
	if (take_next(t, most, id, &part, &want)) {
		data = s->ops->at(s, &want);
		switch (tenant_place(t, &part, data, NULL)) {
		case PLACE_BUSY:
		case PLACE_NO_MEMORY:
			r = TENANT_BUSY;
			break;
		case PLACE_GONE:
			r = TENANT_GONE;
			break;
		default:
			r = TENANT_FILLED;
		}
	}
	gate_leave(&t->gate);
	return r;
}

bool tenant_next_want(struct tenant *t, uint32_t npages, uint64_t id, struct source_want *ret)
{
	struct owed_part part;

	return take_next(t, npages * IMAGE_PAGE, id, &part, ret);
}
