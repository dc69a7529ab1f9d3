/* SPDX-License-Identifier: MIT */
/* Page server: one connection, from its first byte to its last.  See page-server.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "page-server-parts.h"
#include "tls.h"

/* Up to so many pages an answer is one write of a copy, beyond it is sendfile(2). */
#define COPY_PAGES 16u
/* More than this of one request is for another one: answers may be shorter. */
#define ANSWER_PAGES 16384u
#define ANSWER_RUNS 32u
#define SHAKE_SECONDS 10
/* At a time, of what has to be fetched from elsewhere. */
#define FETCH_BYTES (UINT64_C(1) << 20)

static int gone(struct client *c, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int gone(struct client *c, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->words, sizeof(c->words), fmt, ap);
	va_end(ap);
	c->err = err;
	return err;
}

static int broken(struct client *c, int err)
{
	if (err == -ENODATA)
		return gone(c, err, "a pages file is shorter than it was");
	return gone(c, err, "%s", link_words(&c->link, err));
}

/*
 * The next n bytes in a row, from the buffer or the wire.  1; 0 at an end between
 * messages; -errno, said.
 */
static int need(struct client *c, size_t n, const uint8_t **ret)
{
	if (c->have - c->at < n) {
		memmove(c->buf, c->buf + c->at, c->have - c->at);
		c->have -= c->at;
		c->at = 0;
	}
	while (c->have - c->at < n) {
		struct iovec v = { c->buf + c->have, sizeof(c->buf) - c->have };
		ssize_t r = link_read(&c->link, &v, 1);

		if (r < 0)
			return broken(c, (int)r);
		if (!r && c->have == c->at)
			return 0;
		if (!r)
			return gone(c, -EPROTO, "hung up in the middle of a request");
		c->have += (size_t)r;
	}
	*ret = c->buf + c->at;
	return 1;
}

static int next_head(struct client *c, struct wire_head *ret)
{
	const uint8_t *p;
	int r = need(c, wire_size(c->layout), &p);

	if (r <= 0)
		return r;
	wire_get(c->layout, p, ret);
	c->at += wire_size(c->layout);
	return 1;
}

struct answer {
	struct shelf_run run[ANSWER_RUNS];
	unsigned int nruns;
	uint64_t npages;
};

/* What there is of it, from its first page on. */
static void find_answer(const struct client *c, const struct wire_head *h, struct answer *ret)
{
	uint64_t want = h->npages < ANSWER_PAGES ? h->npages : ANSWER_PAGES;
	const struct shelf *shelf = &c->o->shelf;

	ret->nruns = 0;
	ret->npages = 0;
	while (ret->npages < want && ret->nruns < ANSWER_RUNS) {
		struct shelf_run *run = &ret->run[ret->nruns];

		if (!shelf->find(shelf->arg, (int32_t)h->dst, h->vaddr + ret->npages * WIRE_PAGE,
				 run) || !run->npages)
			return;
		if (run->npages > want - ret->npages)
			run->npages = want - ret->npages;
		ret->npages += run->npages;
		ret->nruns++;
	}
}

static int copy_run(const struct client *c, const struct shelf_run *run, uint8_t *to)
{
	uint64_t n = run->npages * WIRE_PAGE, done = 0;

	if (run->fd == SHELF_FETCHED)
		return c->o->shelf.fetch(c->o->shelf.arg, run, 0, to, n);
	if (run->fd < 0) {
		memset(to, 0, n);
		return 0;
	}
	while (done < n) {
		ssize_t r = pread(run->fd, to + done, n - done, (off_t)(run->offset + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -ENODATA;
		done += (uint64_t)r;
	}
	return 0;
}

/* The header and all pages in one piece. */
static int give_copy(struct client *c, const struct answer *a, size_t head_size)
{
	uint8_t *to = c->copy + head_size;

	for (unsigned int i = 0; i < a->nruns; i++) {
		int r = copy_run(c, &a->run[i], to);

		if (r < 0)
			return r;
		to += a->run[i].npages * WIRE_PAGE;
	}
	return link_write_all(&c->link, c->copy, (size_t)(to - c->copy), false);
}

static int give_fetched(struct client *c, const struct shelf_run *run, bool more)
{
	uint64_t left = run->npages * WIRE_PAGE, done = 0;
	int r = 0;

	if (!c->fetched)
		c->fetched = malloc(FETCH_BYTES);
	if (!c->fetched)
		return -ENOMEM;
	for (size_t n; !r && left; left -= n, done += n) {
		n = left < FETCH_BYTES ? left : FETCH_BYTES;
		r = c->o->shelf.fetch(c->o->shelf.arg, run, done, c->fetched, n);
		r = r ? r : link_write_all(&c->link, c->fetched, n, n < left || more);
	}
	return r;
}

static int give_files(struct client *c, const struct answer *a, size_t head_size)
{
	static const uint8_t zeroes[16 * WIRE_PAGE];
	int r = link_write_all(&c->link, c->copy, head_size, true);

	for (unsigned int i = 0; !r && i < a->nruns; i++) {
		const struct shelf_run *run = &a->run[i];
		uint64_t left = run->npages * WIRE_PAGE;

		if (run->fd == SHELF_FETCHED) {
			r = give_fetched(c, run, i + 1 < a->nruns);
			continue;
		}
		if (run->fd >= 0) {
			r = link_send_file(&c->link, run->fd, run->offset, left, i + 1 < a->nruns);
			continue;
		}
		for (size_t n; !r && left; left -= n) {
			n = left < sizeof(zeroes) ? left : sizeof(zeroes);
			r = link_write_all(&c->link, zeroes, n, n < left || i + 1 < a->nruns);
		}
	}
	return r;
}

static int serve_get(struct client *c, const struct wire_head *h)
{
	struct wire_head head = *h;
	struct answer a;
	uint64_t end;
	int n, r;

	if (!h->npages || h->vaddr % WIRE_PAGE || h->dst > INT32_MAX ||
	    __builtin_mul_overflow(h->npages, WIRE_PAGE, &end) ||
	    __builtin_add_overflow(end, h->vaddr, &end))
		return gone(c, -EPROTO, "asked for %" PRIu64 " pages at %#" PRIx64 " of %" PRIu64,
			    h->npages, h->vaddr, h->dst);
	find_answer(c, h, &a);
	if (!a.npages)
		return gone(c, -ENOENT, "asked for address %#" PRIx64 " of %" PRIu64
			    ", which the image does not hold", h->vaddr, h->dst);
	head.cmd = WIRE_ADD_F;
	head.flags = WIRE_PRESENT;
	head.npages = a.npages;
	n = wire_put(c->layout, &head, c->copy);
	if (n < 0)
		return gone(c, n, "asked for more pages than its header can say");
	/*
	 * CRIU's client waits for the socket to be readable between header and data: in TLS
	 * they must not be in one record, or it has both and waits for ever.
	 */
	if (a.npages <= COPY_PAGES && !c->link.tls)
		r = give_copy(c, &a, (size_t)n);
	else
		r = give_files(c, &a, (size_t)n);
	if (r < 0)
		return broken(c, r);
	c->requests++;
	c->pages += a.npages;
	return 0;
}

static int serve_identity(struct client *c, const struct wire_head *h)
{
	uint8_t buf[WIRE_WIDE_SIZE + WIRE_IDENTITY_SIZE];
	int n = wire_put(c->layout, h, buf), r;

	if (n < 0)
		return gone(c, n, "asked for no image");
	memcpy(buf + n, c->o->shelf.identity, WIRE_IDENTITY_SIZE);
	r = link_write_all(&c->link, buf, (size_t)n + WIRE_IDENTITY_SIZE, false);
	return r < 0 ? broken(c, r) : 0;
}

/* OPEN2 and PARENT: a number of n bytes, 0 or 1. */
static int serve_word(struct client *c, const struct wire_head *h, size_t n)
{
	const struct shelf *shelf = &c->o->shelf;
	/* The number of a task has its type in the low byte. */
	int32_t word = (h->dst & 0xff) == 1 && h->dst >> 8 <= INT32_MAX &&
		       shelf->task(shelf->arg, (int32_t)(h->dst >> 8), true);
	int r = link_write_all(&c->link, &word, n, false);

	return r < 0 ? broken(c, r) : 0;
}

/* Answered, and then the client is the one that hangs up. */
static void serve_close(struct client *c)
{
	const int32_t status = 0;
	int r = link_write_all(&c->link, &status, sizeof(status), false);
	struct iovec v = { c->buf, sizeof(c->buf) };

	if (r < 0) {
		broken(c, r);
		return;
	}
	/* What else it sends is read, or the kernel would reset the connection. */
	while (link_read(&c->link, &v, 1) > 0)
		;
}

static int serve_one(struct client *c, const struct wire_head *h)
{
	switch (h->cmd) {
	case WIRE_GET:
		return serve_get(c, h);
	case WIRE_IDENTITY:
		return serve_identity(c, h);
	case WIRE_OPEN2:
		return serve_word(c, h, 1);
	case WIRE_PARENT:
		return serve_word(c, h, sizeof(int32_t));
	case WIRE_OPEN:
		return 0;
	case WIRE_ADD:
	case WIRE_HOLE:
	case WIRE_ADD_F:
		return gone(c, -EPROTO, "sends pages (criu dump --page-server?), and this server "
			    "only gives them");
	default:
		return gone(c, -EPROTO, "sent command %#x, which is none", h->cmd);
	}
}

static void wait_at_most(const struct client *c, time_t seconds)
{
	const struct timeval limit = { .tv_sec = seconds };

	setsockopt(c->link.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

/* Closed with bytes unread, a connection is reset, and what was said last is lost. */
static void let_hear(struct client *c)
{
	shutdown(c->link.fd, SHUT_WR);
	wait_at_most(c, 1);
	for (int i = 0; i < 16 && recv(c->link.fd, c->buf, sizeof(c->buf), 0) > 0; i++)
		;
}

/* Whoever connects and says nothing does not stay. */
static int secure(struct client *c)
{
	struct tls_problem why;
	bool write;
	int r = link_secure(&c->link, c->o->tls, true, NULL);

	if (r < 0)
		return broken(c, r);
	wait_at_most(c, SHAKE_SECONDS);
	r = link_shake(&c->link, &write, &why);
	if (r < 0) {
		gone(c, r, "%s", r == -EAGAIN ? "no TLS in time" : why.words);
		let_hear(c);
		return r;
	}
	wait_at_most(c, 0);
	return 0;
}

void client_serve(struct client *c)
{
	struct wire_head h;
	const uint8_t *p;
	int r;

	if (c->o->tls && secure(c) < 0)
		return;
	c->copy = malloc(WIRE_WIDE_SIZE + COPY_PAGES * WIRE_PAGE);
	if (!c->copy) {
		gone(c, -ENOMEM, "out of memory");
		return;
	}
	r = need(c, WIRE_NARROW_SIZE, &p);
	if (r > 0)
		c->layout = wire_guess(p);
	while (r > 0) {
		r = next_head(c, &h);
		if (r <= 0)
			break;
		if (h.cmd == WIRE_CLOSE || h.cmd == WIRE_FORCE_CLOSE) {
			serve_close(c);
			break;
		}
		r = serve_one(c, &h) < 0 ? -1 : 1;
	}
	free(c->copy);
	free(c->fetched);
	c->copy = c->fetched = NULL;
}
