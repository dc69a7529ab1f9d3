/* SPDX-License-Identifier: MIT */
/*
 * Liar: a page server that does one thing wrong, some times, and then none.
 *
 * It serves the checkpoint of page-server-rig.h in the narrow layout, one thread a
 * connection.  Before the GET of the number `at` on a connection it lies, as long as there
 * are lies left.
 */
#ifndef TESTS_LIAR_H
#define TESTS_LIAR_H

#include <stdlib.h>

#include "page-server-rig.h"

enum lie {
	LIE_NONE,
	LIE_ADDRESS,		/* the answer is of the page after it */
	LIE_PROCESS,
	LIE_COMMAND,
	LIE_FLAGS,
	LIE_MORE,		/* one page more than asked for */
	LIE_ZERO,		/* no page */
	LIE_ORDER,		/* this answer after the next one */
	LIE_TWICE,
	LIE_EXTRA,		/* bytes behind the answer */
	LIE_RUBBISH,		/* bytes in its place */
	LIE_STALL,		/* half a page, then nothing */
	LIE_TRICKLE,		/* byte by byte */
	LIE_SILENT,		/* nothing at all */
	LIE_RESET,		/* in the middle of a page */
	LIE_END,		/* an orderly end in the middle of a page */
	LIE_END_HEAD,		/* in the middle of a header */
	LIE_IMAGE,		/* says it has another image */
	LIE_MUTE,		/* does not say which it has */
};

struct liar {
	enum lie lie;
	unsigned int at;
	atomic_int left;	/* lies */
	uint16_t port;
	int listener;
	pthread_t thread;
	pthread_t client[64];
	int fd[64];
	atomic_uint n;
	atomic_bool stop;
};

struct liar_client {
	struct liar *liar;
	int fd;
};

static inline void liar_answer(int fd, const struct wire_head *h, uint64_t shown, uint64_t npages,
			       uint64_t cut)
{
	struct wire_head a = *h;
	uint64_t n = WIRE_NARROW_SIZE + npages * WIRE_PAGE;
	uint8_t *buf = malloc(n);

	a.cmd = WIRE_ADD_F;
	a.flags = WIRE_PRESENT;
	a.npages = npages;
	a.vaddr = shown;
	wire_put(WIRE_NARROW, &a, buf);
	for (uint64_t at = 0; at < npages * WIRE_PAGE; at += 8) {
		uint64_t v = rig_word(0, shown + at);

		memcpy(buf + WIRE_NARROW_SIZE + at, &v, sizeof(v));
	}
	rig_write(fd, buf, cut ? cut : n);
	free(buf);
}

static inline void liar_header(int fd, const struct wire_head *h, uint16_t cmd, uint16_t flags,
			       uint64_t npages, uint64_t dst)
{
	struct wire_head a = *h;

	a.cmd = cmd;
	a.flags = flags;
	a.npages = npages;
	a.dst = dst;
	rig_say(fd, WIRE_NARROW, &a);
}

/* connect(2) to nothing: the other end gets a reset. */
static inline void liar_reset(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	(void)connect(fd, &none, sizeof(none));
}

/* Until the other end has had enough. */
static inline bool liar_wait(int fd)
{
	char buf[256];

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	return false;
}

/* The lie in place of an answer.  False: the connection ends here. */
static inline bool liar_lie(struct liar *l, int fd, const struct wire_head *h)
{
	struct wire_head other;
	char rubbish[100];

	switch (l->lie) {
	case LIE_ADDRESS:
		liar_answer(fd, h, h->vaddr + WIRE_PAGE, h->npages, 0);
		return true;
	case LIE_PROCESS:
		liar_header(fd, h, WIRE_ADD_F, WIRE_PRESENT, h->npages, RIG_PID + 1);
		return true;
	case LIE_COMMAND:
		liar_header(fd, h, WIRE_GET, WIRE_PRESENT, h->npages, RIG_PID);
		return true;
	case LIE_FLAGS:
		liar_header(fd, h, WIRE_ADD_F, 0, h->npages, RIG_PID);
		return true;
	case LIE_MORE:
		liar_answer(fd, h, h->vaddr, h->npages + 1, 0);
		return true;
	case LIE_ZERO:
		liar_header(fd, h, WIRE_ADD_F, WIRE_PRESENT, 0, RIG_PID);
		return true;
	case LIE_ORDER:
		if (!rig_hear(fd, WIRE_NARROW, &other))
			return false;
		liar_answer(fd, &other, other.vaddr, other.npages, 0);
		liar_answer(fd, h, h->vaddr, h->npages, 0);
		return true;
	case LIE_TWICE:
		liar_answer(fd, h, h->vaddr, h->npages, 0);
		liar_answer(fd, h, h->vaddr, h->npages, 0);
		return true;
	case LIE_EXTRA:
	case LIE_RUBBISH:
		if (l->lie == LIE_EXTRA)
			liar_answer(fd, h, h->vaddr, h->npages, 0);
		memset(rubbish, 0xa5, sizeof(rubbish));
		rig_write(fd, rubbish, sizeof(rubbish));
		return true;
	case LIE_STALL:
		liar_answer(fd, h, h->vaddr, h->npages, WIRE_NARROW_SIZE + WIRE_PAGE / 2);
		return liar_wait(fd);
	case LIE_TRICKLE:
		for (int i = 0; i < 200 && rig_write(fd, "", 1); i++)
			usleep(10000);
		return false;
	case LIE_SILENT:
		return liar_wait(fd);
	case LIE_RESET:
		liar_answer(fd, h, h->vaddr, h->npages, WIRE_NARROW_SIZE + WIRE_PAGE / 2);
		liar_reset(fd);
		return false;
	case LIE_END:
		liar_answer(fd, h, h->vaddr, h->npages, WIRE_NARROW_SIZE + WIRE_PAGE / 2);
		return false;
	case LIE_END_HEAD:
		liar_answer(fd, h, h->vaddr, h->npages, 7);
		return false;
	default:
		return false;
	}
}

static inline bool liar_identity(struct liar *l, int fd, const struct wire_head *h)
{
	uint8_t identity[WIRE_IDENTITY_SIZE];
	bool lie = (l->lie == LIE_IMAGE || l->lie == LIE_MUTE) && atomic_fetch_sub(&l->left, 1) > 0;

	if (lie && l->lie == LIE_MUTE)
		return false;
	memset(identity, lie ? 0x66 : 0, sizeof(identity));
	return rig_say(fd, WIRE_NARROW, h) && rig_write(fd, identity, sizeof(identity));
}

static inline bool liar_one(struct liar *l, int fd, const struct wire_head *h, unsigned int nth)
{
	const int32_t status = 0;

	if (h->cmd == WIRE_IDENTITY)
		return liar_identity(l, fd, h);
	if (h->cmd == WIRE_CLOSE)
		return rig_write(fd, &status, sizeof(status));
	if (l->lie != LIE_NONE && l->lie < LIE_IMAGE && nth == l->at &&
	    atomic_fetch_sub(&l->left, 1) > 0)
		return liar_lie(l, fd, h);
	liar_answer(fd, h, h->vaddr, h->npages, 0);
	return true;
}

static inline void *liar_client(void *arg)
{
	struct liar_client c = *(struct liar_client *)arg;
	unsigned int nth = 0;
	struct wire_head h;

	free(arg);
	while (rig_hear(c.fd, WIRE_NARROW, &h) && liar_one(c.liar, c.fd, &h, nth))
		if (h.cmd == WIRE_GET)
			nth++;
	shutdown(c.fd, SHUT_RDWR);
	return NULL;
}

static inline void *liar_run(void *arg)
{
	struct liar *l = arg;
	struct pollfd p = { .fd = l->listener, .events = POLLIN };

	while (!l->stop) {
		struct liar_client *c;
		int fd;

		if (poll(&p, 1, 10) <= 0 || l->n == 64)
			continue;
		fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		c = malloc(sizeof(*c));
		*c = (struct liar_client){ l, fd };
		l->fd[l->n] = fd;
		pthread_create(&l->client[l->n++], NULL, liar_client, c);
	}
	return NULL;
}

static inline bool liar_begin(struct liar *l, enum lie lie, unsigned int at, int times)
{
	memset(l, 0, sizeof(*l));
	l->lie = lie;
	l->at = at;
	l->left = times;
	l->port = rig_listen(0, &l->listener);
	return l->port && !pthread_create(&l->thread, NULL, liar_run, l);
}

static inline void liar_end(struct liar *l)
{
	l->stop = true;
	pthread_join(l->thread, NULL);
	for (unsigned int i = 0; i < l->n; i++)
		shutdown(l->fd[i], SHUT_RDWR);
	for (unsigned int i = 0; i < l->n; i++) {
		pthread_join(l->client[i], NULL);
		close(l->fd[i]);
	}
	close(l->listener);
}

#endif
