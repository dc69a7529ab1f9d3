/* SPDX-License-Identifier: MIT */
/* TLS: X.509 by GnuTLS.  See tls.h. */

#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

struct tls_credentials {
	gnutls_certificate_credentials_t x509;
};

struct tls {
	gnutls_session_t session;
	bool resend;	/* a record is half written, GnuTLS has a copy */
	bool shaken;
	int failed;	/* with -EPROTO: what of */
	char name[256];	/* GnuTLS keeps no copy of it */
};

/* What GnuTLS says of a file says nothing of why it cannot be opened. */
static int check_file(const char *path, struct tls_problem *why)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0)
		return 0;
	snprintf(why->words, sizeof(why->words), "%s: %s", path, strerror(errno));
	return -errno;
}

static int bad_file(const char *path, int err, struct tls_problem *why)
{
	snprintf(why->words, sizeof(why->words), "%s: %s", path, gnutls_strerror(err));
	return -EBADMSG;
}

/* The default only if it is there. */
static bool is_there(const char *path)
{
	return access(path, R_OK) == 0;
}

static int load_authorities(gnutls_certificate_credentials_t x, const struct tls_files *f,
			    struct tls_problem *why)
{
	const char *cacert = f->cacert ? f->cacert : is_there(TLS_CACERT) ? TLS_CACERT : NULL;
	const char *cacrl = f->cacrl ? f->cacrl : is_there(TLS_CACRL) ? TLS_CACRL : NULL;
	int r;

	/* Without any, or with a system that has none, nobody is trusted. */
	if (!f->cacert)
		gnutls_certificate_set_x509_system_trust(x);
	if (cacert) {
		r = check_file(cacert, why);
		if (r < 0)
			return r;
		r = gnutls_certificate_set_x509_trust_file(x, cacert, GNUTLS_X509_FMT_PEM);
		if (r <= 0)
			return bad_file(cacert, r ? r : GNUTLS_E_NO_CERTIFICATE_FOUND, why);
	}
	if (cacrl) {
		r = check_file(cacrl, why);
		if (r < 0)
			return r;
		r = gnutls_certificate_set_x509_crl_file(x, cacrl, GNUTLS_X509_FMT_PEM);
		if (r <= 0)
			return bad_file(cacrl, r ? r : GNUTLS_E_NO_CERTIFICATE_FOUND, why);
	}
	return 0;
}

static int load_ours(gnutls_certificate_credentials_t x, const struct tls_files *f,
		     struct tls_problem *why)
{
	const char *cert = f->cert ? f->cert : TLS_CERT;
	const char *key = f->key ? f->key : TLS_KEY;
	int r = check_file(cert, why);

	r = r ? r : check_file(key, why);
	if (r < 0)
		return r;
	r = gnutls_certificate_set_x509_key_file(x, cert, key, GNUTLS_X509_FMT_PEM);
	return r < 0 ? bad_file(cert, r, why) : 0;
}

int tls_load(const struct tls_files *files, struct tls_credentials **ret,
	     struct tls_problem *ret_why)
{
	struct tls_credentials *c = calloc(1, sizeof(*c));
	int r;

	snprintf(ret_why->words, sizeof(ret_why->words), "%s", strerror(ENOMEM));
	if (!c)
		return -ENOMEM;
	if (gnutls_certificate_allocate_credentials(&c->x509)) {
		free(c);
		return -ENOMEM;
	}
	r = load_authorities(c->x509, files, ret_why);
	r = r ? r : load_ours(c->x509, files, ret_why);
	if (r < 0) {
		tls_unload(c);
		return r;
	}
	*ret = c;
	return 0;
}

void tls_unload(struct tls_credentials *c)
{
	if (!c)
		return;
	gnutls_certificate_free_credentials(c->x509);
	free(c);
}

int tls_begin(const struct tls_credentials *c, int fd, bool server, const char *name,
	      struct tls **ret)
{
	struct tls *t = calloc(1, sizeof(*t));
	unsigned int flags = (server ? GNUTLS_SERVER | GNUTLS_NO_TICKETS : GNUTLS_CLIENT) |
			     GNUTLS_NO_SIGNAL;
	int waits = fcntl(fd, F_GETFL);

	if (!t)
		return -ENOMEM;
	if (waits >= 0 && waits & O_NONBLOCK)
		flags |= GNUTLS_NONBLOCK;
	if (gnutls_init(&t->session, flags)) {
		free(t);
		return -ENOMEM;
	}
	if (name)
		snprintf(t->name, sizeof(t->name), "%s", name);
	if (gnutls_set_default_priority(t->session) ||
	    gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, c->x509)) {
		tls_end(t);
		return -ENOMEM;
	}
	if (server)
		gnutls_certificate_server_set_request(t->session, GNUTLS_CERT_REQUIRE);
	/* Refused in the handshake, before a byte of ours is sent. */
	gnutls_session_set_verify_cert(t->session, name ? t->name : NULL, 0);
	gnutls_transport_set_int(t->session, fd);
	*ret = t;
	return 0;
}

/* Why the other end's certificate is not trusted, in GnuTLS' words. */
static void say_untrusted(struct tls *t, struct tls_problem *why)
{
	gnutls_datum_t text = { .data = NULL };
	unsigned int status = gnutls_session_get_verify_cert_status(t->session);

	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0))
		text.data = NULL;
	snprintf(why->words, sizeof(why->words), "%s",
		 text.data ? (char *)text.data : "its certificate is not trusted");
	gnutls_free(text.data);
	/* GnuTLS ends its sentences. */
	for (size_t n = strlen(why->words); n && strchr(". ", why->words[n - 1]); n--)
		why->words[n - 1] = '\0';
}

const char *tls_words(const struct tls *t)
{
	const char *alert = NULL;

	if (t->failed == GNUTLS_E_FATAL_ALERT_RECEIVED)
		alert = gnutls_alert_get_name(gnutls_alert_get(t->session));
	return alert ? alert : gnutls_strerror(t->failed);
}

int tls_shake(struct tls *t, bool *ret_write, struct tls_problem *ret_why)
{
	int r;

	do
		r = gnutls_handshake(t->session);
	while (r == GNUTLS_E_INTERRUPTED || r == GNUTLS_E_WARNING_ALERT_RECEIVED);
	*ret_write = gnutls_record_get_direction(t->session);
	if (r == GNUTLS_E_SUCCESS) {
		t->shaken = true;
		return 0;
	}
	if (r == GNUTLS_E_AGAIN)
		return -EAGAIN;
	t->failed = r;
	if (r == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		say_untrusted(t, ret_why);
	else
		snprintf(ret_why->words, sizeof(ret_why->words), "TLS: %s", tls_words(t));
	if (gnutls_error_is_fatal(r))
		gnutls_alert_send_appropriate(t->session, r);
	return -EPROTO;
}

static int error_of(struct tls *t, int err)
{
	switch (err) {
	case GNUTLS_E_AGAIN:
		return -EAGAIN;
	case GNUTLS_E_PUSH_ERROR:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PREMATURE_TERMINATION:
		return -ECONNRESET;
	default:
		t->failed = err;
		return -EPROTO;
	}
}

ssize_t tls_read(struct tls *t, const struct iovec *v, int n)
{
	ssize_t r;

	/* One piece is a record's part at most; the next call goes on. */
	(void)n;
	do
		r = gnutls_record_recv(t->session, v->iov_base, v->iov_len);
	while (r == GNUTLS_E_INTERRUPTED || r == GNUTLS_E_WARNING_ALERT_RECEIVED);
	return r >= 0 ? r : error_of(t, (int)r);
}

ssize_t tls_write(struct tls *t, const void *data, size_t n)
{
	ssize_t r;

	do
		r = gnutls_record_send(t->session, t->resend ? NULL : data, t->resend ? 0 : n);
	while (r == GNUTLS_E_INTERRUPTED);
	t->resend = r == GNUTLS_E_AGAIN;
	return r >= 0 ? r : error_of(t, (int)r);
}

bool tls_pending(const struct tls *t)
{
	return gnutls_record_check_pending(t->session) > 0;
}

void tls_end(struct tls *t)
{
	if (!t)
		return;
	/* Only sent, not waited for. */
	if (t->shaken && !t->resend)
		gnutls_bye(t->session, GNUTLS_SHUT_WR);
	gnutls_deinit(t->session);
	free(t);
}
