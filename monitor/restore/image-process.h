/* SPDX-License-Identifier: MIT */
/*
 * Image process: a checkpoint read by a process that may do nothing else.
 *
 * Whoever restores holds much: userfaultfds, capabilities, sockets.  What is in the files
 * may be anybody's.  So a child reads them that has one socket and nothing more: it asks
 * for files by kind and number, never by a path, and gets their bytes; what it makes of
 * them comes back as one run of bytes, which image_adopt() holds against every rule.  Even
 * if it were taken over, it could do no more than describe another checkpoint.
 */
#ifndef RESTORE_IMAGE_PROCESS_H
#define RESTORE_IMAGE_PROCESS_H

#include "restore/image.h"

/*
 * As image_read(), by a child.  confine() is run in it before anything is read, and gives
 * up what it does not need (sandbox_parser()); NULL: nothing is given up.  Errors are
 * those of image_read() and: EPROTO the child said what it may not, or has died;
 * ETIMEDOUT it said nothing for a minute; what fork(2) and socketpair(2) fail with.
 *
 * Call it while the process has one thread.  The child is waited for by its pid.
 */
int image_read_apart(struct image_dir *dir, void (*confine)(void), struct image *ret,
		     struct image_problem *ret_why);

#endif
