/* SPDX-License-Identifier: MIT */
/*
 * Images arguments: where a checkpoint is, a folder or the address of a web server, and what
 * it takes to read it from there.
 */
#ifndef MONITOR_IMAGES_ARGS_H
#define MONITOR_IMAGES_ARGS_H

#include "options.h"
#include "restore/http-cache.h"
#include "restore/http-site.h"
#include "restore/image.h"
#include "restore/source-http.h"

struct images_args {
	const char *path;		/* of -D: a folder, or http:// and https:// */
	const char *cacert, *token_file, *netrc, *cache;
	bool aws;
};

/* Beside -D, whose help is the command's. */
#define IMAGES_ARGS_OPTIONS(STRUCT, field)                                                     \
	{ .name = "cacert", .arg = "FILE", .help = "of a web server: trust only this authority", \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.cacert) },                     \
	{ .name = "http-token", .arg = "FILE", .help = "a bearer token for it",                \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.token_file) },                 \
	{ .name = "netrc", .arg = "FILE", .help = "user and password for it [~/.netrc]",       \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.netrc) },                      \
	{ .name = "aws", .help = "sign requests, with AWS_ACCESS_KEY_ID and so on",      \
	  .type = OPTION_FLAG, .offset = offsetof(STRUCT, field.aws) },                        \
	{ .name = "cache", .arg = "DIR", .help = "keep its pages there, for other restores",   \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.cache) }

/* A checkpoint that was read. */
struct images {
	const char *path;
	struct http_site *site;		/* NULL: a folder of this machine */
	struct http_cache *cache;	/* NULL: none */
	struct image_dir *dir;
	struct image image;
};
#define IMAGES_NULL ((struct images){ 0 })

/* Do these go together?  EXIT_OK, or EXIT_USAGE after it has been said what does not. */
int images_check(const struct images_args *a, const struct option_page *page);
/* EXIT_OK, or the exit status after it has been said what is wrong. */
int images_open(const struct images_args *a, struct images *ret);
/* Its pages, from where it is.  As images_open(). */
int images_source(struct images *images, struct source **ret);
/* What befalls its pages at a web server (source_http_told); arg is the struct images. */
void images_told(void *arg, enum source_http_kind kind, const char *words);
/* All pages are there: sum up. */
void images_source_finish(const struct images *images, const struct source *source);
/* After its source.  Of IMAGES_NULL, too. */
void images_close(struct images *images);

#endif
