/* SPDX-License-Identifier: MIT */
/*
 * HTTP client: requests to one site, many at once, by libcurl.
 *
 * Connections are kept and used again; over HTTP/2 requests share one.  What an answer says
 * of itself is held against http-rules.h before the first byte of it is handed over, and
 * what comes is exactly what was asked for, or an error.
 *
 * One thread at a time uses a client; it blocks in http_client_perform() only.
 */
#ifndef RESTORE_HTTP_CLIENT_H
#define RESTORE_HTTP_CLIENT_H

#include <stdatomic.h>

#include "restore/http-rules.h"
#include "restore/http-site.h"

struct http_client;

/* connections: at most so many at the same time.  0 or -errno. */
int http_client_new(const struct http_site *site, unsigned int connections,
		    struct http_client **ret);
/* With requests in flight: they are forgotten, nobody is told.  NULL is fine. */
void http_client_free(struct http_client *c);
/* Readable when http_client_turn() has something to do. */
int http_client_fd(const struct http_client *c);
/* Non-blocking: does what is to be done, and tells of the requests that are over. */
void http_client_turn(struct http_client *c);

/* A request: the caller's, and where it is until it is over. */
struct http_request {
	const char *name;	/* below the site; only looked at by http_client_start() */
	struct http_asked asked;
	/*
	 * The next n bytes of the contents; never more than were asked for, and none of an
	 * answer that is refused.  0, or -errno, which ends the request.  NULL: none wanted.
	 */
	int (*take)(struct http_request *q, const void *bytes, size_t n);
	/* It is over, and the caller's again.  May start others, also itself. */
	void (*done)(struct http_request *q);
	void *arg;
	/* Of http_client_perform(): it is given up (-ECANCELED) when this is set; may be NULL. */
	const _Atomic bool *stop;
	/* Of what has come, from the first byte on. */
	struct http_head got;
	uint64_t taken;		/* bytes that were handed over */
	uint64_t retry_ns;	/* the server says when to try again; 0: it does not */
	/*
	 * 0; of http_judge(); of take(); or no answer: -ECONNREFUSED, -EHOSTUNREACH,
	 * -ETIMEDOUT, -ECONNRESET, -EKEYREJECTED its certificate is not trusted.
	 */
	int err;
	struct http_problem why;
	/* The client's. */
	void *easy;
	void *headers;
	struct http_client *client;
	struct http_request *next;
	uint64_t swallowed;
	bool judged;
};

/* 0, and done() will be called, never from within; or -errno with words in q->why. */
int http_client_start(struct http_client *c, struct http_request *q);
/* One request, until it is over; its done() is not used.  q->err. */
int http_client_perform(struct http_client *c, struct http_request *q);

/* Might the same request have another answer a moment later? */
bool http_err_passes(int err);

#endif
