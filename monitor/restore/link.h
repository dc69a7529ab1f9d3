/* SPDX-License-Identifier: MIT */
/*
 * Link: one TCP connection between a lazy restore and a page server, plain or in TLS.
 *
 * The descriptor decides whether calls wait (O_NONBLOCK).  One thread at a time.
 */
#ifndef RESTORE_LINK_H
#define RESTORE_LINK_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tls;
struct tls_credentials;
struct tls_problem;

struct link {
	int fd;			/* -1: none */
	struct tls *tls;	/* NULL: plain */
};
#define LINK_NULL ((struct link){ .fd = -1 })

/* ADDRESS:PORT as people write it, [::1]:27 for IPv6; "" if it cannot be said. */
struct link_name {
	char s[80];
};

/*
 * The addresses of a host for connecting, or for listening (NULL: all of them), by
 * getaddrinfo(3), which may wait for a name server; *ret goes by freeaddrinfo(3).  0, or
 * one of its errors for gai_strerror(3).
 */
int link_resolve(const char *host, uint16_t port, bool listening, struct addrinfo **ret);
/* A listening socket on the first address that can be had, or -errno. */
int link_listen(const struct addrinfo *all, int backlog);
/*
 * Begin to connect a non-blocking socket to one address.  0: under way or done, writable
 * when decided; -errno.
 */
int link_connect(const struct addrinfo *to, struct link *ret);
/* What became of it: 0 or -errno. */
int link_connected(const struct link *l);
/*
 * Small messages go at once, and a peer that has vanished is noticed also if nothing is
 * under way (half a minute).  For both ends.
 */
void link_tune(int fd);
/* The other end, or this one. */
void link_name(int fd, bool peer, struct link_name *ret);

/*
 * All that follows goes in TLS; see tls_begin() and tls_shake(), which is to be called
 * until it is done.
 */
int link_secure(struct link *l, const struct tls_credentials *c, bool server, const char *name);
int link_shake(struct link *l, bool *ret_write, struct tls_problem *ret_why);
/* Bytes are here that no poll(2) of the descriptor tells of. */
bool link_pending(const struct link *l);
/* Bytes read, at least 1; 0: the other end has closed; -EAGAIN, -errno; TLS: -EPROTO. */
ssize_t link_read(struct link *l, const struct iovec *v, int n);
/*
 * Bytes taken.  more: others follow at once (MSG_MORE).  After -EAGAIN call it again with
 * the same bytes and no others.
 */
ssize_t link_write(struct link *l, const void *data, size_t n, bool more);
/* All of it, on a blocking descriptor: 0 or -errno. */
int link_write_all(struct link *l, const void *data, size_t n, bool more);
/*
 * A piece of a file, on a blocking descriptor: 0, -errno, -ENODATA if the file ends
 * before.
 */
int link_send_file(struct link *l, int file, uint64_t offset, uint64_t n, bool more);
/* What an error of these means. */
const char *link_words(const struct link *l, int err);
/* Say goodbye (TLS) and close. */
void link_close(struct link *l);

#endif
