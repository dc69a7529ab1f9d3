/* SPDX-License-Identifier: MIT */
/*
 * Shelf of an image: the pages files of a checkpoint in a folder, for a page server.
 *
 * All are opened at once, before anybody is served; what is read later is read from these.
 */
#ifndef RESTORE_SHELF_IMAGE_H
#define RESTORE_SHELF_IMAGE_H

#include "restore/image.h"
#include "restore/page-server.h"

struct shelf_image;

/*
 * dir is one of image_folder_open(); it and the image outlive the shelf.  Fills in all
 * of *ret_shelf.  0; -errno with *ret_file the number of the pages file that cannot be
 * opened, or image->nfiles if it was something else.
 */
int shelf_image_open(struct image_dir *dir, const struct image *image, struct shelf_image **ret,
		     struct shelf *ret_shelf, size_t *ret_file);
/* NULL is fine. */
void shelf_image_free(struct shelf_image *s);

#endif
