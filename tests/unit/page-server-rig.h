/* SPDX-License-Identifier: MIT */
/*
 * Page server rig: a checkpoint whose every byte is known, a server of it in a thread, and
 * the two ends of its protocol spelt out by hand.
 *
 * Each word of a page says where it belongs: process, address, and which checkpoint.
 */
#ifndef TESTS_PAGE_SERVER_RIG_H
#define TESTS_PAGE_SERVER_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "restore/page-server.h"

#define RIG_PID 4242
#define RIG_BASE UINT64_C(0x7f0000000000)
#define RIG_PAGES 4096u
/* Not held: [RIG_HOLE, RIG_HOLE + 16); zeroes: 16 pages from RIG_ZEROES on. */
#define RIG_HOLE 1000u
#define RIG_ZEROES 2000u

struct rig {
	int file, listener;
	uint16_t port;
	uint64_t salt;		/* which checkpoint */
	struct page_server *server;
	struct page_server_totals totals;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint broke, refused;
	pthread_mutex_t lock;	/* of the words: as many may break at once as there are */
	char words[200];	/* of the last one that broke */
	const struct tls_credentials *tls;
	unsigned int clients_max;
};

static inline uint64_t rig_word(uint64_t salt, uint64_t vaddr)
{
	return (vaddr + RIG_PID) * UINT64_C(0x9e3779b97f4a7c15) ^ salt;
}

/* Is this what the address has to hold? */
static inline bool rig_right(uint64_t salt, uint64_t vaddr, const void *data, uint64_t npages)
{
	uint64_t zero_lo = RIG_BASE + RIG_ZEROES * WIRE_PAGE, zero_hi = zero_lo + 16 * WIRE_PAGE;

	for (uint64_t at = 0; at < npages * WIRE_PAGE; at += 8) {
		bool zero = vaddr + at >= zero_lo && vaddr + at < zero_hi;
		uint64_t v;

		memcpy(&v, (const char *)data + at, sizeof(v));
		if (v != (zero ? 0 : rig_word(salt, vaddr + at)))
			return false;
	}
	return true;
}

static inline bool rig_find(void *arg, int32_t pid, uint64_t vaddr, struct shelf_run *ret)
{
	struct rig *r = arg;
	uint64_t i = (vaddr - RIG_BASE) / WIRE_PAGE;

	if (pid != RIG_PID || vaddr < RIG_BASE || i >= RIG_PAGES ||
	    (i >= RIG_HOLE && i < RIG_HOLE + 16))
		return false;
	*ret = (struct shelf_run){ .fd = r->file, .offset = i * WIRE_PAGE };
	if (i < RIG_HOLE)
		ret->npages = RIG_HOLE - i;
	else if (i < RIG_ZEROES)
		ret->npages = RIG_ZEROES - i;
	else if (i < RIG_ZEROES + 16)
		*ret = (struct shelf_run){ .fd = -1, .npages = RIG_ZEROES + 16 - i };
	else
		ret->npages = RIG_PAGES - i;
	return true;
}

static inline bool rig_task(void *arg, int32_t pid, bool parent)
{
	(void)arg;
	return pid == RIG_PID && !parent;
}

static inline void rig_told(void *arg, const struct page_server_event *ev)
{
	struct rig *r = arg;

	if (ev->kind == PAGE_SERVER_BROKE) {
		pthread_mutex_lock(&r->lock);
		snprintf(r->words, sizeof(r->words), "%s", ev->words);
		pthread_mutex_unlock(&r->lock);
		r->broke++;
	} else if (ev->kind == PAGE_SERVER_REFUSED) {
		r->refused++;
	}
}

/* Are these among the words of the last one that broke? */
static inline bool rig_said(struct rig *r, const char *words)
{
	bool said;

	pthread_mutex_lock(&r->lock);
	said = strstr(r->words, words) != NULL;
	pthread_mutex_unlock(&r->lock);
	return said;
}

static inline void *rig_run(void *arg)
{
	struct rig *r = arg;
	struct pollfd p = { .fd = page_server_fd(r->server), .events = POLLIN };

	while (!r->stop)
		if (poll(&p, 1, 20) > 0)
			page_server_turn(r->server, rig_told, r);
	page_server_turn(r->server, rig_told, r);
	/* Who has hung up has not said so yet. */
	page_server_cut(r->server, rig_told, r);
	page_server_totals(r->server, &r->totals);
	page_server_free(r->server);
	return NULL;
}

/* A listening socket of this host; port 0: any.  The port, or 0. */
static inline uint16_t rig_listen(uint16_t port, int *ret_fd)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t len = sizeof(sin);
	const int on = 1;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(*ret_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(*ret_fd, (struct sockaddr *)&sin, len) < 0 || listen(*ret_fd, 64) < 0)
		return 0;
	getsockname(*ret_fd, (struct sockaddr *)&sin, &len);
	return ntohs(sin.sin_port);
}

/* The file of the checkpoint; zero pages are in it, too, as rubbish. */
static inline bool rig_begin(struct rig *r, uint64_t salt)
{
	uint64_t *v;

	memset(r, 0, sizeof(*r));
	r->salt = salt;
	r->clients_max = 32;
	r->file = memfd_create("pages-1.img", MFD_CLOEXEC);
	if (r->file < 0 || ftruncate(r->file, RIG_PAGES * WIRE_PAGE) < 0)
		return false;
	v = mmap(NULL, RIG_PAGES * WIRE_PAGE, PROT_WRITE, MAP_SHARED, r->file, 0);
	if (v == MAP_FAILED)
		return false;
	for (uint64_t at = 0; at < RIG_PAGES * WIRE_PAGE; at += 8)
		v[at / 8] = rig_word(salt, RIG_BASE + at);
	munmap(v, RIG_PAGES * WIRE_PAGE);
	return true;
}

/* Serve it on this port; 0: any, which is then r->port. */
static inline bool rig_serve(struct rig *r, uint16_t port)
{
	struct page_server_options o = {
		.shelf = { .arg = r, .find = rig_find, .task = rig_task },
		.clients_max = r->clients_max,
		.tls = r->tls,
	};

	memset(o.shelf.identity, (int)r->salt, sizeof(o.shelf.identity));
	r->stop = false;
	r->port = rig_listen(port, &r->listener);
	if (!r->port || page_server_new(&o, r->listener, &r->server) < 0)
		return false;
	return !pthread_create(&r->thread, NULL, rig_run, r);
}

static inline void rig_stop(struct rig *r)
{
	r->stop = true;
	pthread_join(r->thread, NULL);
	close(r->listener);
}

static inline void rig_end(struct rig *r)
{
	close(r->file);
}

/* ---- by hand ---------------------------------------------------------------- */

/* A client of a server on this host that waits five seconds at most. */
static inline int rig_connect(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct timeval t = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline bool rig_read(int fd, void *to, size_t n)
{
	return recv(fd, to, n, MSG_WAITALL) == (ssize_t)n;
}

static inline bool rig_write(int fd, const void *from, size_t n)
{
	return send(fd, from, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static inline bool rig_say(int fd, enum wire_layout layout, const struct wire_head *h)
{
	uint8_t buf[WIRE_WIDE_SIZE];

	wire_put(layout, h, buf);
	return rig_write(fd, buf, wire_size(layout));
}

static inline bool rig_hear(int fd, enum wire_layout layout, struct wire_head *ret)
{
	uint8_t buf[WIRE_WIDE_SIZE];

	if (!rig_read(fd, buf, wire_size(layout)))
		return false;
	wire_get(layout, buf, ret);
	return true;
}

#endif
