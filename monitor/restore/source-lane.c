/* SPDX-License-Identifier: MIT */
/* Network source: one connection to the page server.  See source-net.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "source-net-parts.h"
#include "tls.h"

/* In flight without haste, in pages: on a connection of their own, or beside demands. */
#define WINDOW_OWN 2048u
#define WINDOW_SHARED 128u
/* One request without haste. */
#define PART_OWN 256u
#define PART_SHARED 64u
/* So much is read in one go: others of this thread want to get on, too. */
#define READ_MAX (512u << 10)
/* Between attempts, from and to. */
#define REST_MIN (20 * NSEC_PER_MSEC)
#define REST_MAX (2 * NSEC_PER_SEC)

static void watch_lane(struct net_lane *l, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = l };

	if (l->events == events)
		return;
	if (epoll_ctl(l->net->epoll, l->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, l->link.fd,
		      &ev) < 0)
		lane_fail(l, -errno, strerror(errno));
	else
		l->events = events;
}

/* What the other end did, whichever call noticed. */
static void lane_broken(struct net_lane *l, int err)
{
	if (!err || err == -EPIPE)
		lane_fail(l, -ENOTCONN, "it closed the connection");
	else
		lane_fail(l, err, link_words(&l->link, err));
}

void lane_fail(struct net_lane *l, int err, const char *words)
{
	struct slot_queue back = TAILQ_HEAD_INITIALIZER(back);
	struct match_asked *a;
	struct net_slot *slot;

	/* Put back in front of the others, in their order: the last one first. */
	while ((a = match_drop(&l->match))) {
		slot = (struct net_slot *)((char *)a - offsetof(struct net_slot, asked));
		TAILQ_INSERT_HEAD(&back, slot, queue);
	}
	while ((slot = TAILQ_FIRST(&back))) {
		TAILQ_REMOVE(&back, slot, queue);
		l->net->totals.again++;
		net_put_back(l->net, slot);
	}
	if (l->events)
		epoll_ctl(l->net->epoll, EPOLL_CTL_DEL, l->link.fd, NULL);
	link_close(&l->link);
	l->events = 0;
	l->flying = 0;
	l->out_n = l->in_n = 0;
	l->leftover = false;
	l->err = err;
	if (l->state == LANE_CONNECTING)
		l->to = l->to->ai_next;
	if (!err) {
		l->state = LANE_OFF;
		l->deadline = 0;
		return;
	}
	l->rest = l->rest ? 2 * l->rest : REST_MIN;
	if (l->rest > REST_MAX)
		l->rest = REST_MAX;
	l->deadline = clock_now() + l->rest;
	l->state = LANE_RESTING;
	net_lane_down(l, words);
}

void lane_identify(struct net_lane *l, uint64_t now)
{
	const struct wire_head h = { .cmd = WIRE_IDENTITY, .dst = 1 };

	l->state = LANE_ASKING;
	l->deadline = now + l->net->o.connect_ns;
	l->out_n = (size_t)wire_put(l->net->o.layout, &h, l->out);
	l->in_n = 0;
	lane_pump(l);
}

/* Connected, and if so in TLS: is it the image that we want? */
static void lane_connected(struct net_lane *l)
{
	match_init(&l->match, l->net->o.layout);
	/* The very first one may be to a server of CRIU's, which would not understand. */
	if (l->net->opening && !l->index && !l->net->o.proof) {
		l->state = LANE_UP;
		l->deadline = 0;
		watch_lane(l, EPOLLIN);
		net_lane_up(l);
		return;
	}
	lane_identify(l, clock_now());
}

void lane_start(struct net_lane *l, uint64_t now)
{
	int r;

	if (!l->to)
		l->to = l->net->addresses;
	l->state = LANE_CONNECTING;
	l->deadline = now + l->net->o.connect_ns;
	r = link_connect(l->to, &l->link);
	if (r < 0)
		lane_fail(l, r, strerror(-r));
	else
		watch_lane(l, EPOLLOUT);
}

static void shake(struct net_lane *l)
{
	struct tls_problem why;
	bool write;
	int r = link_shake(&l->link, &write, &why);

	if (r == -EAGAIN)
		watch_lane(l, write ? EPOLLOUT : EPOLLIN);
	else if (r < 0)
		lane_fail(l, r, why.words);
	else
		lane_connected(l);
}

static void on_connected(struct net_lane *l)
{
	const struct source_net_options *o = &l->net->o;
	int r = link_connected(&l->link);

	if (!r && o->tls)
		r = link_secure(&l->link, o->tls, false, o->tls_any_name ? NULL : o->address);
	if (r < 0) {
		lane_fail(l, r, strerror(-r));
	} else if (o->tls) {
		l->state = LANE_SHAKING;
		shake(l);
	} else {
		lane_connected(l);
	}
}

static void read_identity(struct net_lane *l)
{
	size_t head = wire_size(l->net->o.layout), all = head + WIRE_IDENTITY_SIZE;
	struct iovec v = { l->in + l->in_n, all - l->in_n };
	ssize_t r = link_read(&l->link, &v, 1);
	struct wire_head h;

	if (r == -EAGAIN)
		return;
	l->leftover = link_pending(&l->link);
	if (r <= 0) {
		lane_fail(l, r ? (int)r : -ENOTCONN, r ? link_words(&l->link, (int)r) :
			  "does not say which image it has");
		return;
	}
	l->in_n += (size_t)r;
	if (l->in_n < all)
		return;
	wire_get(l->net->o.layout, l->in, &h);
	if (h.cmd != WIRE_IDENTITY) {
		lane_fail(l, -EPROTO, "does not say which image it has");
	} else if (!net_identity_agrees(l->net, l->in + head)) {
		lane_fail(l, -ESTALE, "has another image");
	} else {
		l->state = LANE_UP;
		l->deadline = 0;
		net_lane_up(l);
	}
}

/* Pages keep coming: not byte by byte. */
static void note_progress(struct net_lane *l)
{
	l->rest = 0;
	l->deadline = match_oldest(&l->match) ? clock_now() + l->net->o.stall_ns : 0;
}

static void read_answers(struct net_lane *l, source_answer answer, void *arg)
{
	size_t total = 0;

	l->leftover = false;
	while (total < READ_MAX) {
		struct match_asked *before = match_oldest(&l->match), *done;
		uint32_t had = before ? before->got : 0;
		struct match_error e;
		struct iovec v[2];
		int n = match_room(&l->match, v), r;
		ssize_t got = link_read(&l->link, v, n);

		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			lane_broken(l, (int)got);
			return;
		}
		total += (size_t)got;
		r = match_take(&l->match, (size_t)got, &done, &e);
		if (done || (before && before->got > had))
			note_progress(l);
		if (done) {
			struct net_slot *slot = (struct net_slot *)
				((char *)done - offsetof(struct net_slot, asked));

			if (!slot->urgent)
				l->flying -= done->npages;
			net_part_done(l->net, slot, answer, arg);
		}
		if (r < 0) {
			lane_fail(l, r, e.words);
			return;
		}
	}
	l->leftover = link_pending(&l->link);
}

void lane_ready(struct net_lane *l, uint32_t events, source_answer answer, void *arg)
{
	switch (l->state) {
	case LANE_CONNECTING:
		on_connected(l);
		break;
	case LANE_SHAKING:
		shake(l);
		break;
	case LANE_ASKING:
		if (events & ~(uint32_t)EPOLLOUT)
			read_identity(l);
		break;
	case LANE_UP:
		if (events & ~(uint32_t)EPOLLOUT)
			read_answers(l, answer, arg);
		break;
	default:
		break;
	}
}

void lane_late(struct net_lane *l, uint64_t now)
{
	char words[80];

	if (l->state == LANE_RESTING) {
		lane_start(l, now);
		return;
	}
	if (l->state == LANE_UP)
		snprintf(words, sizeof(words), "sent no page for %" PRIu64 " ms",
			 l->net->o.stall_ns / NSEC_PER_MSEC);
	else
		snprintf(words, sizeof(words), "%s", l->state == LANE_CONNECTING ?
			 strerror(ETIMEDOUT) : "does not answer");
	lane_fail(l, -ETIMEDOUT, words);
}

static bool others_up(const struct net_lane *l)
{
	return l->net->lane[!l->index].state == LANE_UP;
}

/*
 * Which demand this lane sends next: the first one takes those with haste, the second one
 * the others; and each one all, while the other is not there.
 */
static struct net_slot *next_slot(struct net_lane *l)
{
	bool shared = !others_up(l);
	struct net_slot *slot = TAILQ_FIRST(&l->net->urgent);

	if (slot && (!l->index || shared))
		return slot;
	slot = TAILQ_FIRST(&l->net->rest);
	if (!slot || (!l->index && !shared))
		return NULL;
	/* One at least, however large. */
	return !l->flying || l->flying < (shared ? WINDOW_SHARED : WINDOW_OWN) ? slot : NULL;
}

static bool send_one(struct net_lane *l, struct net_slot *slot)
{
	uint32_t left = slot->npages - slot->have;
	uint32_t part = slot->urgent ? left : others_up(l) ? PART_OWN : PART_SHARED;
	struct wire_head h = { .cmd = WIRE_GET, .dst = (uint64_t)slot->pid };

	slot->asked = (struct match_asked){
		.pid = slot->pid,
		.vaddr = slot->vaddr + slot->have * WIRE_PAGE,
		.npages = left < part ? left : part,
		.data = slot->data + slot->have * WIRE_PAGE,
	};
	if (l->out_n + WIRE_WIDE_SIZE > sizeof(l->out) || match_ask(&l->match, &slot->asked) < 0)
		return false;
	h.vaddr = slot->asked.vaddr;
	h.npages = slot->asked.npages;
	l->out_n += (size_t)wire_put(l->net->o.layout, &h, l->out + l->out_n);
	TAILQ_REMOVE(slot->urgent ? &l->net->urgent : &l->net->rest, slot, queue);
	slot->state = SLOT_FLYING;
	if (!slot->urgent)
		l->flying += slot->asked.npages;
	return true;
}

void lane_pump(struct net_lane *l)
{
	struct net_slot *slot;
	ssize_t r = 0;

	if (l->state == LANE_UP)
		while ((slot = next_slot(l)) && send_one(l, slot))
			if (!l->deadline)
				l->deadline = clock_now() + l->net->o.stall_ns;
	if (l->state != LANE_UP && l->state != LANE_ASKING)
		return;
	while (l->out_n && (r = link_write(&l->link, l->out, l->out_n, false)) > 0) {
		l->out_n -= (size_t)r;
		memmove(l->out, l->out + r, l->out_n);
	}
	if (r < 0 && r != -EAGAIN)
		lane_broken(l, (int)r);
	else
		watch_lane(l, l->out_n ? EPOLLIN | EPOLLOUT : EPOLLIN);
}
