/* SPDX-License-Identifier: MIT */
/* HTTP folder.  See http-dir.h. */

#include "restore/http-dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Of one description, and of all together: what is read is held in memory, twice. */
#define DESCRIPTION_MAX (UINT64_C(1) << 30)
#define ALL_MAX (UINT64_C(4) << 30)
/* A length that is only said makes no more room than this. */
#define BELIEVED_MAX (UINT64_C(1) << 20)
#define TRIES 6
#define BACKOFF_MAX (4 * NSEC_PER_SEC)

/* A file as it was when it was first looked at. */
struct seen {
	struct image_name name;
	struct http_version version;
};

struct http_dir {
	struct image_dir dir;
	const struct http_site *site;
	struct http_client *client;	/* NULL: at rest */
	struct seen *seen;
	size_t n, max;
	uint64_t read;			/* bytes of descriptions */
	char problem[320];
};

static struct http_dir *dir_of(const struct image_dir *dir)
{
	return (struct http_dir *)((char *)(uintptr_t)dir - offsetof(struct http_dir, dir));
}

/* Below the site; false: it does not fit. */
static bool name_below(const struct image_name *name, char *buf, size_t size)
{
	const struct image_name own = { name->kind, name->id, 0 };
	char words[64];
	size_t at = 0;

	for (uint32_t i = 0; i < name->level; i++, at += 7)
		if (size - at <= 7)
			return false;
		else
			memcpy(buf + at, "parent/", 7);
	return (size_t)snprintf(buf + at, size - at, "%s",
				image_name_words(&own, words, sizeof(words))) < size - at;
}

static struct seen *find_seen(struct http_dir *d, const struct image_name *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->seen[i].name.kind == name->kind && d->seen[i].name.id == name->id &&
		    d->seen[i].name.level == name->level)
			return &d->seen[i];
	return NULL;
}

static int remember(struct http_dir *d, const struct image_name *name,
		    const struct http_version *version)
{
	struct seen *more = d->seen;

	if (find_seen(d, name))
		return 0;
	if (d->n == d->max) {
		d->max = d->max ? d->max * 2 : 16;
		more = realloc(d->seen, d->max * sizeof(*more));
	}
	if (!more)
		return -ENOMEM;
	d->seen = more;
	d->seen[d->n++] = (struct seen){ *name, *version };
	return 0;
}

/* ---- requests ---------------------------------------------------------------- */

/* The contents of a description, as they come. */
struct text {
	char *bytes;
	size_t len, room;
};

static int take_text(struct http_request *q, const void *bytes, size_t n)
{
	struct text *t = q->arg;

	if (n > t->room - t->len) {
		size_t room = t->room ? t->room : BELIEVED_MAX;
		char *more;

		while (n > room - t->len)
			room *= 2;
		more = realloc(t->bytes, room);
		if (!more)
			return -ENOMEM;
		t->bytes = more;
		t->room = room;
	}
	memcpy(t->bytes + t->len, bytes, n);
	t->len += n;
	return 0;
}

static int complain(struct http_dir *d, const char *name, const struct http_request *q)
{
	if (q->err != -ENOENT)
		snprintf(d->problem, sizeof(d->problem), "%.100s: %s", name, q->why.words);
	return q->err;
}

static void wait_before(unsigned int nth, const struct http_request *q)
{
	uint64_t ns = http_backoff_ns(nth, BACKOFF_MAX);
	struct timespec t;

	if (q->retry_ns > ns)
		ns = q->retry_ns < BACKOFF_MAX ? q->retry_ns : BACKOFF_MAX;
	t = (struct timespec){ .tv_sec = (time_t)(ns / NSEC_PER_SEC),
			       .tv_nsec = (long)(ns % NSEC_PER_SEC) };
	nanosleep(&t, NULL);
}

static int perform(struct http_dir *d, struct http_request *q)
{
	struct text *t = q->arg;
	int r;

	if (!d->client) {
		r = http_client_new(d->site, 1, &d->client);
		if (r)
			return r;
	}
	for (unsigned int nth = 1;; nth++) {
		if (t)
			t->len = 0;
		r = http_client_perform(d->client, q);
		if (!http_err_passes(r) || nth == TRIES)
			return r ? complain(d, q->name, q) : 0;
		wait_before(nth, q);
	}
}

/*
 * Some servers know no HEAD, and some do not say there that they know ranges, or how long it
 * is: one byte tells all.
 */
static int ask_version(struct http_dir *d, const char *name, const struct http_version *version,
		       struct http_version *ret)
{
	struct http_request q = { .name = name, .asked = { .head = true, .version = version } };
	int r = perform(d, &q);

	if ((r == -EPROTO && (q.got.status == 405 || q.got.status == 501)) || r == -EAGAIN ||
	    (!r && (!q.got.has_length || (!q.got.accepts_ranges && q.got.length)))) {
		q.asked = (struct http_asked){ .ranged = true, .len = 1, .version = version };
		r = perform(d, &q);
	}
	if (r)
		return r;
	q.err = http_version_of(&q.got, ret, &q.why);
	return q.err ? complain(d, name, &q) : 0;
}

/* ---- what is asked of a folder -------------------------------------------------- */

static int dir_level(struct image_dir *dir, uint32_t level)
{
	(void)dir;
	/* What there is of it, its files tell. */
	return level < IMAGE_LEVELS ? 0 : -EINVAL;
}

static int dir_size(struct image_dir *dir, const struct image_name *name, uint64_t *ret)
{
	struct http_dir *d = dir_of(dir);
	const struct seen *seen = find_seen(d, name);
	struct http_version version;
	char path[HTTP_NAME_MAX];
	int r;

	d->problem[0] = '\0';
	if (seen) {
		*ret = seen->version.size;
		return 0;
	}
	if (!name_below(name, path, sizeof(path)))
		return -ENAMETOOLONG;
	r = ask_version(d, path, NULL, &version);
	r = r ? r : remember(d, name, &version);
	if (!r)
		*ret = version.size;
	return r;
}

static int dir_read(struct image_dir *dir, const struct image_name *name, void **ret,
		    size_t *ret_len)
{
	struct http_dir *d = dir_of(dir);
	const struct seen *seen = find_seen(d, name);
	char path[HTTP_NAME_MAX];
	struct text t = { 0 };
	struct http_request q = {
		.name = path, .take = take_text, .arg = &t,
		.asked = { .most = DESCRIPTION_MAX, .version = seen ? &seen->version : NULL },
	};
	struct http_version version;
	int r;

	d->problem[0] = '\0';
	if (!name_below(name, path, sizeof(path)))
		return -ENAMETOOLONG;
	if (q.asked.most > ALL_MAX - d->read)
		q.asked.most = ALL_MAX - d->read;
	r = perform(d, &q);
	if (!r) {
		/* Sent in chunks, it says no length; it has one now. */
		q.got.has_length = true;
		q.got.length = t.len;
		q.err = http_version_of(&q.got, &version, &q.why);
		r = q.err ? complain(d, path, &q) : remember(d, name, &version);
	}
	if (!r && !t.bytes && !(t.bytes = malloc(1)))
		r = -ENOMEM;
	if (r) {
		free(t.bytes);
		return r;
	}
	/* Once for the parser, and once more perhaps for identity_make(). */
	d->read += seen ? 0 : t.len;
	*ret = t.bytes;
	*ret_len = t.len;
	return 0;
}

static void dir_free(struct image_dir *dir)
{
	struct http_dir *d = dir_of(dir);

	http_client_free(d->client);
	free(d->seen);
	free(d);
}

static const struct image_dir_ops ops = {
	.level = dir_level,
	.size = dir_size,
	.read = dir_read,
	.free = dir_free,
};

int http_dir_open(const struct http_site *site, struct image_dir **ret)
{
	struct http_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->dir.ops = &ops;
	d->site = site;
	*ret = &d->dir;
	return 0;
}

const char *http_dir_problem(const struct image_dir *dir)
{
	return dir_of(dir)->problem;
}

const struct http_site *http_dir_site(const struct image_dir *dir)
{
	return dir_of(dir)->site;
}

void http_dir_rest(struct image_dir *dir)
{
	struct http_dir *d = dir_of(dir);

	http_client_free(d->client);
	d->client = NULL;
}

int http_dir_pages(struct image_dir *dir, const struct image_pages *pages, char *ret_name,
		   size_t size, struct http_version *ret)
{
	const struct image_name name = { IMAGE_PAGES, pages->id, pages->level };
	struct http_dir *d = dir_of(dir);
	const struct seen *seen = find_seen(d, &name);
	uint64_t now;
	int r = seen ? 0 : dir_size(dir, &name, &now);

	if (r)
		return r;
	seen = find_seen(d, &name);
	if (!name_below(&name, ret_name, size))
		return -ENAMETOOLONG;
	*ret = seen->version;
	return seen->version.size == pages->size ? 0 : -ESTALE;
}
