/* SPDX-License-Identifier: MIT */
/*
 * TLS: X.509 on both ends of a connection, as CRIU has it.
 *
 * The only user of GnuTLS' sessions.  Both ends show a certificate; each checks that the
 * other's comes from an authority that it trusts, and the client that it is for the name
 * that it connected to.  The stream is in TLS from its first byte.
 *
 * Credentials do not change once loaded and may be used by several threads; a session by
 * one at a time.
 */
#ifndef RESTORE_TLS_H
#define RESTORE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* PEM files; NULL: CRIU's default. */
struct tls_files {
	const char *cacert;	/* else the system's authorities, and TLS_CACERT if it is there */
	const char *cacrl;	/* else TLS_CACRL if it is there */
	const char *cert;	/* else TLS_CERT */
	const char *key;	/* else TLS_KEY */
};

#define TLS_CACERT "/etc/pki/CA/cacert.pem"
#define TLS_CACRL "/etc/pki/CA/cacrl.pem"
#define TLS_CERT "/etc/pki/criu/cert.pem"
#define TLS_KEY "/etc/pki/criu/private/key.pem"

struct tls_credentials;
struct tls;

struct tls_problem {
	char words[200];
};

/* 0, or -errno with words that name the file: -EBADMSG it is none of that kind. */
int tls_load(const struct tls_files *files, struct tls_credentials **ret,
	     struct tls_problem *ret_why);
/* NULL is fine. */
void tls_unload(struct tls_credentials *c);

/*
 * A session on a connected socket, whose O_NONBLOCK decides whether calls wait.  name: of
 * the server as the client knows it, NULL: any will do.  0 or -errno.
 */
int tls_begin(const struct tls_credentials *c, int fd, bool server, const char *name,
	      struct tls **ret);
/*
 * Until it returns 0: -EAGAIN wait for the socket (*ret_write: to be writable, else
 * readable) and call again; -EPROTO with words.
 */
int tls_shake(struct tls *t, bool *ret_write, struct tls_problem *ret_why);
/* As link_read() and link_write(); -EPROTO: what came is no TLS, or was tampered with. */
ssize_t tls_read(struct tls *t, const struct iovec *v, int n);
ssize_t tls_write(struct tls *t, const void *data, size_t n);
/* Why it was -EPROTO. */
const char *tls_words(const struct tls *t);
/* Bytes are here that no poll(2) of the socket tells of. */
bool tls_pending(const struct tls *t);
/* Say goodbye, as far as that goes at once, and free it.  NULL is fine. */
void tls_end(struct tls *t);

#endif
