/* SPDX-License-Identifier: MIT */
/*
 * HTTP rules: which answer of a web server is believed.
 *
 * Pure.  A page that came from the wrong place of a file, or from another file than the
 * one that was there at the start, is worse than none: so an answer counts only if it says
 * of itself, in every word, that it is what was asked for (RFC 9110).
 */
#ifndef RESTORE_HTTP_RULES_H
#define RESTORE_HTTP_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_problem {
	char words[200];	/* no credentials, and nothing of a server that is not printable */
};

/* Does this name a web server, and not a folder? */
bool http_url_is(const char *text);
/*
 * An address below which the files lie, with a slash at its end, by malloc(3).  -EINVAL with
 * words: a user or password in it, a query, a fragment, a space, no host; -ENOMEM.
 */
int http_url_take(const char *text, char **ret, struct http_problem *ret_why);

/* Which file it is that lies under a name: what the server says of it. */
struct http_version {
	char etag[128];		/* with its quotes; "": it gives none */
	char modified[48];	/* Last-Modified; "": it gives none */
	uint64_t size;
};

/* An ETag that If-Match may name: not W/"...". */
bool http_etag_is_strong(const char *etag);

/* What a server says before the contents. */
struct http_head {
	unsigned int status;	/* 0: nothing yet */
	bool has_length, has_range, accepts_ranges, encoded;
	uint64_t length;
	uint64_t from, to, total;	/* of has_range: both ends are within */
	char etag[128], modified[48];
};

/*
 * One line of it, which need not end with a zero byte; a status line begins a new one.
 * What cannot be understood, or is too long to be kept, is as if it were not there.
 */
void http_head_line(struct http_head *h, const char *line, size_t len);

struct http_asked {
	bool head;			/* only what is said before the contents */
	bool ranged;			/* exactly these bytes */
	uint64_t from, len;
	const struct http_version *version;	/* of this file and no other; NULL: any */
	uint64_t most;			/* of a whole file: so many bytes at most */
};

/*
 * Is it what was asked for?  0, or with words: -ENOENT there is no such file, -EACCES not
 * for us, -ESTALE it is not the file it was, -EAGAIN the server cannot now, -EFBIG, -EPROTO
 * any other answer.
 */
int http_judge(const struct http_asked *asked, const struct http_head *h,
	       struct http_problem *ret_why);
/* Is this a version that can be told from another one?  -EPROTO with words: it is not. */
int http_version_of(const struct http_head *h, struct http_version *ret,
		    struct http_problem *ret_why);

/* A piece of one file that is wanted. */
struct http_span {
	uint32_t file;
	uint64_t from, len;
};

/*
 * Which of these n make one range with the first: it and its neighbours without a gap, in the
 * order in which they lie, at most `most` bytes and `room` of them.  Their numbers in ret;
 * returns how many.
 */
size_t http_join(const struct http_span *spans, size_t n, uint64_t most, uint32_t *ret,
		 size_t room);

/* How long to wait before the nth try (from 1 on) after failures, 50 ms to at most `most`. */
uint64_t http_backoff_ns(unsigned int nth, uint64_t most);

#endif
