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

void tenant_close_part(struct tenant *t, struct range r, enum owed_end why)
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
		tenant_close_part(t, (struct range){ rest.lo, rest.lo + done }, OWED_ARRIVED);
		note(aim, (struct range){ rest.lo, rest.lo + done }, TENANT_DID_COPY);
		rest.lo += done;
		page = (struct range){ rest.lo, rest.lo + IMAGE_PAGE };
		switch (end) {
		case PLACE_ALL:
			continue;
		case PLACE_THERE:
			tenant_close_part(t, page, OWED_THERE);
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
			tenant_close_part(t, page, part->doubt ? OWED_UNMAPPED : OWED_LOST);
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
