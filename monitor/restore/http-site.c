/* SPDX-License-Identifier: MIT */
/* HTTP site: libcurl's options that make it safe, and credentials.  See http-site.h. */

#include "restore/http-site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TOKEN_MAX 8192
#define CONNECT_SECONDS 10L
/* Slower than that for so long is a connection that hangs. */
#define SLOW_BYTES 1024L
#define SLOW_SECONDS 10L
#define REDIRECTS_MAX 4L
#define REGION_DEFAULT "us-east-1"
/* SHA-256 of nothing: what a request that only reads has behind its head (SigV4). */
#define NO_PAYLOAD "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum who {
	WHO_NETRC,
	WHO_BEARER,
	WHO_AWS,
};

struct http_site {
	char *url;
	bool tls, loopback, named;	/* named: the netrc file */
	enum who who;
	char *cacert, *token, *token_file, *netrc;
	char *key, *secret, *session, *sigv4;
};

static int refuse(struct http_problem *why, int err, const char *what, const char *words)
{
	snprintf(why->words, sizeof(why->words), "%s: %s", what, words);
	return err;
}

static int copy_text(const char *from, char **ret)
{
	*ret = from ? strdup(from) : NULL;
	return from && !*ret ? -ENOMEM : 0;
}

/* Overwritten before its memory is anybody's. */
static void forget(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void http_site_free(struct http_site *site)
{
	if (!site)
		return;
	free(site->url);
	free(site->cacert);
	free(site->token_file);
	free(site->netrc);
	free(site->key);
	free(site->sigv4);
	forget(site->token);
	forget(site->secret);
	forget(site->session);
	free(site);
}

const char *http_site_url(const struct http_site *site)
{
	return site->url;
}

bool http_site_is_bare(const struct http_site *site)
{
	/* Whether ~/.netrc has any for this host, only libcurl knows. */
	return !site->tls && !site->loopback && (site->who != WHO_NETRC || site->named);
}

/* A header of more than one line would be two. */
static bool is_token(const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return *text;
}

static int read_token(const char *path, char **ret, struct http_problem *why)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[TOKEN_MAX + 1];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	int r;

	if (n < 0)
		return refuse(why, -errno, path, strerror(errno));
	text[n] = '\0';
	while (n > 0 && strchr(" \t\r\n", text[n - 1]))
		text[--n] = '\0';
	r = is_token(text) ? copy_text(text, ret) : refuse(why, -EINVAL, path, "not a token");
	explicit_bzero(text, sizeof(text));
	return r;
}

static int take_bearer(struct http_site *s, const struct http_options *o, const char *token,
		       struct http_problem *why)
{
	char *first = NULL;
	int r;

	s->who = WHO_BEARER;
	if (!o->token_file)
		return is_token(token) ? copy_text(token, &s->token) :
			refuse(why, -EINVAL, HTTP_TOKEN_VARIABLE, "not a token");
	r = read_token(o->token_file, &first, why);
	forget(first);
	return r ? r : copy_text(o->token_file, &s->token_file);
}

static int take_aws(struct http_site *s, struct http_problem *why)
{
	const char *key = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
	const char *session = getenv("AWS_SESSION_TOKEN"), *region = getenv("AWS_REGION");
	int r;

	s->who = WHO_AWS;
	if (!key || !is_token(key))
		return refuse(why, -ENOKEY, "AWS_ACCESS_KEY_ID", "not set");
	if (!secret || !is_token(secret))
		return refuse(why, -ENOKEY, "AWS_SECRET_ACCESS_KEY", "not set");
	if (session && !*session)
		session = NULL;
	if (session && !is_token(session))
		return refuse(why, -EINVAL, "AWS_SESSION_TOKEN", "not a token");
	if (!region || !*region)
		region = getenv("AWS_DEFAULT_REGION");
	if (!region || !*region)
		region = REGION_DEFAULT;
	if (!is_token(region) || strchr(region, ':'))
		return refuse(why, -EINVAL, "AWS_REGION", "not a region");
	r = asprintf(&s->sigv4, "aws:amz:%s:s3", region) < 0 ? -ENOMEM : 0;
	r = r ? r : copy_text(key, &s->key);
	r = r ? r : copy_text(secret, &s->secret);
	return r ? r : copy_text(session, &s->session);
}

/* libcurl looks for it, too; but a file that was named has to be there. */
static int take_netrc(struct http_site *s, const struct http_options *o, struct http_problem *why)
{
	const char *home = getenv("HOME");
	int r;

	s->who = WHO_NETRC;
	if (o->netrc) {
		if (access(o->netrc, R_OK))
			return refuse(why, -errno, o->netrc, strerror(errno));
		s->named = true;
		return copy_text(o->netrc, &s->netrc);
	}
	if (!home || asprintf(&s->netrc, "%s/.netrc", home) < 0)
		s->netrc = NULL;
	r = s->netrc ? access(s->netrc, R_OK) : 0;
	if (r) {
		free(s->netrc);
		s->netrc = NULL;
	}
	return 0;
}

static bool is_loopback(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return !strncmp(host, "127.", 4) || !strncmp(host, "[::1]", 5) ||
	       (!strncasecmp(host, "localhost", 9) && strchr(":/", host[9]));
}

static int take_who(struct http_site *s, const struct http_options *o, struct http_problem *why)
{
	const char *token = getenv(HTTP_TOKEN_VARIABLE);

	if (o->aws)
		return take_aws(s, why);
	if (o->token_file || (token && *token && !o->netrc))
		return take_bearer(s, o, token, why);
	return take_netrc(s, o, why);
}

int http_site_open(const char *url, const struct http_options *o, struct http_site **ret,
		   struct http_problem *ret_why)
{
	struct http_site *s = calloc(1, sizeof(*s));
	int r = s ? http_url_take(url, &s->url, ret_why) : -ENOMEM;

	if (!r && curl_global_init(CURL_GLOBAL_DEFAULT))
		r = -ENOMEM;
	if (!r) {
		s->tls = !strncasecmp(s->url, "https", 5);
		s->loopback = is_loopback(s->url);
		r = take_who(s, o, ret_why);
	}
	if (!r && o->cacert && access(o->cacert, R_OK))
		r = refuse(ret_why, -errno, o->cacert, strerror(errno));
	r = r ? r : copy_text(o->cacert, &s->cacert);
	if (r == -ENOMEM)
		refuse(ret_why, r, "HTTP", strerror(ENOMEM));
	if (r) {
		http_site_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* ---- a transfer ------------------------------------------------------------------ */

static bool add_header(struct curl_slist **headers, const char *name, const char *value)
{
	struct curl_slist *more = NULL;
	char *line;

	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	more = curl_slist_append(*headers, line);
	forget(line);
	*headers = more ? more : *headers;
	return more;
}

static bool prepare_limits(CURL *easy)
{
	/* Signals are the pager's; libcurl's timeouts do without. */
	return !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) &&
	       !curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES) &&
	       !curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS) &&
	       !curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_USERAGENT, "pagetap/" PAGETAP_VERSION) &&
	       !curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
}

/* A signature is for one host; nothing of ours is to be sent to another one by a server's word. */
static bool prepare_trust(const struct http_site *s, CURL *easy)
{
	const char *scheme = s->tls ? "https" : "http";

	return !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, scheme) &&
	       !curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, scheme) &&
	       !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, s->who == WHO_AWS ? 0L : 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX) &&
	       !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) &&
	       !curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       (!s->cacert || !curl_easy_setopt(easy, CURLOPT_CAINFO, s->cacert));
}

static int prepare_bearer(const struct http_site *s, CURL *easy, struct http_problem *why)
{
	char *token = NULL;
	int r = s->token_file ? read_token(s->token_file, &token, why) :
		copy_text(s->token, &token);

	if (!r && (curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) ||
		   curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, token)))
		r = -ENOMEM;
	forget(token);
	return r;
}

static bool prepare_aws(const struct http_site *s, CURL *easy, struct curl_slist **headers)
{
	return !curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, s->sigv4) &&
	       !curl_easy_setopt(easy, CURLOPT_USERNAME, s->key) &&
	       !curl_easy_setopt(easy, CURLOPT_PASSWORD, s->secret) &&
	       add_header(headers, "x-amz-content-sha256", NO_PAYLOAD) &&
	       (!s->session || add_header(headers, "x-amz-security-token", s->session));
}

static bool prepare_netrc(const struct http_site *s, CURL *easy)
{
	return !s->netrc ||
	       (!curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL) &&
		!curl_easy_setopt(easy, CURLOPT_NETRC_FILE, s->netrc) &&
		!curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC));
}

int http_site_prepare(const struct http_site *site, CURL *easy, struct curl_slist **headers,
		      struct http_problem *ret_why)
{
	bool well = prepare_limits(easy) && prepare_trust(site, easy);
	int r = 0;

	if (well && site->who == WHO_BEARER)
		r = prepare_bearer(site, easy, ret_why);
	else if (well && site->who == WHO_AWS)
		well = prepare_aws(site, easy, headers);
	else if (well)
		well = prepare_netrc(site, easy);
	if (!well || r == -ENOMEM)
		return refuse(ret_why, -ENOMEM, "HTTP", strerror(ENOMEM));
	return r;
}
