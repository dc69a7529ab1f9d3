/* SPDX-License-Identifier: MIT */
/* Tenant: messages read and followed, and faults answered.  See tenant.h. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "restore/tenant-parts.h"
#include "restore/tenant.h"
#include "watch/event.h"
#include "watch/uffd.h"

/*
 * Pages that come along with one that was touched: so many, aligned, around it.  Copied
 * here they cost the thread that waits a microsecond or so each, asked for less than the way.
 */
#define BLOCK_HERE 2u
#define BLOCK_LEFT 4u		/* asked for, of what is to stay where it is */
#define BLOCK_ASKED 16u

/*
 * The child's memory is the parent's of this moment: the kernel lets nobody copy to the
 * parent from before it was duplicated until this message has been read.
 */
static int make_child(struct tenant *t, int uffd, struct tenant **ret)
{
	struct tenant *child = tenant_blank(t->pid, t->task);
	struct roster_slot *slot;
	int r;

	if (!child)
		return -ENOMEM;
	child->forked = true;
	child->leave = t->leave;
	child->wp = t->wp;
	pthread_mutex_lock(&t->lock);
	child->hot = t->hot;
	child->hot_at = t->hot_at;
	r = owed_clone(&child->owed, &t->owed);
	pthread_mutex_unlock(&t->lock);
	if (!r && t->slot) {
		slot = roster_birth(t->roster, t->slot, uffd, &child->owed);
		r = slot ? 0 : -ENOMEM;
		tenant_enroll(child, t->roster, slot);
	}
	if (r < 0) {
		tenant_free(child);
		return r;
	}
	child->uffd = uffd;
	*ret = child;
	return 0;
}

static void follow_fork(struct tenant *t, int uffd, struct tenant_news *news)
{
	struct tenant_change *told = &news->changes[news->nchanges++];

	told->ev = (struct event){ .kind = EVENT_FORK, .fork.fd = -1 };
	if (!make_child(t, uffd, &told->child)) {
		news->children[news->nchildren++] = told->child;
		return;
	}
	/* The descriptor stays open for good: closed, it would give the child zeroes. */
	news->orphans++;
}

static bool entry_of(const struct event *ev, struct journal_entry *ret)
{
	switch (ev->kind) {
	case EVENT_UNMAP:
	case EVENT_REMOVE:
		*ret = (struct journal_entry){
			.kind = ev->kind == EVENT_UNMAP ? JOURNAL_UNMAP : JOURNAL_REMOVE,
			.lo = ev->span.lo, .hi = ev->span.hi,
		};
		return true;
	case EVENT_REMAP:
		*ret = (struct journal_entry){
			.kind = JOURNAL_REMAP, .lo = ev->remap.from.lo,
			.hi = ev->remap.from.hi, .at = ev->remap.to,
		};
		return true;
	case EVENT_FAULT:
	case EVENT_FORK:
		break;
	}
	return false;
}

/*
 * For want of memory nothing may be forgotten that is to be zeroes, or be put where
 * something else is now: then all the rest stays as it is, unserved.
 */
static int follow(struct tenant *t, const struct event *ev)
{
	struct journal_entry entry;
	struct range changed = ev->kind == EVENT_REMAP ? ev->remap.from : ev->span;
	int64_t r = 0;

	pthread_mutex_lock(&t->lock);
	switch (ev->kind) {
	case EVENT_UNMAP:
		r = owed_unmap(&t->owed, ev->span);
		break;
	case EVENT_REMOVE:
		r = owed_close(&t->owed, ev->span, OWED_REMOVED);
		break;
	case EVENT_REMAP:
		r = owed_remap(&t->owed, ev->remap.from, ev->remap.to);
		break;
	case EVENT_FAULT:
	case EVENT_FORK:
		break;
	}
	pthread_mutex_unlock(&t->lock);
	if (r >= 0 && t->slot && entry_of(ev, &entry))
		r = roster_follow(t->roster, t->slot, &entry);
	/*
	 * Who waits there for a page that was asked for would wait for ever: it comes to
	 * another place, or not at all.
	 */
	place_wake(t->uffd, changed);
	/*
	 * What was removed stays registered, and zeroes are ours to give: unregistered, it
	 * would be a mapping of its own, and an mremap of the whole would fail.
	 */
	return r < 0 ? (int)r : 0;
}

/* born: a dead pager may have seen to children of this batch. */
static int follow_all(struct tenant *t, const struct uffd_msg *msgs, unsigned int n, bool born,
		      struct tenant_news *ret)
{
	struct tenant_touch *touch;
	struct event ev;
	int r = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (event_decode(&msgs[i], sizeof(*msgs), &ev) < 0) {
			r = -EBADMSG;
		} else if (ev.kind == EVENT_FAULT) {
			touch = &ret->faults[ret->nfaults++];
			touch->addr = ev.fault.addr;
			touch->write = ev.fault.write;
			touch->wp = ev.fault.wp;
		} else if (ev.kind == EVENT_FORK) {
			if (!born || !roster_born(t->roster, ev.fork.fd))
				follow_fork(t, ev.fork.fd, ret);
		} else if (!r) {
			ret->changes[ret->nchanges++].ev = ev;
			r = follow(t, &ev);
		}
	}
	return r;
}

/* What is written down is whole again, or the process is deaf. */
static void batch_ends(struct tenant *t, unsigned int n, int r)
{
	if (r < 0) {
		t->deaf = true;
		if (t->slot)
			roster_deafen(t->slot);
	}
	if (!t->slot)
		return;
	roster_read_end(t->roster, t->slot, n);
	if (!roster_long(t->slot, t->owed.nruns))
		return;
	pthread_mutex_lock(&t->lock);
	roster_shorten(t->roster, t->slot, &t->owed);
	pthread_mutex_unlock(&t->lock);
}

int tenant_read(struct tenant *t, struct tenant_news *ret)
{
	struct uffd_msg own[TENANT_BATCH], *msgs = own;
	unsigned int n;
	int64_t bytes;
	int r;

	memset(ret, 0, sizeof(*ret));
	gate_close(&t->gate);
	if (t->slot)
		msgs = roster_read_begin(t->roster, t->slot);
	bytes = uffd_read(t->uffd, msgs, TENANT_BATCH);
	n = bytes > 0 ? (unsigned int)((size_t)bytes / sizeof(*msgs)) : 0;
	r = follow_all(t, msgs, n, false, ret);
	batch_ends(t, n, r);
	gate_open(&t->gate);
	return bytes < 0 && bytes != -EAGAIN ? (int)bytes : r;
}

int tenant_reread(struct tenant *t, unsigned int n, struct tenant_news *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	gate_close(&t->gate);
	r = follow_all(t, roster_shared(t->roster)->messages, n, true, ret);
	batch_ends(t, n, r);
	gate_open(&t->gate);
	return r;
}

static void count(struct tenant *t, uint64_t *counter)
{
	pthread_mutex_lock(&t->lock);
	++*counter;
	pthread_mutex_unlock(&t->lock);
}

/* Nothing is owed there: it is new to the process, or came already. */
static enum tenant_answer answer_zero(struct tenant *t, struct range page)
{
	switch (place_zero(t->uffd, page)) {
	case PLACE_ALL:
		t->deed = TENANT_DID_ZERO;
		count(t, &t->counts.zeros);
		break;
	case PLACE_THERE:
		t->deed = TENANT_DID_REPEAT;
		count(t, &t->counts.repeated);
		break;
	case PLACE_GONE:
		tenant_gone(t);
		break;
	default:	/* woken, it faults again if need be */
		break;
	}
	return TENANT_ANSWERED;
}

/* The page alone, first of all; it may be one that a filler is just about to copy. */
static void answer_page(struct tenant *t, struct range page, const void *data, bool wp)
{
	uint64_t done;
	enum place_end end = place_copy(t->uffd, page, data, wp, &done);

	if (end == PLACE_GONE) {
		tenant_gone(t);
		return;
	}
	if (end == PLACE_UNREADABLE) {
		tenant_unreadable(t, page);
		t->deed = TENANT_DID_POISON;
		return;
	}
	if (end != PLACE_ALL)
		place_wake(t->uffd, page);
	if (end != PLACE_ALL && end != PLACE_THERE)
		return;
	t->deed = end == PLACE_ALL ? TENANT_DID_COPY : TENANT_DID_REPEAT;
	pthread_mutex_lock(&t->lock);
	tenant_close(t, page, end == PLACE_ALL ? OWED_ARRIVED : OWED_THERE);
	t->counts.faults += end == PLACE_ALL;
	t->counts.repeated += end == PLACE_THERE;
	pthread_mutex_unlock(&t->lock);
}

/*
 * The free pages of the block around addr that are of one run and one piece: while the
 * process is early, the neighbours of a registered page need not be.
 */
static bool block_around(const struct tenant *t, uint64_t addr, unsigned int npages,
			 struct owed_part *part, struct source_want *ret)
{
	struct range block = { align_down(addr, npages * IMAGE_PAGE), 0 };

	block.hi = block.lo + npages * IMAGE_PAGE;
	if (!owed_find(&t->owed, addr, part) || part->id)
		return false;
	block = range_common(block, part->at);
	part->image += block.lo - part->at.lo;
	part->at = block;
	if (!tenant_want(t, part, ret))
		return false;
	if (range_has(part->at, addr))
		return true;
	/* The piece ends before: from the next one on. */
	part->image += page_at(addr).lo - part->at.lo;
	part->at = (struct range){ page_at(addr).lo, block.hi };
	return tenant_want(t, part, ret);
}

/* With its neighbours, by one call of the kernel.  False: it is in flight already. */
static bool answer_block(struct tenant *t, struct source *s, struct range page, bool write,
			 uint64_t id)
{
	struct tenant_aim aim = { .page = page.lo, .plain = write };
	struct source_want want;
	struct owed_part part;
	bool taken;

	pthread_mutex_lock(&t->lock);
	taken = block_around(t, page.lo, t->early ? 1 : BLOCK_HERE, &part, &want) &&
		!owed_take(&t->owed, part.at, id);
	t->counts.faults += taken;
	/* Filling goes on from here: what lies near is likelier to be wanted next. */
	t->cursor = taken ? part.at.hi : t->cursor;
	pthread_mutex_unlock(&t->lock);
	if (taken && tenant_place(t, &part, s->ops->at(s, &want), &aim) != PLACE_ALL)
		place_wake(t->uffd, page);
	t->deed = aim.deed;
	return taken;
}

/*
 * What is asked for once more, of a demand without haste that is under way: the page, which
 * else comes soon.  Where such demands are large who reads on would overtake all of it page
 * by page.
 */
static struct range overtaken(const struct source *s, struct range page,
			      const struct owed_part *whole)
{
	uint64_t size = BLOCK_ASKED * IMAGE_PAGE, lo = align_down(page.lo, size);

	return s->bulk_pages ? range_common((struct range){ lo, lo + size }, whole->at) : page;
}

enum tenant_answer tenant_fault(struct tenant *t, struct source *s,
				const struct tenant_touch *touch, uint64_t id,
				struct source_want *ret_want)
{
	struct range page = page_at(touch->addr);
	struct owed_part whole, part;
	struct source_want want;
	const void *data;
	uint64_t now;
	bool owed;

	pthread_mutex_lock(&t->lock);
	owed = owed_find(&t->owed, page.lo, &whole);
	part = whole;
	part.image += page.lo - whole.at.lo;
	part.at = page;
	if (owed)
		owed = tenant_want(t, &part, &want);
	pthread_mutex_unlock(&t->lock);
	now = clock_now();
	t->fault_gap = now - t->fault_at;
	t->fault_at = now;
	t->deed = TENANT_DID_NOTHING;
	if (touch->wp) {
		t->deed = tenant_unprotect(t, page);
		return TENANT_ANSWERED;
	}
	if (!owed)
		return answer_zero(t, page);
	data = s->ops->at(s, &want);
	if (data) {
		if (!answer_block(t, s, page, touch->write, id))
			answer_page(t, page, data, t->wp && !touch->write);
		return TENANT_ANSWERED;
	}
	if (whole.id & TENANT_URGENT)
		return TENANT_AWAITED;
	pthread_mutex_lock(&t->lock);
	*ret_want = want;
	owed = !whole.id || owed_give_back(&t->owed, overtaken(s, page, &whole)) > 0;
	if (owed && (!whole.id || s->bulk_pages))
		owed = block_around(t, page.lo, t->early ? 1 : t->leave ? BLOCK_LEFT :
				    BLOCK_ASKED, &part, ret_want);
	owed = owed && !owed_take(&t->owed, part.at, id);
	t->counts.faults += owed;
	pthread_mutex_unlock(&t->lock);
	ret_want->id = id;
	ret_want->urgent = true;
	if (owed)
		return TENANT_ASK;
	place_wake(t->uffd, page);
	return TENANT_ANSWERED;
}

bool tenant_hold(struct tenant *t, uint64_t addr, uint64_t id)
{
	bool held;

	pthread_mutex_lock(&t->lock);
	held = !owed_take(&t->owed, page_at(addr), id);
	pthread_mutex_unlock(&t->lock);
	return held;
}

void tenant_let_go(struct tenant *t, uint64_t addr, uint64_t id)
{
	struct owed_part part;

	pthread_mutex_lock(&t->lock);
	if (owed_find(&t->owed, page_at(addr).lo, &part) && part.id == id)
		owed_give_back(&t->owed, page_at(addr));
	pthread_mutex_unlock(&t->lock);
}

bool tenant_probe(struct tenant *t)
{
	if (t->gone || !place_alive(t->uffd))
		tenant_gone(t);
	return !t->gone;
}

void tenant_again(struct tenant *t, uint64_t addr)
{
	place_wake(t->uffd, page_at(addr));
}

void tenant_wake(struct tenant *t)
{
	place_wake_all(t->uffd);
}
