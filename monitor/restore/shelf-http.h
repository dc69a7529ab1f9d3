/* SPDX-License-Identifier: MIT */
/*
 * Shelf of a web server: a page server's pages are fetched from there when they are asked for.
 *
 * Each connection fetches for itself, over a connection that is kept for the next one.
 * What cannot be had is asked for again, ever less often, for as long as it takes.
 */
#ifndef RESTORE_SHELF_HTTP_H
#define RESTORE_SHELF_HTTP_H

#include "restore/image.h"
#include "restore/page-server.h"
#include "restore/source-http.h"

struct shelf_http;

/*
 * dir is one of http_dir_open(); it, the image and the cache outlive the shelf.  Fills in all
 * of *ret_shelf.  o->told is called by any thread, one at a time.  Errors are those of
 * shelf_image_open().
 */
int shelf_http_open(struct image_dir *dir, const struct image *image,
		    const struct source_http_options *o, struct shelf_http **ret,
		    struct shelf *ret_shelf, size_t *ret_file);
/* NULL is fine. */
void shelf_http_free(struct shelf_http *s);

#endif
