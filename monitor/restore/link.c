/* SPDX-License-Identifier: MIT */
/* Link: a TCP connection, plain or in TLS.  See link.h. */

#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tls.h"

/* Keepalive: noticed after 15 + 3 * 5 seconds. */
#define ALIVE_IDLE 15
#define ALIVE_INTERVAL 5
#define ALIVE_PROBES 3

int link_resolve(const char *host, uint16_t port, bool listening, struct addrinfo **ret)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (listening ? AI_PASSIVE : 0),
	};
	char service[8];

	snprintf(service, sizeof(service), "%u", port);
	return getaddrinfo(host, service, &hints, ret);
}

static int listen_on(const struct addrinfo *a, int backlog)
{
	_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1, off = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* The IPv6 wildcard takes IPv4 clients too, whatever net.ipv6.bindv6only says. */
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, backlog) < 0)
		return -errno;
	return steal_fd(&fd);
}

int link_listen(const struct addrinfo *all, int backlog)
{
	int fd = -EADDRNOTAVAIL;

	/* Of a wildcard the IPv6 one first: it serves both. */
	for (const struct addrinfo *a = all; a; a = a->ai_next)
		if (a->ai_family == AF_INET6) {
			fd = listen_on(a, backlog);
			if (fd >= 0)
				return fd;
		}
	for (const struct addrinfo *a = all; a; a = a->ai_next)
		if (a->ai_family == AF_INET) {
			int r = listen_on(a, backlog);

			if (r >= 0)
				return r;
			fd = r;
		}
	return fd;
}

int link_connect(const struct addrinfo *to, struct link *ret)
{
	_close_ int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	link_tune(fd);
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret = (struct link){ .fd = steal_fd(&fd) };
	return 0;
}

int link_connected(const struct link *l)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

void link_tune(int fd)
{
	const int on = 1, idle = ALIVE_IDLE, interval = ALIVE_INTERVAL, probes = ALIVE_PROBES;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void link_name(int fd, bool peer, struct link_name *ret)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct sockaddr *sa = (struct sockaddr *)&ss;
	char host[INET6_ADDRSTRLEN + 20], port[8];

	ret->s[0] = '\0';
	if ((peer ? getpeername(fd, sa, &len) : getsockname(fd, sa, &len)) < 0 ||
	    getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	/* An IPv4 client of an IPv6 socket. */
	if (!strncmp(host, "::ffff:", 7) && strchr(host, '.'))
		snprintf(ret->s, sizeof(ret->s), "%s:%s", host + 7, port);
	else
		snprintf(ret->s, sizeof(ret->s), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
			 port);
}

ssize_t link_read(struct link *l, const struct iovec *v, int n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n };
	ssize_t r;

	if (l->tls)
		return tls_read(l->tls, v, n);
	do
		r = recvmsg(l->fd, &msg, 0);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

ssize_t link_write(struct link *l, const void *data, size_t n, bool more)
{
	ssize_t r;

	if (l->tls)
		return tls_write(l->tls, data, n);
	do
		r = send(l->fd, data, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int link_write_all(struct link *l, const void *data, size_t n, bool more)
{
	const uint8_t *p = data;

	while (n) {
		ssize_t r = link_write(l, p, n, more);

		if (r < 0)
			return (int)r;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

/* What is to be encrypted has to be read. */
static int send_copy(struct link *l, int file, uint64_t offset, uint64_t n)
{
	uint8_t buf[16384];

	while (n) {
		ssize_t got = pread(file, buf, n < sizeof(buf) ? n : sizeof(buf), (off_t)offset);
		int r;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ENODATA;
		r = link_write_all(l, buf, (size_t)got, true);
		if (r < 0)
			return r;
		offset += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return 0;
}

/*
 * sendfile(2) has no MSG_MORE, and at its end pushes out what there is.  Where more
 * follows, that costs a small segment, no more.  It raises no SIGPIPE only where that
 * is blocked or ignored, as in all threads of a command.
 */
int link_send_file(struct link *l, int file, uint64_t offset, uint64_t n, bool more)
{
	off_t at = (off_t)offset;

	(void)more;
	if (l->tls)
		return send_copy(l, file, offset, n);
	while (n) {
		ssize_t r = sendfile(l->fd, file, &at, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (!r)
			return -ENODATA;
		n -= (uint64_t)r;
	}
	return 0;
}

int link_secure(struct link *l, const struct tls_credentials *c, bool server, const char *name)
{
	return tls_begin(c, l->fd, server, name, &l->tls);
}

int link_shake(struct link *l, bool *ret_write, struct tls_problem *ret_why)
{
	return tls_shake(l->tls, ret_write, ret_why);
}

const char *link_words(const struct link *l, int err)
{
	return l->tls && err == -EPROTO ? tls_words(l->tls) : strerror(-err);
}

bool link_pending(const struct link *l)
{
	return l->tls && tls_pending(l->tls);
}

void link_close(struct link *l)
{
	tls_end(l->tls);
	if (l->fd >= 0)
		close(l->fd);
	*l = LINK_NULL;
}
