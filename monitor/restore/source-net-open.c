/* SPDX-License-Identifier: MIT */
/* Network source: its beginning and its end.  See source-net.h. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "source-net-parts.h"

#define SECONDS_DEFAULT 10
/* A server that takes only one connection at a time leaves the second one waiting. */
#define SECOND_NS (3 * NSEC_PER_SEC)

static const void *net_at(struct source *s, const struct source_want *want)
{
	(void)s;
	(void)want;
	return NULL;
}

static int net_fd(struct source *s)
{
	return ((struct source_net *)s)->epoll;
}

static void net_free(struct source *s)
{
	struct source_net *n = (struct source_net *)s;

	for (unsigned int i = 0; i < 2; i++)
		link_close(&n->lane[i].link);
	for (unsigned int i = 0; i < NET_SLOTS; i++)
		free(n->slot[i].data);
	if (n->timer >= 0)
		close(n->timer);
	if (n->epoll >= 0)
		close(n->epoll);
	if (n->addresses)
		freeaddrinfo(n->addresses);
	free(n->address);
	free(n);
}

static const struct source_ops net_ops = {
	.at = net_at,
	.ask = net_ask,
	.fd = net_fd,
	.answers = net_answers,
	.release = net_release,
	.free = net_free,
};

/* Nothing has been asked for: nobody is answered. */
static void no_answer(void *arg, const struct source_got *got)
{
	(void)arg;
	(void)got;
}

/* Until this connection is there, or has failed. */
static int await_lane(struct source_net *n, struct net_lane *l)
{
	struct pollfd p = { .fd = n->epoll, .events = POLLIN };

	while (l->state != LANE_UP && l->state != LANE_RESTING) {
		net_set_timer(n);
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
		net_answers(&n->base, no_answer, NULL);
	}
	return l->state == LANE_UP ? 0 : l->err;
}

/* Try each address once. */
static int open_first(struct source_net *n)
{
	int r = -EADDRNOTAVAIL;

	for (const struct addrinfo *a = n->addresses; a; a = a->ai_next) {
		lane_start(&n->lane[0], clock_now());
		r = await_lane(n, &n->lane[0]);
		if (!r)
			return 0;
	}
	return r;
}

/*
 * A second connection: CRIU's server takes one only, and then there is none.  What takes
 * two, and says which image it has on one, must say so on the other as well.
 */
static int open_second(struct source_net *n)
{
	uint64_t all = n->o.connect_ns;
	int r;

	n->o.connect_ns = SECOND_NS < all ? SECOND_NS : all;
	n->lane[1].to = n->lane[0].to;
	lane_start(&n->lane[1], clock_now());
	r = await_lane(n, &n->lane[1]);
	n->o.connect_ns = all;
	/* In TLS 1.3 one learns only now that one's own certificate is not wanted. */
	if (r == -ESTALE || (r == -EPROTO && n->o.tls))
		return r;
	if (r < 0) {
		lane_fail(&n->lane[1], 0, "");
		/* What was said of the first one meanwhile counts. */
		return n->lane[0].state == LANE_UP ? 0 : n->lane[0].err;
	}
	lane_identify(&n->lane[0], clock_now());
	return await_lane(n, &n->lane[0]);
}

static int prepare(struct source_net *n, const struct source_net_options *o)
{
	struct epoll_event ev = { .events = EPOLLIN };

	n->base.ops = &net_ops;
	n->o = *o;
	n->o.connect_ns = o->connect_ns ? o->connect_ns : SECONDS_DEFAULT * NSEC_PER_SEC;
	n->o.stall_ns = o->stall_ns ? o->stall_ns : SECONDS_DEFAULT * NSEC_PER_SEC;
	TAILQ_INIT(&n->urgent);
	TAILQ_INIT(&n->rest);
	for (unsigned int i = 0; i < 2; i++) {
		n->lane[i].net = n;
		n->lane[i].index = i;
		n->lane[i].link = LINK_NULL;
	}
	if (o->identity) {
		memcpy(n->identity, o->identity, WIRE_IDENTITY_SIZE);
		n->identified = true;
	}
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	n->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	n->address = strdup(o->address);
	if (!n->address)
		return -ENOMEM;
	n->o.address = n->address;
	if (n->epoll < 0 || n->timer < 0 ||
	    epoll_ctl(n->epoll, EPOLL_CTL_ADD, n->timer, &ev) < 0)
		return -errno;
	return 0;
}

int source_net_open(const struct source_net_options *o, struct source **ret,
		    struct source_net_problem *ret_why)
{
	struct source_net *n = calloc(1, sizeof(*n));
	int r;

	snprintf(ret_why->words, sizeof(ret_why->words), "%s", strerror(ENOMEM));
	if (!n)
		return -ENOMEM;
	r = prepare(n, o);
	if (r < 0) {
		snprintf(ret_why->words, sizeof(ret_why->words), "%s", strerror(-r));
		net_free(&n->base);
		return r;
	}
	r = link_resolve(o->address, o->port, false, &n->addresses);
	if (r) {
		snprintf(ret_why->words, sizeof(ret_why->words), "%s", gai_strerror(r));
		net_free(&n->base);
		return -EHOSTUNREACH;
	}
	n->opening = true;
	r = open_first(n);
	r = r ? r : open_second(n);
	n->opening = false;
	if (r < 0) {
		snprintf(ret_why->words, sizeof(ret_why->words), "%s", n->why.words);
		net_free(&n->base);
		return r;
	}
	n->lane[0].rest = n->lane[1].rest = 0;
	*ret = &n->base;
	return 0;
}

/* All of n bytes, until then.  0 or -errno. */
static int read_until(struct link *l, void *to, size_t n, uint64_t until)
{
	uint8_t *p = to;

	while (n) {
		struct iovec v = { p, n };
		ssize_t r = link_read(l, &v, 1);
		uint64_t now = clock_now();
		struct pollfd pfd = { .fd = l->fd, .events = POLLIN };

		if (r > 0) {
			p += r;
			n -= (size_t)r;
			continue;
		}
		if (r != -EAGAIN)
			return r ? (int)r : -ECONNRESET;
		if (now >= until)
			return -ETIMEDOUT;
		poll(&pfd, 1, (int)((until - now) / NSEC_PER_MSEC) + 1);
	}
	return 0;
}

static int say_goodbye(struct net_lane *l, uint64_t until)
{
	const struct wire_head h = { .cmd = WIRE_CLOSE };
	uint8_t buf[WIRE_WIDE_SIZE];
	int32_t status = 0;
	size_t n = (size_t)wire_put(l->net->o.layout, &h, buf);
	ssize_t r = link_write(&l->link, buf, n, false);

	/* Nothing else is on its way: so few bytes go out at once, or never. */
	if (r != (ssize_t)n)
		return r < 0 ? (int)r : -EIO;
	r = read_until(&l->link, &status, sizeof(status), until);
	return r ? (int)r : status ? -EIO : 0;
}

int source_net_finish(struct source *s)
{
	struct source_net *n = (struct source_net *)s;
	uint64_t until = clock_now() + n->o.connect_ns;
	int r = -ENOTCONN;

	if (n->flying)
		return -EBUSY;
	for (unsigned int i = 0; i < 2; i++)
		if (n->lane[i].state == LANE_UP) {
			int one = say_goodbye(&n->lane[i], until);

			r = one && r ? one : 0;
		}
	for (unsigned int i = 0; i < 2; i++)
		lane_fail(&n->lane[i], 0, "");
	n->down_since = 0;
	return r;
}

void source_net_totals(const struct source *s, struct source_net_totals *ret)
{
	const struct source_net *n = (const struct source_net *)s;

	*ret = n->totals;
	ret->connections = (n->lane[0].state != LANE_OFF) + (n->lane[1].state != LANE_OFF);
}
