/* SPDX-License-Identifier: MIT */
/* HTTP files.  See http-files.h. */

#include "restore/http-files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* What a server may demand. */
#define REST_MOST (60 * NSEC_PER_SEC)
/* What passes by itself is worth a word only when it does not. */
#define PASSES 3

int http_files_open(struct image_dir *dir, const struct image *image, struct http_cache *cache,
		    struct http_file **ret, size_t *ret_file, int *ret_cache_err)
{
	const char *url = http_site_url(http_dir_site(dir));
	struct http_file *files = calloc(image->nfiles + 1, sizeof(*files));
	int r = files ? 0 : -ENOMEM, err;

	*ret_file = image->nfiles;
	*ret_cache_err = 0;
	for (size_t i = 0; i < image->nfiles && !r; i++) {
		struct http_file *f = &files[i];

		r = http_dir_pages(dir, &image->files[i], f->name, sizeof(f->name), &f->version);
		if (r)
			*ret_file = i;
		if (r || !cache || !f->version.size)
			continue;
		err = http_cache_file_open(cache, url, f->name, &f->version, &f->cache);
		*ret_cache_err = err ? err : *ret_cache_err;
	}
	http_dir_rest(dir);
	if (r) {
		http_files_free(files, files ? image->nfiles : 0);
		return r;
	}
	*ret = files;
	return 0;
}

void http_files_free(struct http_file *files, size_t n)
{
	for (size_t i = 0; files && i < n; i++)
		http_cache_file_free(files[i].cache);
	free(files);
}

bool http_err_is_of_file(int err)
{
	return err == -ENOENT || err == -ESTALE || err == -EPROTO || err == -EFBIG;
}

bool http_trouble_begin(struct http_trouble *t, const struct http_request *q, uint64_t now)
{
	uint64_t rest;

	/* Those that were asked for at the same time fail at the same time. */
	if (now >= t->until) {
		t->fails++;
		rest = http_backoff_ns(t->fails, http_err_is_of_file(q->err) ? HTTP_REST_FILE :
				       HTTP_REST_SERVER);
		if (q->retry_ns > rest)
			rest = q->retry_ns < REST_MOST ? q->retry_ns : REST_MOST;
		t->until = now + rest;
	}
	if ((t->told && !strcmp(t->words, q->why.words)) ||
	    (http_err_passes(q->err) && t->fails < PASSES))
		return false;
	t->told = true;
	snprintf(t->words, sizeof(t->words), "%s", q->why.words);
	return true;
}

bool http_trouble_end(struct http_trouble *t)
{
	bool told = t->told;

	t->fails = 0;
	t->told = false;
	t->words[0] = '\0';
	return told;
}
