/* SPDX-License-Identifier: MIT */
/*
 * Source of files: the pages files of a checkpoint on this machine, mapped into memory.
 *
 * Every page is here at once (`at`), and the kernel copies it from the page cache to
 * where it is wanted, with no buffer between.  What cannot be read from the disk, or was
 * cut off the file since, is -EFAULT of that copy, never zeroes.
 */
#ifndef RESTORE_SOURCE_FILES_H
#define RESTORE_SOURCE_FILES_H

#include "restore/image.h"
#include "restore/source.h"

/*
 * For an image that was read from this folder (image_folder_open()).  The image must
 * live as long as the source, the folder need not.  0, or -errno and in *ret_file the number
 * (of image->files) of the file it is about; -ENODATA: pages of the image are at a page
 * server, and *ret_file is image->nfiles.
 */
int source_files_open(struct image_dir *dir, const struct image *image, struct source **ret,
		      size_t *ret_file);
/* Are there lazy pages of this image that no file holds? */
bool source_files_lack(const struct image *image);

#endif
