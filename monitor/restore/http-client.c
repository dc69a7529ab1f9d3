/* SPDX-License-Identifier: MIT */
/* HTTP client: libcurl's multi interface upon one epoll set.  See http-client.h. */

#include "restore/http-client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define EVENTS_MAX 16
/* Of a page that says what went wrong: that much is read, to keep the connection. */
#define SWALLOW_MAX UINT64_C(65536)
#define BUFFER_BYTES 262144L
/* Whatever a request asks for: longer it does not take. */
#define WHOLE_SECONDS 600L
/* So soon it is noticed that nobody wants it any more. */
#define STOP_MS 100

struct http_client {
	const struct http_site *site;
	CURLM *multi;
	int epoll, timer;
	struct http_request *flying;	/* all that are */
};

static int refuse(struct http_request *q, int err, const char *words)
{
	snprintf(q->why.words, sizeof(q->why.words), "%s", words);
	return q->err = err;
}

/* ---- what libcurl wants to wait for ------------------------------------------------ */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http_client *c = arg;
	struct epoll_event ev = { .data.fd = fd };

	(void)easy;
	(void)known;
	if (what == CURL_POLL_REMOVE) {
		/* It may have been closed, and is gone from the set by that. */
		epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	/* A number that was closed, and is another socket now, is not in the set. */
	if (!epoll_ctl(c->epoll, EPOLL_CTL_MOD, fd, &ev))
		return 0;
	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -1 : 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct http_client *c = arg;
	struct itimerspec t = { 0 };

	(void)multi;
	if (ms >= 0) {
		t.it_value.tv_sec = ms / 1000;
		/* All zero would switch it off. */
		t.it_value.tv_nsec = ms % 1000 * (long)NSEC_PER_MSEC + 1;
	}
	return timerfd_settime(c->timer, 0, &t, NULL) < 0 ? -1 : 0;
}

int http_client_new(const struct http_site *site, unsigned int connections,
		    struct http_client **ret)
{
	struct http_client *c = calloc(1, sizeof(*c));
	struct epoll_event ev = { .events = EPOLLIN };

	if (!c)
		return -ENOMEM;
	c->site = site;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	c->multi = curl_multi_init();
	ev.data.fd = c->timer;
	if (c->epoll < 0 || c->timer < 0 || !c->multi ||
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->timer, &ev) < 0 ||
	    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket) ||
	    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) ||
	    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer) ||
	    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) ||
	    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections)) {
		int err = errno == EMFILE || errno == ENFILE ? -errno : -ENOMEM;

		http_client_free(c);
		return err;
	}
	*ret = c;
	return 0;
}

int http_client_fd(const struct http_client *c)
{
	return c->epoll;
}

/* ---- an answer ---------------------------------------------------------------------- */

static size_t on_line(char *line, size_t size, size_t n, void *arg)
{
	struct http_request *q = arg;

	http_head_line(&q->got, line, size * n);
	return size * n;
}

/* Before the first byte of it, or when there is none. */
static int judge(struct http_request *q)
{
	if (!q->judged)
		q->err = http_judge(&q->asked, &q->got, &q->why);
	q->judged = true;
	return q->err;
}

static int take(struct http_request *q, const char *bytes, size_t n)
{
	uint64_t most = q->asked.ranged ? q->asked.len : q->asked.most;
	int r = 0;

	if (n > most - q->taken)
		return refuse(q, -EPROTO, "the server gives more than was asked for");
	if (q->take)
		r = q->take(q, bytes, n);
	if (r)
		return refuse(q, r, strerror(-r));
	q->taken += n;
	return 0;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct http_request *q = arg;

	n *= size;
	if (judge(q)) {
		q->swallowed += n;
		return q->got.status >= 300 && q->swallowed <= SWALLOW_MAX ? n : 0;
	}
	return take(q, bytes, n) ? 0 : n;
}

/* What libcurl says is what it is, without the name of the host that it may hold. */
static int judge_transfer(struct http_request *q, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		if (judge(q))
			return q->err;
		if (q->asked.ranged && q->taken < q->asked.len)
			return refuse(q, -ECONNRESET, "the answer is too short");
		return 0;
	case CURLE_WRITE_ERROR:
		return q->err ? q->err : refuse(q, -EPROTO, curl_easy_strerror(code));
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return refuse(q, -EHOSTUNREACH, curl_easy_strerror(code));
	case CURLE_COULDNT_CONNECT:
		return refuse(q, -ECONNREFUSED, curl_easy_strerror(code));
	case CURLE_OPERATION_TIMEDOUT:
		return refuse(q, -ETIMEDOUT, curl_easy_strerror(code));
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return refuse(q, -EKEYREJECTED, curl_easy_strerror(code));
	case CURLE_TOO_MANY_REDIRECTS:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return refuse(q, -EPROTO, "the server sends us elsewhere, and on and on");
	case CURLE_OUT_OF_MEMORY:
		return refuse(q, -ENOMEM, strerror(ENOMEM));
	default:
		return refuse(q, -ECONNRESET, curl_easy_strerror(code));
	}
}

bool http_err_passes(int err)
{
	return err == -EAGAIN || err == -ETIMEDOUT || err == -ECONNRESET;
}

/* ---- requests ----------------------------------------------------------------------- */

static void unlink_request(struct http_request *q)
{
	struct http_request **at = &q->client->flying;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
}

static void let_go(struct http_request *q)
{
	curl_easy_cleanup(q->easy);
	curl_slist_free_all(q->headers);
	q->easy = NULL;
	q->headers = NULL;
}

static bool add(struct http_request *q, const char *name, const char *value)
{
	struct curl_slist *more;
	char *line;

	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	more = curl_slist_append(q->headers, line);
	free(line);
	if (more)
		q->headers = more;
	return more;
}

/* The server itself is to look whether it is the file that is meant (RFC 9110, 13.1). */
static bool add_conditions(struct http_request *q)
{
	const struct http_version *v = q->asked.version;

	if (!v)
		return true;
	if (http_etag_is_strong(v->etag))
		return add(q, "If-Match", v->etag);
	return !v->modified[0] || v->etag[0] || add(q, "If-Unmodified-Since", v->modified);
}

static bool set_what(struct http_request *q, const char *url)
{
	const struct http_asked *a = &q->asked;
	char range[64];

	if (a->ranged) {
		snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, a->from,
			 a->from + a->len - 1);
		if (curl_easy_setopt(q->easy, CURLOPT_RANGE, range))
			return false;
	}
	return !curl_easy_setopt(q->easy, CURLOPT_URL, url) &&
	       !curl_easy_setopt(q->easy, CURLOPT_NOBODY, (long)a->head) &&
	       add(q, "Accept-Encoding", "identity") && add_conditions(q) &&
	       !curl_easy_setopt(q->easy, CURLOPT_HTTPHEADER, q->headers);
}

static bool set_who_hears(struct http_request *q)
{
	return !curl_easy_setopt(q->easy, CURLOPT_PRIVATE, q) &&
	       !curl_easy_setopt(q->easy, CURLOPT_HEADERFUNCTION, on_line) &&
	       !curl_easy_setopt(q->easy, CURLOPT_HEADERDATA, q) &&
	       !curl_easy_setopt(q->easy, CURLOPT_WRITEFUNCTION, on_bytes) &&
	       !curl_easy_setopt(q->easy, CURLOPT_WRITEDATA, q) &&
	       !curl_easy_setopt(q->easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES) &&
	       !curl_easy_setopt(q->easy, CURLOPT_TIMEOUT, WHOLE_SECONDS);
}

static int prepare(struct http_client *c, struct http_request *q)
{
	struct curl_slist *headers = NULL;
	_free_ char *url = NULL;
	int r;

	q->easy = curl_easy_init();
	if (!q->easy || asprintf(&url, "%s%s", http_site_url(c->site), q->name) < 0) {
		url = NULL;
		return refuse(q, -ENOMEM, strerror(ENOMEM));
	}
	r = http_site_prepare(c->site, q->easy, &headers, &q->why);
	q->headers = headers;
	if (r)
		return r;
	if (!set_who_hears(q) || !set_what(q, url))
		return refuse(q, -ENOMEM, strerror(ENOMEM));
	return 0;
}

int http_client_start(struct http_client *c, struct http_request *q)
{
	int running, r;

	q->client = c;
	q->easy = q->headers = NULL;
	q->got = (struct http_head){ 0 };
	q->taken = q->retry_ns = q->swallowed = 0;
	q->judged = false;
	q->err = 0;
	q->why.words[0] = '\0';
	r = prepare(c, q);
	if (!r && curl_multi_add_handle(c->multi, q->easy))
		r = refuse(q, -ENOMEM, strerror(ENOMEM));
	if (r) {
		let_go(q);
		return r;
	}
	q->next = c->flying;
	c->flying = q;
	/* Out it goes, if there is a connection. */
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	return 0;
}

/* It is forgotten. */
static void drop(struct http_request *q)
{
	curl_multi_remove_handle(q->client->multi, q->easy);
	unlink_request(q);
	let_go(q);
}

static void finish(CURL *easy, CURLcode code)
{
	struct http_request *q;
	curl_off_t seconds = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &q);
	q->err = judge_transfer(q, code);
	if (!curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) && seconds > 0)
		q->retry_ns = (uint64_t)seconds * NSEC_PER_SEC;
	drop(q);
	if (q->done)
		q->done(q);
}

void http_client_turn(struct http_client *c)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = epoll_wait(c->epoll, ev, EVENTS_MAX, 0), running, left;
	uint64_t expired;
	CURLMsg *m;

	for (int i = 0; i < n; i++) {
		int what = (ev[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (ev[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

		if (ev[i].data.fd != c->timer)
			curl_multi_socket_action(c->multi, ev[i].data.fd, what, &running);
		else if (read(c->timer, &expired, sizeof(expired)) == sizeof(expired))
			curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	while ((m = curl_multi_info_read(c->multi, &left)))
		if (m->msg == CURLMSG_DONE)
			finish(m->easy_handle, m->data.result);
}

int http_client_perform(struct http_client *c, struct http_request *q)
{
	struct pollfd p = { .fd = c->epoll, .events = POLLIN };
	int r;

	q->done = NULL;
	r = http_client_start(c, q);
	if (r)
		return r;
	/* Whose transfer is over has none any more. */
	while (q->easy && !(q->stop && atomic_load(q->stop))) {
		poll(&p, 1, q->stop ? STOP_MS : -1);
		http_client_turn(c);
	}
	if (!q->easy)
		return q->err;
	drop(q);
	return refuse(q, -ECANCELED, strerror(ECANCELED));
}

void http_client_free(struct http_client *c)
{
	struct http_request *q;

	if (!c)
		return;
	while ((q = c->flying))
		drop(q);
	if (c->multi)
		curl_multi_cleanup(c->multi);
	if (c->timer >= 0)
		close(c->timer);
	if (c->epoll >= 0)
		close(c->epoll);
	free(c);
}
