/* SPDX-License-Identifier: MIT */
/*
 * HTTP site: an address with files below it, whom it is trusted as, and who asks.
 *
 * Credentials come from the environment or from files, never from the command line or
 * the address, which others can read; they are given to this host only, and are part of
 * no message.  TLS is always verified, for the name in the address.
 *
 * Does not change once open: threads may share it.
 */
#ifndef RESTORE_HTTP_SITE_H
#define RESTORE_HTTP_SITE_H

#include <curl/curl.h>

#include "restore/http-rules.h"

#define HTTP_TOKEN_VARIABLE "PAGETAP_HTTP_TOKEN"

struct http_options {
	const char *cacert;	/* trust these authorities only; NULL: the system's */
	const char *token_file;	/* a bearer token, read for each request; NULL: of the variable */
	const char *netrc;	/* NULL: ~/.netrc, if there is one */
	bool aws;		/* signed by AWS_ACCESS_KEY_ID and the others */
};

struct http_site;

/*
 * 0, or -errno with words: the address is none (EINVAL), a file cannot be read, a variable
 * is missing (ENOKEY).  Call it first while the process has one thread (libcurl's rule).
 */
int http_site_open(const char *url, const struct http_options *o, struct http_site **ret,
		   struct http_problem *ret_why);
/* NULL is fine. */
void http_site_free(struct http_site *site);
/* The address, with a slash at its end. */
const char *http_site_url(const struct http_site *site);
/* Credentials of ours go over the network as everybody can read them. */
bool http_site_is_bare(const struct http_site *site);

/*
 * A transfer to this site: all that does not depend on what is asked for.  Headers are
 * appended to *headers, which the caller gives to libcurl and frees.  -errno with words.
 */
int http_site_prepare(const struct http_site *site, CURL *easy, struct curl_slist **headers,
		      struct http_problem *ret_why);

#endif
