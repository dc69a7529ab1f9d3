/* SPDX-License-Identifier: MIT */
/*
 * Image folder: the files of a checkpoint in a folder of this machine, its parents behind
 * the links `parent` in it.
 *
 * A file that is a symbolic link, a folder, a pipe or a device is none.  A file that was
 * looked at once is the same ever after, or it is refused (ESTALE): a checkpoint that is
 * written to while it is restored has no contents to speak of.  One thread at a time.
 */
#ifndef RESTORE_IMAGE_DIR_H
#define RESTORE_IMAGE_DIR_H

#include "restore/image.h"

/* 0, or -errno of open(2) of the folder; *ret goes by (*ret)->ops->free(). */
int image_folder_open(const char *path, struct image_dir **ret);
/*
 * A pages file for reading, of a folder made by image_folder_open() that the image was read
 * from: its descriptor, or -errno; ESTALE also if it has not the length the image says.
 */
int image_folder_pages(struct image_dir *dir, const struct image_pages *pages);

#endif
