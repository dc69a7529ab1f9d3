/* SPDX-License-Identifier: MIT */
/* Pager: faults, and pages that have to be asked for.  See pager.h. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "restore/pager-parts.h"

/*
 * Whoever waits has the way to himself: what fills up is put off for so long after a fault, but
 * not for longer than that in all.
 */
#define HOLD_NS (300 * NSEC_PER_USEC)
#define HOLD_MOST_NS (2 * NSEC_PER_MSEC)

static struct asked *free_place(struct pager *p)
{
	for (struct asked *a = p->asked; a < p->asked + ASKED_MAX; a++)
		if (!a->tenant)
			return a;
	return NULL;
}

/* An id names its place, and is never used again; TENANT_URGENT may be added. */
static uint64_t new_id(struct pager *p, const struct asked *a)
{
	return FLIGHT_ASKED + ++p->serial * ASKED_MAX + (uint64_t)(a - p->asked);
}

static struct asked *place_of(struct pager *p, uint64_t id)
{
	struct asked *a = &p->asked[((id & ~TENANT_URGENT) - FLIGHT_ASKED) % ASKED_MAX];

	return a->tenant && a->want.id == id ? a : NULL;
}

/* 0 if it is under way; else its pages are free again, or lost. */
static int send_want(struct pager *p, struct asked *a, struct tenant *t,
		     const struct source_want *want, const struct tenant_touch *touch,
		     uint64_t since)
{
	int r = p->setup->source->ops->ask(p->setup->source, want);

	if (!r) {
		*a = (struct asked){ .tenant = t, .since = since, .want = *want };
		a->touched = touch;
		if (touch)
			a->touch = *touch;
		p->nasked++;
		p->nbulk += !touch;
		p->asked_at = touch ? clock_now() : p->asked_at;
		p->bulk_in_flight += touch ? 0 : want->npages;
		return 0;
	}
	tenant_refused(t, want, r == -EINVAL ? TENANT_LOST : TENANT_PARK);
	return r == -EINVAL ? 0 : r;
}

/* Until there is room.  With too many the thread is woken, and its fault comes again. */
static void wait_for_room(struct pager *p, struct tenant *t, const struct tenant_touch *touch,
			  uint64_t since)
{
	if (p->nwaiting < WAITING_MAX)
		p->waiting[p->nwaiting++] = (struct waiting){ t, *touch, since };
	else
		tenant_again(t, touch->addr);
}

void pager_fault(struct pager *p, struct tenant *t, const struct tenant_touch *touch,
		 uint64_t since)
{
	struct asked *a = free_place(p);
	struct source_want want;
	uint64_t id;

	if (p->remote && !pager_tell_room(p)) {
		tenant_again(t, touch->addr);
		return;
	}
	if (p->remote && !a) {
		wait_for_room(p, t, touch, since);
		return;
	}
	id = p->remote ? new_id(p, a) | TENANT_URGENT : FLIGHT_EVENT;
	switch (tenant_fault(t, p->setup->source, touch, id, &want)) {
	case TENANT_ANSWERED:
		pager_figures_answered(p, since);
		pager_tell_touch(p, t, touch, since);
		return;
	case TENANT_AWAITED:
		pager_tell_wait(p, t, touch, since);
		return;
	case TENANT_ASK:
		pager_tell_wait(p, t, touch, since);
		break;
	}
	if (p->dead) {
		tenant_refused(t, &want, TENANT_PARK);
		return;
	}
	if (send_want(p, a, t, &want, touch, since) < 0)
		wait_for_room(p, t, touch, since);
}

static void on_answer(void *arg, const struct source_got *got)
{
	struct pager *p = arg;
	struct asked *a = place_of(p, got->id), old;
	enum tenant_deed deed;

	if (!a) {
		if (!got->err)
			p->setup->source->ops->release(p->setup->source, got->id);
		return;
	}
	old = *a;
	a->tenant = NULL;
	if (old.touched)
		p->way_ns = clock_now() - p->asked_at;
	p->nasked--;
	p->nbulk -= !old.touched;
	p->bulk_in_flight -= old.touched ? 0 : old.want.npages;
	if (got->err) {
		tenant_refused(old.tenant, &old.want, got->err == -EIO ? TENANT_LOST : TENANT_PARK);
		if (got->err == -EIO)
			pager_tell_came(p, &old, TENANT_DID_POISON);
		return;
	}
	deed = tenant_arrived(old.tenant, &old.want, got->data,
			      old.touched ? &old.touch : NULL);
	pager_tell_came(p, &old, deed);
	pager_figures_answered(p, old.since);
	p->setup->source->ops->release(p->setup->source, got->id);
}

void pager_answers(struct pager *p)
{
	int r = p->setup->source->ops->answers(p->setup->source, on_answer, p);

	if (r < 0 && !p->dead) {
		p->dead = true;
		pager_say(p, PAGER_ERROR, "no more pages can be had (%s): who needs one waits",
			  strerror(-r));
	}
}

static void ask_for_waiting(struct pager *p)
{
	struct waiting w[WAITING_MAX];
	unsigned int n = p->nwaiting;

	memcpy(w, p->waiting, n * sizeof(*w));
	p->nwaiting = 0;
	for (unsigned int i = 0; i < n; i++)
		pager_fault(p, w[i].tenant, &w[i].touch, w[i].since);
}

/* The next process in turn that has pages to be asked for. */
static bool ask_next(struct pager *p, uint32_t npages)
{
	struct tenant *first = p->turn ? p->turn : p->tenants, *t = first;
	struct asked *a = free_place(p);
	struct source_want want;
	bool hot;

	if (!a || !t)
		return false;
	do {
		p->turn = t->next ? t->next : p->tenants;
		/* What is wanted first is as urgent as what somebody waits for: he is next. */
		hot = tenant_is_hot(t);
		if (!t->gone && !t->deaf && t->uffd >= 0 &&
		    tenant_next_want(t, npages, new_id(p, a) | (hot ? TENANT_URGENT : 0), &want)) {
			want.urgent = hot;
			return !send_want(p, a, t, &want, NULL, 0);
		}
		t = p->turn;
	} while (t != first);
	return false;
}

static bool somebody_is_hot(const struct pager *p)
{
	for (struct tenant *t = p->tenants; t; t = t->next)
		if (tenant_is_hot(t))
			return true;
	return false;
}

/*
 * Is somebody waiting, or likely to be in a moment?  Then p->more_at is when that is over.  What
 * is wanted first is not put off: it is what he would wait for next.
 */
static bool held_back(struct pager *p)
{
	uint64_t now = clock_now(), until = p->pace.last + HOLD_NS;
	uint64_t most = p->bulk_asked_at + HOLD_MOST_NS;

	if (p->nasked > p->nbulk)
		until = now + HOLD_NS;
	if (!p->pace.last || now >= until || now >= most || somebody_is_hot(p))
		return false;
	p->more_at = until < most ? until : most;
	return true;
}

/* While there are faults less: their answers stand in line behind those that are here. */
void pager_ask_more(struct pager *p)
{
	unsigned int most = p->bulk_max;
	uint32_t npages = p->bulk_pages;

	if (!p->remote || p->dead)
		return;
	if (p->nwaiting)
		ask_for_waiting(p);
	p->more_at = UINT64_MAX;
	if (held_back(p))
		return;
	if (clock_now() - p->pace.last < PACE_HOT_NS) {
		most = (most + 2) / 3;
		npages /= 2;
	}
	/* So many pages: what is scattered, to come first, goes in more and smaller demands. */
	while (p->resumed && p->bulk_in_flight < most * npages && p->nbulk < SMALL_MAX &&
	       ask_next(p, npages))
		p->bulk_asked_at = clock_now();
}
