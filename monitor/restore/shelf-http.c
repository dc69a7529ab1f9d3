/* SPDX-License-Identifier: MIT */
/* Shelf of a web server.  See shelf-http.h. */

#include "restore/shelf-http.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/range.h"
#include "restore/http-files.h"
#include "restore/identity.h"

/* Connections that nobody uses at the moment: more than that are closed. */
#define IDLE_MAX 16
#define NAP_NS (50 * NSEC_PER_MSEC)

struct shelf_http {
	const struct image *image;
	const struct http_site *site;
	struct source_http_options o;
	struct http_file *files;
	bool parent;			/* it is an incremental one */
	_Atomic bool stop;
	/* Under the lock: who is idle, what was told of trouble. */
	pthread_mutex_t lock;
	struct http_client *idle[IDLE_MAX];
	unsigned int nidle;
	bool no_cache_told;
};

/* Pages that are not here but at another server are not given. */
static bool find_page(void *arg, int32_t pid, uint64_t vaddr, struct shelf_run *ret)
{
	const struct shelf_http *s = arg;
	const struct image_task *task = image_task(s->image, pid);
	const struct image_piece *p = task ? image_find(task, vaddr) : NULL;
	uint64_t skip;

	if (!p || p->pages == IMAGE_REMOTE)
		return false;
	skip = (vaddr - p->vaddr) / IMAGE_PAGE;
	*ret = (struct shelf_run){
		.fd = SHELF_FETCHED,
		.file = p->pages,
		.offset = p->offset + skip * IMAGE_PAGE,
		.npages = p->npages - skip,
	};
	return true;
}

static bool has_task(void *arg, int32_t pid, bool parent)
{
	const struct shelf_http *s = arg;

	return (!parent || s->parent) && image_task(s->image, pid);
}

/* ---- connections ------------------------------------------------------------- */

static int take_client(struct shelf_http *s, struct http_client **ret)
{
	struct http_client *c = NULL;

	pthread_mutex_lock(&s->lock);
	if (s->nidle)
		c = s->idle[--s->nidle];
	pthread_mutex_unlock(&s->lock);
	*ret = c;
	return c ? 0 : http_client_new(s->site, 1, ret);
}

static void put_client(struct shelf_http *s, struct http_client *c)
{
	pthread_mutex_lock(&s->lock);
	if (s->nidle < IDLE_MAX) {
		s->idle[s->nidle++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	http_client_free(c);
}

/* ---- pages -------------------------------------------------------------------- */

static void tell(const struct shelf_http *s, enum source_http_kind kind, const char *name,
		 const char *words)
{
	char text[320];

	snprintf(text, sizeof(text), "%.100s%s%s", name ? name : "", name ? ": " : "", words);
	if (s->o.told)
		s->o.told(s->o.arg, kind, text);
}

/* All connections share what is known of a file; each waits by itself. */
static void have_trouble(struct shelf_http *s, struct http_file *f, const struct http_request *q)
{
	struct timespec nap = { .tv_nsec = NAP_NS };
	uint64_t until;

	pthread_mutex_lock(&s->lock);
	if (http_trouble_begin(&f->trouble, q, clock_now()))
		tell(s, SOURCE_HTTP_LOST, f->name, f->trouble.words);
	until = f->trouble.until;
	pthread_mutex_unlock(&s->lock);
	while (!atomic_load(&s->stop) && clock_now() < until)
		nanosleep(&nap, NULL);
}

static void be_well(struct shelf_http *s, struct http_file *f, uint64_t from, const void *bytes,
		    uint64_t len)
{
	int err = http_cache_put(f->cache, from, bytes, len);

	pthread_mutex_lock(&s->lock);
	if (http_trouble_end(&f->trouble))
		tell(s, SOURCE_HTTP_BACK, f->name, "answers again");
	if (err && !s->no_cache_told)
		tell(s, SOURCE_HTTP_NO_CACHE, NULL, strerror(-err));
	s->no_cache_told |= err;
	pthread_mutex_unlock(&s->lock);
}

static int take(struct http_request *q, const void *bytes, size_t n)
{
	memcpy((char *)q->arg + q->taken, bytes, n);
	return 0;
}

static int fetch_all(struct shelf_http *s, struct http_client *c, struct http_file *f,
		     uint64_t from, char *to, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		struct http_request q = {
			.name = f->name, .take = take, .arg = to + done, .stop = &s->stop,
			.asked = { .ranged = true, .from = from + done, .len = len - done,
				   .version = &f->version },
		};
		int r = http_client_perform(c, &q);

		/* Whole pages of what broke off count. */
		done += align_down(q.taken, IMAGE_PAGE);
		if (atomic_load(&s->stop) && done < len)
			return -ECANCELED;
		if (r)
			have_trouble(s, f, &q);
	}
	be_well(s, f, from, to, len);
	return 0;
}

static int fetch(void *arg, const struct shelf_run *run, uint64_t skip, void *to, size_t len)
{
	struct shelf_http *s = arg;
	struct http_file *f = &s->files[run->file];
	uint64_t from = run->offset + skip;
	struct http_client *c;
	int r;

	if (http_cache_get(f->cache, from, to, len))
		return 0;
	r = take_client(s, &c);
	if (r)
		return r;
	r = fetch_all(s, c, f, from, to, len);
	put_client(s, c);
	return r;
}

static void stop(void *arg)
{
	struct shelf_http *s = arg;

	atomic_store(&s->stop, true);
}

int shelf_http_open(struct image_dir *dir, const struct image *image,
		    const struct source_http_options *o, struct shelf_http **ret,
		    struct shelf *ret_shelf, size_t *ret_file)
{
	struct shelf_http *s = calloc(1, sizeof(*s));
	int r, err;

	*ret_file = image->nfiles;
	if (!s)
		return -ENOMEM;
	s->image = image;
	s->site = http_dir_site(dir);
	s->o = *o;
	s->parent = image->nfiles && image->files[image->nfiles - 1].level;
	pthread_mutex_init(&s->lock, NULL);
	r = identity_make(dir, image, ret_shelf->identity);
	r = r ? r : http_files_open(dir, image, o->cache, &s->files, ret_file, &err);
	if (r) {
		shelf_http_free(s);
		return r;
	}
	if (err)
		tell(s, SOURCE_HTTP_NO_CACHE, NULL, strerror(-err));
	s->no_cache_told = err;
	ret_shelf->arg = s;
	ret_shelf->find = find_page;
	ret_shelf->task = has_task;
	ret_shelf->fetch = fetch;
	ret_shelf->stop = stop;
	*ret = s;
	return 0;
}

void shelf_http_free(struct shelf_http *s)
{
	if (!s)
		return;
	while (s->nidle)
		http_client_free(s->idle[--s->nidle]);
	http_files_free(s->files, s->image->nfiles);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
