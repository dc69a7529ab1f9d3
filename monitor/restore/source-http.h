/* SPDX-License-Identifier: MIT */
/*
 * HTTP source: pages from the pages files of a checkpoint below an address.
 *
 * Demands become range requests, neighbours of one file one; whoever waits for a page has
 * connections that nobody fills memory over.  Each answer must be of the version of the file
 * that the image was read with.  What cannot be had (the server is gone, is busy, does not
 * let us, has another file there now) is asked for again, ever less often, for as long as it
 * takes; meanwhile whoever waits for a page waits.  Whole pages of an answer that broke off
 * count.
 */
#ifndef RESTORE_SOURCE_HTTP_H
#define RESTORE_SOURCE_HTTP_H

#include "restore/http-cache.h"
#include "restore/image.h"
#include "restore/source.h"

enum source_http_kind {
	SOURCE_HTTP_LOST,	/* no answers, or the wrong ones; trying again */
	SOURCE_HTTP_BACK,	/* answers come again */
	SOURCE_HTTP_NO_CACHE,	/* it goes on without */
};

/* Words with the name of a file where it is about one.  Told by the thread that reads answers. */
typedef void (*source_http_told)(void *arg, enum source_http_kind kind, const char *words);

struct source_http_options {
	struct http_cache *cache;	/* NULL: none; outlives the source */
	source_http_told told;		/* may be NULL */
	void *arg;
};

/* How it went so far. */
struct source_http_totals {
	uint64_t pages, requests;	/* that came over the network; ranges asked for */
	uint64_t cached;		/* pages that did not have to come */
	uint64_t failed;		/* requests, of those */
};

/*
 * For an image that was read from this folder (http_dir_open()); both outlive the source.
 * 0, or -errno and in *ret_file the number (of image->files) of the file it is about;
 * -ENODATA: pages of the image are at a page server, and *ret_file is image->nfiles.
 */
int source_http_open(struct image_dir *dir, const struct image *image,
		     const struct source_http_options *o, struct source **ret, size_t *ret_file);
void source_http_totals(const struct source *s, struct source_http_totals *ret);

#endif
