/* SPDX-License-Identifier: MIT */
/*
 * Certs: authorities and certificates of our own making, as PEM files in a folder.
 *
 *	ca.pem crl.pem				ours, and what it has revoked
 *	server.pem server.key			for 127.0.0.1
 *	elsewhere.pem elsewhere.key		for elsewhere.invalid
 *	client.pem client.key
 *	revoked.pem revoked.key			in crl.pem
 *	expired.pem expired.key
 *	other-ca.pem stranger.pem stranger.key	of another authority
 */
#ifndef TESTS_CERTS_H
#define TESTS_CERTS_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CERT_DAY (24 * 3600)

struct cert {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static inline bool certs_write(const char *dir, const char *name, const gnutls_datum_t *pem)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	return f && fwrite(pem->data, 1, pem->size, f) == pem->size && !fclose(f);
}

/* Signed by itself if issuer is NULL; name: NULL for an authority. */
static inline bool cert_make(struct cert *c, const struct cert *issuer, const char *dn,
			     const char *name, unsigned char serial, time_t until)
{
	const unsigned char ip[] = { 127, 0, 0, 1 };
	time_t now = time(NULL);
	int r;

	r = gnutls_x509_privkey_init(&c->key);
	r |= gnutls_x509_privkey_generate(c->key, GNUTLS_PK_ECDSA,
					  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	r |= gnutls_x509_crt_init(&c->crt);
	r |= gnutls_x509_crt_set_version(c->crt, 3);
	r |= gnutls_x509_crt_set_key(c->crt, c->key);
	r |= gnutls_x509_crt_set_serial(c->crt, &serial, 1);
	r |= gnutls_x509_crt_set_activation_time(c->crt, now - 2 * CERT_DAY);
	r |= gnutls_x509_crt_set_expiration_time(c->crt, until);
	r |= gnutls_x509_crt_set_dn(c->crt, dn, NULL);
	r |= gnutls_x509_crt_set_ca_status(c->crt, !name);
	r |= gnutls_x509_crt_set_key_usage(c->crt, name ? GNUTLS_KEY_DIGITAL_SIGNATURE :
					   GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	if (name && !strcmp(name, "127.0.0.1"))
		r |= gnutls_x509_crt_set_subject_alt_name(c->crt, GNUTLS_SAN_IPADDRESS, ip,
							  sizeof(ip), GNUTLS_FSAN_SET);
	else if (name)
		r |= gnutls_x509_crt_set_subject_alt_name(c->crt, GNUTLS_SAN_DNSNAME, name,
							  (unsigned int)strlen(name),
							  GNUTLS_FSAN_SET);
	r |= gnutls_x509_crt_sign2(c->crt, issuer ? issuer->crt : c->crt,
				   issuer ? issuer->key : c->key, GNUTLS_DIG_SHA256, 0);
	return r == 0;
}

static inline bool cert_save(const struct cert *c, const char *dir, const char *crt,
			     const char *key)
{
	gnutls_datum_t pem = { .data = NULL };
	bool ok = !gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_PEM, &pem) &&
		  certs_write(dir, crt, &pem);

	gnutls_free(pem.data);
	if (!ok || !key)
		return ok;
	pem.data = NULL;
	ok = !gnutls_x509_privkey_export2(c->key, GNUTLS_X509_FMT_PEM, &pem) &&
	     certs_write(dir, key, &pem);
	gnutls_free(pem.data);
	return ok;
}

static inline void cert_free(struct cert *c)
{
	gnutls_x509_crt_deinit(c->crt);
	gnutls_x509_privkey_deinit(c->key);
}

static inline bool certs_revoke(const struct cert *ca, const struct cert *bad, const char *dir)
{
	gnutls_datum_t pem = { .data = NULL };
	gnutls_x509_crl_t crl;
	unsigned char number = 1;
	time_t now = time(NULL);
	int r;

	r = gnutls_x509_crl_init(&crl);
	r |= gnutls_x509_crl_set_version(crl, 2);
	r |= gnutls_x509_crl_set_crt(crl, bad->crt, now - CERT_DAY);
	r |= gnutls_x509_crl_set_this_update(crl, now - CERT_DAY);
	r |= gnutls_x509_crl_set_next_update(crl, now + 30 * CERT_DAY);
	r |= gnutls_x509_crl_set_number(crl, &number, 1);
	r |= gnutls_x509_crl_sign2(crl, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0);
	r |= gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem);
	if (!r)
		r = !certs_write(dir, "crl.pem", &pem);
	gnutls_free(pem.data);
	gnutls_x509_crl_deinit(crl);
	return r == 0;
}

/* All of them; takes some milliseconds. */
static inline bool certs_make(const char *dir)
{
	static const struct {
		const char *name, *crt, *key;
		int days;
		bool other;
	} all[] = {
		{ "127.0.0.1", "server.pem", "server.key", 30, false },
		{ "elsewhere.invalid", "elsewhere.pem", "elsewhere.key", 30, false },
		{ "client", "client.pem", "client.key", 30, false },
		{ "revoked", "revoked.pem", "revoked.key", 30, false },
		{ "expired", "expired.pem", "expired.key", -1, false },
		{ "127.0.0.1", "stranger.pem", "stranger.key", 30, true },
	};
	struct cert ca, other, c;
	time_t now = time(NULL);
	bool ok = cert_make(&ca, NULL, "CN=ours", NULL, 1, now + 30 * CERT_DAY) &&
		  cert_save(&ca, dir, "ca.pem", NULL) &&
		  cert_make(&other, NULL, "CN=others", NULL, 1, now + 30 * CERT_DAY) &&
		  cert_save(&other, dir, "other-ca.pem", NULL);

	for (unsigned char i = 0; ok && i < sizeof(all) / sizeof(all[0]); i++) {
		ok = cert_make(&c, all[i].other ? &other : &ca, "CN=pagetap", all[i].name,
			       (unsigned char)(10 + i), now + all[i].days * CERT_DAY) &&
		     cert_save(&c, dir, all[i].crt, all[i].key) &&
		     (strcmp(all[i].name, "revoked") || certs_revoke(&ca, &c, dir));
		cert_free(&c);
	}
	cert_free(&ca);
	cert_free(&other);
	return ok;
}

#endif
