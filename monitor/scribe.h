/* SPDX-License-Identifier: MIT */
/*
 * Scribe: a child that writes one file, with the rights that its parent gives up.
 *
 * For who makes a file of what may be anybody's: the file is named before the first byte is
 * looked at, and nothing of it exists until all of it is there.
 */
#ifndef MONITOR_SCRIBE_H
#define MONITOR_SCRIBE_H

#include <stddef.h>

#include "restore/apart.h"

/*
 * Call it while the process has one thread.  No child is made for "-" and other names of
 * descriptors, which need no rights.  0, or -errno.
 */
int scribe_begin(struct apart *ret, const char *path);
/*
 * The whole file; a part of one is removed.  -errno of opening it as output_open(), and of
 * writing; -EIO also if the child has been killed.
 */
int scribe_write(const struct apart *s, const char *path, const char *bytes, size_t len);
/* The child ends, if there is one; a file that was not begun is not made. */
void scribe_end(struct apart *s);

#endif
