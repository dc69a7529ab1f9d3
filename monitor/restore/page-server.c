/* SPDX-License-Identifier: MIT */
/* Page server: connections come, get a thread each, and go.  See page-server.h. */

#include "page-server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "page-server-parts.h"

#define CLIENT_STACK (256u << 10)
/* As many as one turn takes, so that it comes to an end. */
#define TURN_MAX 64
/* Without descriptors for new connections: look again. */
#define PAUSE_NS 200000000

struct server_client {
	LIST_ENTRY(server_client) list;
	struct client c;
	struct link_name peer;
	struct page_server *server;
	pthread_t thread;
	atomic_bool done;
};

struct page_server {
	struct page_server_options o;
	int listener, epoll, wake, timer;
	bool paused;		/* the listener is not in the epoll set */
	LIST_HEAD(, server_client) clients;
	struct page_server_totals totals;
};

static void *run_client(void *arg)
{
	struct server_client *sc = arg;
	const uint64_t one = 1;

	client_serve(&sc->c);
	/* Now, and not when its thread is joined: the other end waits for it. */
	shutdown(sc->c.link.fd, SHUT_RDWR);
	atomic_store(&sc->done, true);
	if (write(sc->server->wake, &one, sizeof(one)) < 0)
		return NULL;	/* never: an eventfd does not fill up */
	return NULL;
}

static int watch_fd(int epoll, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int page_server_new(const struct page_server_options *o, int listener, struct page_server **ret)
{
	struct page_server *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->o = *o;
	s->listener = listener;
	LIST_INIT(&s->clients);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->epoll < 0 || s->wake < 0 || s->timer < 0)
		r = -errno;
	r = r ? r : watch_fd(s->epoll, listener);
	r = r ? r : watch_fd(s->epoll, s->wake);
	r = r ? r : watch_fd(s->epoll, s->timer);
	if (r < 0) {
		page_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int page_server_fd(const struct page_server *s)
{
	return s->epoll;
}

static void tell(page_server_told told, void *arg, enum page_server_kind kind,
		 const struct server_client *sc, const char *words)
{
	const struct page_server_event ev = {
		.kind = kind, .peer = sc->peer.s, .words = words,
		.requests = sc->c.requests, .pages = sc->c.pages,
	};

	if (told)
		told(arg, &ev);
}

static void end_client(struct page_server *s, struct server_client *sc, page_server_told told,
		       void *arg)
{
	pthread_join(sc->thread, NULL);
	link_close(&sc->c.link);
	LIST_REMOVE(sc, list);
	s->totals.now--;
	s->totals.requests += sc->c.requests;
	s->totals.pages += sc->c.pages;
	tell(told, arg, sc->c.err ? PAGE_SERVER_BROKE : PAGE_SERVER_WENT, sc, sc->c.words);
	free(sc);
}

static int start_thread(struct server_client *sc)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, CLIENT_STACK);
	r = -pthread_create(&sc->thread, &attr, run_client, sc);
	pthread_attr_destroy(&attr);
	return r;
}

static void take_client(struct page_server *s, int fd, page_server_told told, void *arg)
{
	struct server_client *sc = calloc(1, sizeof(*sc));
	int r = -ENOMEM;

	if (!sc) {
		close(fd);
		return;
	}
	sc->server = s;
	sc->c.o = &s->o;
	sc->c.link = (struct link){ .fd = fd };
	link_name(fd, true, &sc->peer);
	if (s->totals.now >= s->o.clients_max) {
		tell(told, arg, PAGE_SERVER_REFUSED, sc, "too many connections");
		goto drop;
	}
	link_tune(fd);
	/* The listener's O_NONBLOCK is not inherited by accept4(2) on Linux. */
	tell(told, arg, PAGE_SERVER_CAME, sc, "");
	r = start_thread(sc);
	if (r < 0) {
		tell(told, arg, PAGE_SERVER_REFUSED, sc, "no thread for one more connection");
		goto drop;
	}
	LIST_INSERT_HEAD(&s->clients, sc, list);
	s->totals.now++;
	s->totals.clients++;
	return;
drop:
	link_close(&sc->c.link);
	free(sc);
}

/* The errors of accept(2) that are of one connection, or pass by. */
static bool passes(int err)
{
	return err == EAGAIN || err == EINTR || err == ECONNABORTED || err == EPROTO ||
	       err == ENETDOWN || err == EHOSTDOWN || err == ENONET || err == EHOSTUNREACH ||
	       err == EOPNOTSUPP || err == ENETUNREACH || err == EPERM;
}

static bool nothing_left(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/* A connection that cannot be taken stays, and the epoll set would say so for ever. */
static void pause_listening(struct page_server *s)
{
	const struct itimerspec t = { .it_value.tv_nsec = PAUSE_NS };

	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
	timerfd_settime(s->timer, 0, &t, NULL);
	s->paused = true;
}

static int take_clients(struct page_server *s, page_server_told told, void *arg)
{
	for (int i = 0; i < TURN_MAX; i++) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			take_client(s, fd, told, arg);
			continue;
		}
		if (nothing_left(errno)) {
			pause_listening(s);
			return 0;
		}
		if (!passes(errno))
			return -errno;
		if (errno == EAGAIN)
			return 0;
	}
	return 0;
}

/* What they count is not looked at: whose thread is done says so itself. */
static bool drain(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

int page_server_turn(struct page_server *s, page_server_told told, void *arg)
{
	struct server_client *sc, *next;

	if (drain(s->timer) && s->paused) {
		s->paused = false;
		if (watch_fd(s->epoll, s->listener) < 0)
			pause_listening(s);
	}
	if (drain(s->wake))
		for (sc = LIST_FIRST(&s->clients); sc; sc = next) {
			next = LIST_NEXT(sc, list);
			if (atomic_load(&sc->done))
				end_client(s, sc, told, arg);
		}
	return s->paused ? 0 : take_clients(s, told, arg);
}

void page_server_totals(const struct page_server *s, struct page_server_totals *ret)
{
	*ret = s->totals;
}

void page_server_cut(struct page_server *s, page_server_told told, void *arg)
{
	struct server_client *sc;

	if (!s->paused)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
	s->paused = true;
	if (s->o.shelf.stop)
		s->o.shelf.stop(s->o.shelf.arg);
	LIST_FOREACH(sc, &s->clients, list)
		shutdown(sc->c.link.fd, SHUT_RDWR);
	while ((sc = LIST_FIRST(&s->clients)))
		end_client(s, sc, told, arg);
}

void page_server_free(struct page_server *s)
{
	if (!s)
		return;
	page_server_cut(s, NULL, NULL);
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->wake >= 0)
		close(s->wake);
	if (s->timer >= 0)
		close(s->timer);
	free(s);
}
