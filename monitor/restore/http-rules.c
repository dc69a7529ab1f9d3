/* SPDX-License-Identifier: MIT */
/* HTTP rules.  See http-rules.h. */

#include "restore/http-rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BACKOFF_FIRST UINT64_C(50000000)
/* Longer than any proxy takes. */
#define URL_MAX 2048

__attribute__((format(printf, 3, 4)))
static int refuse(struct http_problem *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->words, sizeof(why->words), fmt, ap);
	va_end(ap);
	return err;
}

/* ---- addresses -------------------------------------------------------------- */

static const char *behind_scheme(const char *text)
{
	if (!strncasecmp(text, "http://", 7))
		return text + 7;
	if (!strncasecmp(text, "https://", 8))
		return text + 8;
	return NULL;
}

bool http_url_is(const char *text)
{
	return behind_scheme(text);
}

int http_url_take(const char *text, char **ret, struct http_problem *ret_why)
{
	const char *host = behind_scheme(text);
	size_t len = strlen(text), host_len;
	char *url;

	if (!host || len > URL_MAX)
		return refuse(ret_why, -EINVAL, "not an address of a web server");
	host_len = strcspn(host, "/?#");
	if (memchr(host, '@', host_len))
		return refuse(ret_why, -EINVAL,
			      "a user or password in the address can be read by everybody");
	if (!host_len || *host == ':')
		return refuse(ret_why, -EINVAL, "the address names no host");
	if (strpbrk(host, "?#"))
		return refuse(ret_why, -EINVAL,
			      "files lie below the address: it has no query and no fragment");
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~')
			return refuse(ret_why, -EINVAL,
				      "what is no plain character has to be written as %%XX");
	url = malloc(len + 2);
	if (!url)
		return refuse(ret_why, -ENOMEM, "out of memory");
	memcpy(url, text, len + 1);
	if (url[len - 1] != '/')
		memcpy(url + len, "/", 2);
	*ret = url;
	return 0;
}

/* ---- what the server says ---------------------------------------------------- */

bool http_etag_is_strong(const char *etag)
{
	size_t n = strlen(etag);

	return n >= 2 && etag[0] == '"' && etag[n - 1] == '"';
}

/* Digits, and behind them what is to follow; NULL: it is otherwise, or too large. */
static const char *take_number(const char *s, const char *follow, uint64_t *ret)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return NULL;
	if (strncmp(s, follow, strlen(follow)) || (!*follow && *s))
		return NULL;
	*ret = v;
	return s + strlen(follow);
}

/* "bytes 0-4095/1048576"; a total that is not known is no use to us. */
static bool take_range(const char *s, struct http_head *h)
{
	if (strncasecmp(s, "bytes ", 6))
		return false;
	s = take_number(s + 6, "-", &h->from);
	s = s ? take_number(s, "/", &h->to) : NULL;
	s = s ? take_number(s, "", &h->total) : NULL;
	return s && h->from <= h->to && h->to < h->total;
}

static void keep(char *to, size_t size, const char *value)
{
	size_t n = strlen(value);

	for (const char *c = value; *c; c++)
		if (*c < ' ' || *c > '~')
			n = size;
	if (n < size)
		memcpy(to, value, n + 1);
}

static void take_field(struct http_head *h, const char *name, const char *value)
{
	if (!strcasecmp(name, "content-length"))
		h->has_length = take_number(value, "", &h->length);
	else if (!strcasecmp(name, "content-range"))
		h->has_range = take_range(value, h);
	else if (!strcasecmp(name, "content-encoding"))
		h->encoded = strcasecmp(value, "identity");
	else if (!strcasecmp(name, "accept-ranges"))
		h->accepts_ranges = !strcasecmp(value, "bytes");
	else if (!strcasecmp(name, "etag"))
		keep(h->etag, sizeof(h->etag), value);
	else if (!strcasecmp(name, "last-modified"))
		keep(h->modified, sizeof(h->modified), value);
}

void http_head_line(struct http_head *h, const char *line, size_t len)
{
	char text[512], *value, *end;
	uint64_t status;

	if (len >= sizeof(text))
		return;
	memcpy(text, line, len);
	text[len] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	if (!strncmp(text, "HTTP/", 5)) {
		*h = (struct http_head){ 0 };
		value = strchr(text, ' ');
		if (value && strspn(value + 1, "0123456789") == 3) {
			value[4] = '\0';
			if (take_number(value + 1, "", &status))
				h->status = (unsigned int)status;
		}
		return;
	}
	value = strchr(text, ':');
	if (!value)
		return;
	*value++ = '\0';
	value += strspn(value, " \t");
	for (end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
		end[-1] = '\0';
	take_field(h, text, value);
}

/* ---- is it believed ----------------------------------------------------------- */

static int judge_status(const struct http_asked *a, const struct http_head *h,
			struct http_problem *why)
{
	unsigned int s = h->status;

	if (s == (a->ranged ? 206 : 200))
		return 0;
	if (s == 200)
		return refuse(why, -EPROTO, "the server gives whole files only, and no ranges");
	if (s == 404 || s == 410)
		return refuse(why, -ENOENT, "it is not there (%u)", s);
	if (s == 401)
		return refuse(why, -EACCES, "the server wants to know who asks (401)");
	if (s == 403 || s == 407)
		return refuse(why, -EACCES, "the server does not let us (%u)", s);
	if (s == 412 || (s == 416 && a->version))
		return refuse(why, -ESTALE, "it has been replaced since (%u)", s);
	if (s == 408 || s == 429 || s >= 500)
		return refuse(why, -EAGAIN, "the server cannot now (%u)", s);
	if (s >= 300 && s < 400)
		return refuse(why, -EPROTO, "the server wants us to ask elsewhere (%u)", s);
	return refuse(why, -EPROTO, "an answer that was not asked for (%u)", s);
}

static int judge_version(const struct http_version *v, const struct http_head *h,
			 struct http_problem *why)
{
	if (v->etag[0] && !h->etag[0])
		return refuse(why, -EPROTO, "the server does not say any more which file it is");
	if (v->etag[0] && strcmp(v->etag, h->etag))
		return refuse(why, -ESTALE, "it has been replaced since (another ETag)");
	if (!v->etag[0] && strcmp(v->modified, h->modified))
		return refuse(why, -ESTALE, "it has been replaced since (another Last-Modified)");
	return 0;
}

static int judge_range(const struct http_asked *a, const struct http_head *h,
		       struct http_problem *why)
{
	if (!h->has_range)
		return refuse(why, -EPROTO, "the server does not say which range it gives");
	if (a->version && h->total != a->version->size)
		return refuse(why, -ESTALE, "it has been replaced since (another length)");
	if (h->from != a->from || h->to - h->from != a->len - 1)
		return refuse(why, -EPROTO, "asked for bytes %" PRIu64 "-%" PRIu64
			      ", the server gives %" PRIu64 "-%" PRIu64, a->from,
			      a->from + a->len - 1, h->from, h->to);
	if (h->has_length && h->length != a->len)
		return refuse(why, -EPROTO, "the server gives a range of %" PRIu64
			      " bytes, and says %" PRIu64, a->len, h->length);
	return 0;
}

int http_judge(const struct http_asked *asked, const struct http_head *h,
	       struct http_problem *ret_why)
{
	int r = judge_status(asked, h, ret_why);

	if (!r && h->encoded)
		r = refuse(ret_why, -EPROTO, "the server gives it compressed, unasked");
	if (!r && asked->version)
		r = judge_version(asked->version, h, ret_why);
	if (!r && asked->ranged)
		r = judge_range(asked, h, ret_why);
	else if (!r && !asked->head && h->has_length && h->length > asked->most)
		r = refuse(ret_why, -EFBIG, "it is too long: %" PRIu64 " bytes", h->length);
	return r;
}

int http_version_of(const struct http_head *h, struct http_version *ret,
		    struct http_problem *ret_why)
{
	struct http_version v = { .size = h->has_range ? h->total : h->length };

	if (!h->has_range && !h->has_length)
		return refuse(ret_why, -EPROTO, "the server does not say how long it is");
	if (!h->etag[0] && !h->modified[0])
		return refuse(ret_why, -EPROTO, "the server gives neither ETag nor Last-Modified: "
			      "a replaced file could not be noticed");
	memcpy(v.etag, h->etag, sizeof(v.etag));
	memcpy(v.modified, h->modified, sizeof(v.modified));
	*ret = v;
	return 0;
}

/* ---- what is asked for together --------------------------------------------------- */

static size_t find_span(const struct http_span *spans, size_t n, uint32_t file, uint64_t at,
			bool end, uint64_t room)
{
	for (size_t i = 1; i < n; i++) {
		const struct http_span *s = &spans[i];

		if (s->file == file && s->len <= room && (end ? s->from + s->len : s->from) == at)
			return i;
	}
	return n;
}

size_t http_join(const struct http_span *spans, size_t n, uint64_t most, uint32_t *ret,
		 size_t room)
{
	uint64_t from, to;
	size_t k = 1, i;

	if (!n || !room)
		return 0;
	ret[0] = 0;
	from = spans[0].from;
	to = from + spans[0].len;
	while (k < room && to - from < most) {
		i = find_span(spans, n, spans[0].file, to, false, most - (to - from));
		if (i == n)
			break;
		ret[k++] = (uint32_t)i;
		to += spans[i].len;
	}
	while (k < room && to - from < most) {
		i = find_span(spans, n, spans[0].file, from, true, most - (to - from));
		if (i == n)
			break;
		memmove(ret + 1, ret, k++ * sizeof(*ret));
		ret[0] = (uint32_t)i;
		from -= spans[i].len;
	}
	return k;
}

uint64_t http_backoff_ns(unsigned int nth, uint64_t most)
{
	uint64_t ns = BACKOFF_FIRST;

	for (; nth > 1 && ns < most; nth--)
		ns *= 2;
	return ns < most ? ns : most;
}
