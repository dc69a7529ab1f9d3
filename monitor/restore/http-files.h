/* SPDX-License-Identifier: MIT */
/*
 * HTTP files: the pages files of a checkpoint at a web server, each of the version that
 * the image was read with.
 */
#ifndef RESTORE_HTTP_FILES_H
#define RESTORE_HTTP_FILES_H

#include "restore/http-cache.h"
#include "restore/http-client.h"
#include "restore/http-dir.h"

/* A server that was started again is noticed as soon as that. */
#define HTTP_REST_SERVER (3 * NSEC_PER_SEC)
/* Who lets nobody in, or has another file, will hardly be otherwise in a moment. */
#define HTTP_REST_FILE (10 * NSEC_PER_SEC)

/* Something does not work: a file, or the whole server. */
struct http_trouble {
	uint64_t until;		/* nothing is asked for before that (CLOCK_MONOTONIC) */
	unsigned int fails;	/* in a row */
	bool told;
	char words[200];
};

struct http_file {
	char name[HTTP_NAME_MAX];	/* below the site */
	struct http_version version;
	struct http_cache_file *cache;	/* NULL: none */
	struct http_trouble trouble;
};

/*
 * Those of an image that was read from this folder (http_dir_open()), by calloc(3), in the
 * order of image->files.  cache: NULL: none; why one of them has none, though there is one, is
 * in *ret_cache_err (0: nothing is wrong).  -errno, with the number of the file in *ret_file.
 */
int http_files_open(struct image_dir *dir, const struct image *image, struct http_cache *cache,
		    struct http_file **ret, size_t *ret_file, int *ret_cache_err);
void http_files_free(struct http_file *files, size_t n);

/* Is this error about one file, and others may do? */
bool http_err_is_of_file(int err);
/*
 * A request failed: nothing more before t->until.  True if that is worth a word, which is
 * t->words then: once for each reason, and what passes by itself only when it does not.
 */
bool http_trouble_begin(struct http_trouble *t, const struct http_request *q, uint64_t now);
/* One was answered.  True if it had been told that none is. */
bool http_trouble_end(struct http_trouble *t);

#endif
