/* SPDX-License-Identifier: MIT */
/* Images: opened and read, and what is said of it.  See images-args.h. */

#include <errno.h>
#include <string.h>

#include "cmd.h"
#include "exit.h"
#include "images-args.h"
#include "restore/http-dir.h"
#include "restore/image-dir.h"
#include "restore/image-process.h"
#include "restore/source-files.h"
#include "sandbox.h"
#include "words.h"

int images_check(const struct images_args *a, const struct option_page *page)
{
	if (http_url_is(a->path))
		return EXIT_OK;
	if (a->cacert || a->token_file || a->netrc || a->cache || a->aws)
		return cmd_usage(page, "options of a web server, but -D is not the address of one");
	return EXIT_OK;
}

static int open_site(const struct images_args *a, struct images *ret)
{
	const struct http_options o = {
		.cacert = a->cacert, .token_file = a->token_file, .netrc = a->netrc, .aws = a->aws,
	};
	struct http_problem why;
	int r = http_site_open(a->path, &o, &ret->site, &why);

	if (r) {
		/* The address may have a password in it. */
		log_error("web server: %s", why.words);
		if (r == -EINVAL && strchr(a->path, '@'))
			log_hint("put them into ~/.netrc, or name another such file with --netrc");
		return r == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	}
	if (http_site_is_bare(ret->site))
		log_warn("%s: credentials go there unencrypted; https:// would hide them", a->path);
	r = a->cache ? http_cache_open(a->cache, &ret->cache, &why) : 0;
	if (r) {
		log_error("cache %s: %s", a->cache, why.words);
		return r == -EPERM ? EXIT_NOT_PERMITTED : EXIT_RUNTIME;
	}
	r = http_dir_open(ret->site, &ret->dir);
	if (r)
		log_error("%s: %s", a->path, strerror(-r));
	return r ? EXIT_RUNTIME : EXIT_OK;
}

static int open_dir(const struct images_args *a, struct images *ret)
{
	int r;

	ret->path = a->path;
	if (http_url_is(a->path))
		return open_site(a, ret);
	r = image_folder_open(a->path, &ret->dir);
	if (!r)
		return EXIT_OK;
	log_error("%s: %s", a->path, strerror(-r));
	return EXIT_RUNTIME;
}

int images_open(const struct images_args *a, struct images *ret)
{
	struct image_problem why;
	int r, status = open_dir(a, ret);

	if (status != EXIT_OK)
		return status;
	r = image_read_apart(ret->dir, sandbox_parser, &ret->image, &why);
	if (!r)
		return EXIT_OK;
	if (ret->site && *http_dir_problem(ret->dir))
		log_error("%s: %s", a->path, http_dir_problem(ret->dir));
	else
		log_error("%s: %s", a->path, why.text);
	return r == -EOPNOTSUPP ? EXIT_UNSUPPORTED : EXIT_RUNTIME;
}

void images_told(void *arg, enum source_http_kind kind, const char *words)
{
	const struct images *images = arg;

	switch (kind) {
	case SOURCE_HTTP_LOST:
		log_warn("%s: %s; trying again, and who needs a page waits", images->path, words);
		break;
	case SOURCE_HTTP_BACK:
		log_info("%s: %s", images->path, words);
		break;
	case SOURCE_HTTP_NO_CACHE:
		log_warn("cache: %s; going on without", words);
		break;
	}
}

int images_source(struct images *images, struct source **ret)
{
	const struct source_http_options o = {
		.cache = images->cache, .told = images_told, .arg = images,
	};
	const struct image *image = &images->image;
	size_t file;
	int r = images->site ? source_http_open(images->dir, image, &o, ret, &file) :
		source_files_open(images->dir, image, ret, &file);

	if (!r)
		return EXIT_OK;
	if (r == -ENODATA)
		log_error("%s: pages of this checkpoint are at a page server: --page-server",
			  images->path);
	else if (file < image->nfiles)
		log_error("%s: pages-%u.img: %s", images->path, image->files[file].id,
			  strerror(-r));
	else
		log_error("%s: %s", images->path, strerror(-r));
	return EXIT_RUNTIME;
}

void images_source_finish(const struct images *images, const struct source *source)
{
	struct source_http_totals t;
	struct words a, b, c;

	if (!images->site)
		return;
	source_http_totals(source, &t);
	log_verbose("%s: %s pages in %s requests, %s of them in vain", images->path,
		    words_count(t.pages, &a), words_count(t.requests, &b),
		    words_count(t.failed, &c));
	if (images->cache)
		log_verbose("cache: %s pages were there", words_count(t.cached, &a));
}

void images_close(struct images *images)
{
	image_free(&images->image);
	if (images->dir)
		images->dir->ops->free(images->dir);
	http_cache_free(images->cache);
	http_site_free(images->site);
	*images = IMAGES_NULL;
}
