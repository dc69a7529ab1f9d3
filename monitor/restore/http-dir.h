/* SPDX-License-Identifier: MIT */
/*
 * HTTP folder: the files of a checkpoint below an address, its parents in parent/ below
 * that, as a web server gives a folder whose links it follows.
 *
 * Descriptions are fetched when they are read, by the process that asks for them for the
 * parser; of pages files only the length and which version they are.  A file that was
 * looked at once is the same ever after, or it is refused (ESTALE).  What may pass by itself
 * is tried again for some seconds.  One thread at a time.
 */
#ifndef RESTORE_HTTP_DIR_H
#define RESTORE_HTTP_DIR_H

#include "restore/http-client.h"
#include "restore/image.h"

/* The site outlives the folder.  0, -ENOMEM; *ret goes by (*ret)->ops->free(). */
int http_dir_open(const struct http_site *site, struct image_dir **ret);
/* What went wrong last, with the name of the file; "": nothing but that files are not there. */
const char *http_dir_problem(const struct image_dir *dir);
/* The site of such a folder. */
const struct http_site *http_dir_site(const struct image_dir *dir);
/*
 * Where a pages file lies below the site, and which version of it the image was read with:
 * 0, or -errno; ESTALE also if it has not the length the image says.
 */
int http_dir_pages(struct image_dir *dir, const struct image_pages *pages, char *ret_name,
		   size_t size, struct http_version *ret);
/* Connections are closed, until something is asked for. */
void http_dir_rest(struct image_dir *dir);

/* Bytes of the longest name below the site. */
#define HTTP_NAME_MAX (IMAGE_LEVELS * 7 + 64)

#endif
