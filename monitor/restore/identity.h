/* SPDX-License-Identifier: MIT */
/*
 * Identity: a number that tells one checkpoint from all others.
 *
 * SHA-256 of its descriptions: what was dumped when, its processes, and where their pages
 * lie.  The page server and the restore each make it from their own copy of these files, so
 * that a server which was started again with other images is noticed.  It says nothing of
 * the contents of pages; against those who would lie on purpose there is TLS.
 */
#ifndef RESTORE_IDENTITY_H
#define RESTORE_IDENTITY_H

#include "restore/image.h"
#include "restore/wire.h"

/* 0, or -errno of reading the files, which have been read before. */
int identity_make(struct image_dir *dir, const struct image *image,
		  uint8_t ret[WIRE_IDENTITY_SIZE]);

#endif
