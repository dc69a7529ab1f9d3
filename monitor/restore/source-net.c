/* SPDX-License-Identifier: MIT */
/* Network source: demands, and who is told of what.  See source-net.h. */

#include "source-net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "source-net-parts.h"

/* ---- demands ---------------------------------------------------------------- */

/* The smallest room that suffices. */
static struct net_slot *take_slot(struct source_net *n, uint32_t npages)
{
	unsigned int from = npages > NET_SMALL_PAGES ? NET_SMALL : 0;

	for (unsigned int i = from; i < NET_SLOTS; i++)
		if (n->slot[i].state == SLOT_FREE)
			return &n->slot[i];
	return NULL;
}

/* Buffers stay with their slots: fresh memory costs a fault a page. */
static int make_room(const struct source_net *n, struct net_slot *slot, uint32_t npages)
{
	bool small = slot - n->slot < NET_SMALL;
	uint32_t room = small ? NET_SMALL_PAGES : npages;
	uint8_t *data;

	if (slot->room >= npages)
		return 0;
	data = aligned_alloc(WIRE_PAGE, room * WIRE_PAGE);
	if (!data)
		return -ENOMEM;
	free(slot->data);
	slot->data = data;
	slot->room = room;
	return 0;
}

static int new_slot(struct source_net *n, const struct source_want *want, struct net_slot **ret)
{
	struct net_slot *slot;
	int r;

	slot = take_slot(n, want->npages);
	if (!slot)
		return -EAGAIN;
	r = make_room(n, slot, want->npages);
	if (r < 0)
		return r;
	slot->state = SLOT_WAITING;
	slot->id = want->id;
	slot->pid = want->pid;
	slot->vaddr = want->vaddr;
	slot->npages = want->npages;
	slot->urgent = want->urgent;
	slot->have = 0;
	*ret = slot;
	return 0;
}

int net_ask(struct source *s, const struct source_want *want)
{
	struct source_net *n = (struct source_net *)s;
	struct net_slot *slot;
	int r;

	if (!want->npages || want->npages > SOURCE_PAGES_MAX || want->vaddr % WIRE_PAGE ||
	    want->vaddr > UINT64_MAX - want->npages * WIRE_PAGE || want->pid <= 0)
		return -EINVAL;
	if (n->gave_up)
		return -ETIMEDOUT;
	r = new_slot(n, want, &slot);
	if (r < 0)
		return r;
	TAILQ_INSERT_TAIL(slot->urgent ? &n->urgent : &n->rest, slot, queue);
	n->flying++;
	/* From within a callback: all of them go out together when that is done. */
	if (!n->busy) {
		lane_pump(&n->lane[0]);
		lane_pump(&n->lane[1]);
		net_set_timer(n);
	}
	return 0;
}

void net_put_back(struct source_net *n, struct net_slot *slot)
{
	slot->have += slot->asked.got;
	slot->state = SLOT_WAITING;
	TAILQ_INSERT_HEAD(slot->urgent ? &n->urgent : &n->rest, slot, queue);
}

static void give(struct source_net *n, struct net_slot *slot, int err, source_answer answer,
		 void *arg)
{
	const struct source_got got = {
		.id = slot->id, .data = err ? NULL : slot->data, .npages = slot->npages, .err = err,
	};

	n->flying--;
	slot->state = err ? SLOT_FREE : SLOT_GIVEN;
	answer(arg, &got);
}

static void tell(const struct source_net *n, enum source_net_kind kind, const char *words)
{
	if (n->o.told)
		n->o.told(n->o.arg, kind, words);
}

void net_part_done(struct source_net *n, struct net_slot *slot, source_answer answer, void *arg)
{
	n->totals.answers++;
	n->totals.pages += slot->asked.got;
	if (n->down_told) {
		n->down_told = false;
		tell(n, SOURCE_NET_BACK, "answers again");
	}
	if (slot->have + slot->asked.got < slot->npages) {
		net_put_back(n, slot);
		return;
	}
	slot->have = slot->npages;
	give(n, slot, 0, answer, arg);
}

void net_release(struct source *s, uint64_t id)
{
	struct source_net *n = (struct source_net *)s;

	/* No other one that has been given has this id, so this one is nobody else's. */
	for (unsigned int i = 0; i < NET_SLOTS; i++)
		if (n->slot[i].state == SLOT_GIVEN && n->slot[i].id == id) {
			n->slot[i].state = SLOT_FREE;
			break;
		}
}

/* ---- connections ------------------------------------------------------------ */

bool net_identity_agrees(struct source_net *n, const uint8_t *identity)
{
	if (n->identified)
		return !memcmp(n->identity, identity, WIRE_IDENTITY_SIZE);
	/* That of the connections that were there from the beginning. */
	if (!n->opening)
		return false;
	memcpy(n->identity, identity, WIRE_IDENTITY_SIZE);
	n->identified = true;
	return true;
}

void net_lane_up(struct net_lane *l)
{
	struct source_net *n = l->net;
	struct net_lane *other = &n->lane[!l->index];

	n->down_since = 0;
	if (n->down_told && !n->flying) {
		n->down_told = false;
		tell(n, SOURCE_NET_BACK, "connected again");
	}
	/* Whoever says which image it has takes more connections than one. */
	if (!n->opening && other->state == LANE_OFF)
		lane_start(other, clock_now());
}

void net_lane_down(struct net_lane *l, const char *words)
{
	struct source_net *n = l->net;
	bool again = n->down_told && !strcmp(words, n->why.words);

	snprintf(n->why.words, sizeof(n->why.words), "%s", words);
	if (n->opening)
		return;
	n->totals.lost++;
	if (n->lane[!l->index].state != LANE_UP && !n->down_since)
		n->down_since = clock_now();
	/* Once for each reason, until answers come again. */
	n->down_told = true;
	if (!again)
		tell(n, SOURCE_NET_LOST, words);
}

/* ---- the loop --------------------------------------------------------------- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

void net_set_timer(struct source_net *n)
{
	uint64_t at = sooner(n->lane[0].deadline, n->lane[1].deadline);
	struct itimerspec t = { 0 };

	if (n->down_since && n->o.give_up_ns)
		at = sooner(at, n->down_since + n->o.give_up_ns);
	if (n->lane[0].leftover || n->lane[1].leftover || n->busy)
		at = 1;
	/* Too early does no harm: each page moves it on. */
	if (!at || (n->timer_at && n->timer_at <= at))
		return;
	n->timer_at = at;
	t.it_value.tv_sec = (time_t)(at / NSEC_PER_SEC);
	t.it_value.tv_nsec = (long)(at % NSEC_PER_SEC);
	timerfd_settime(n->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void look_at_clock(struct source_net *n)
{
	uint64_t now = clock_now();

	for (unsigned int i = 0; i < 2; i++)
		if (n->lane[i].deadline && n->lane[i].deadline <= now)
			lane_late(&n->lane[i], now);
}

static void give_up(struct source_net *n, source_answer answer, void *arg)
{
	struct net_slot *slot;

	n->gave_up = true;
	lane_fail(&n->lane[0], 0, "");
	lane_fail(&n->lane[1], 0, "");
	tell(n, SOURCE_NET_GAVE_UP, n->why.words);
	while ((slot = TAILQ_FIRST(&n->urgent))) {
		TAILQ_REMOVE(&n->urgent, slot, queue);
		give(n, slot, -ETIMEDOUT, answer, arg);
	}
	while ((slot = TAILQ_FIRST(&n->rest))) {
		TAILQ_REMOVE(&n->rest, slot, queue);
		give(n, slot, -ETIMEDOUT, answer, arg);
	}
}

int net_answers(struct source *s, source_answer answer, void *arg)
{
	struct source_net *n = (struct source_net *)s;
	struct epoll_event ev[4];
	uint64_t expired;
	int k;

	if (n->gave_up)
		return -ETIMEDOUT;
	n->busy = true;
	if (read(n->timer, &expired, sizeof(expired)) == sizeof(expired))
		n->timer_at = 0;
	k = epoll_wait(n->epoll, ev, 4, 0);
	/* The first one has what somebody waits for. */
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t events = n->lane[i].leftover ? EPOLLIN : 0;

		for (int j = 0; j < k; j++)
			if (ev[j].data.ptr == &n->lane[i])
				events |= ev[j].events;
		if (events)
			lane_ready(&n->lane[i], events, answer, arg);
	}
	look_at_clock(n);
	if (n->down_since && n->o.give_up_ns &&
	    clock_now() - n->down_since >= n->o.give_up_ns)
		give_up(n, answer, arg);
	n->busy = false;
	lane_pump(&n->lane[0]);
	lane_pump(&n->lane[1]);
	net_set_timer(n);
	return n->gave_up ? -ETIMEDOUT : 0;
}
