/* SPDX-License-Identifier: MIT */
/*
 * HTTP cache: pages that came once, in a folder that many restores share.
 *
 * One sparse file for each version of each pages file: its pages, and behind them a bit
 * for each that is there.  A page is written, then marked (with release order): so one that
 * is marked is right, whoever fills the file at the same time or was killed while he did.
 * That holds in the kernel's memory, and within one boot nobody sees anything else: nothing
 * is synced.  What a crash of the machine leaves on the disk is not believed: the boot is
 * part of the name.  When the disk is full nothing more is kept, and that is all.
 *
 * The folder is one that nobody else may read or write.  Any thread may call anything.
 */
#ifndef RESTORE_HTTP_CACHE_H
#define RESTORE_HTTP_CACHE_H

#include "restore/http-rules.h"

struct http_cache;
struct http_cache_file;

/*
 * Made with mode 0700 if it is not there.  -errno with words: EPERM it is somebody else's
 * or others may use it.
 */
int http_cache_open(const char *path, struct http_cache **ret, struct http_problem *ret_why);
/* After its files.  NULL is fine. */
void http_cache_free(struct http_cache *c);

/* That of this version of the file at this address.  0, or -errno: without a cache, then. */
int http_cache_file_open(struct http_cache *c, const char *url, const char *name,
			 const struct http_version *version, struct http_cache_file **ret);
/* NULL is fine. */
void http_cache_file_free(struct http_cache_file *f);
/* Whole pages: true if all are there, and then in `to`; f may be NULL. */
bool http_cache_get(struct http_cache_file *f, uint64_t from, void *to, uint64_t len);
/* Whole pages that have come.  0, or -errno the first time that it cannot be kept. */
int http_cache_put(struct http_cache_file *f, uint64_t from, const void *bytes, uint64_t len);

#endif
