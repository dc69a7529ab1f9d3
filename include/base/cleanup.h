/* SPDX-License-Identifier: MIT */
/*
 * Cleanup: locals that release themselves, and the way to hand them on.
 *
 * Knows nothing about pagetap.  Every helper keeps errno.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_p(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_fclose_p(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	errno = saved;
}

static inline void cleanup_closedir_p(DIR **d)
{
	int saved = errno;

	if (*d)
		closedir(*d);
	errno = saved;
}

#define _free_ _cleanup_(cleanup_free_p)
#define _close_ _cleanup_(cleanup_close_p)
#define _fclose_ _cleanup_(cleanup_fclose_p)
#define _closedir_ _cleanup_(cleanup_closedir_p)

/* Take the descriptor out of a _close_ local. */
static inline int steal_fd(int *fd)
{
	int ret = *fd;

	*fd = -1;
	return ret;
}

/* Take the pointer out of a _cleanup_ local. */
#define steal_ptr(pp)                          \
	__extension__({                        \
		__typeof__(*(pp)) *_pp = (pp); \
		__typeof__(*(pp)) _p = *_pp;   \
		*_pp = NULL;                   \
		_p;                            \
	})

/* Close now, and forget the number. */
static inline void close_fd(int *fd)
{
	cleanup_close_p(fd);
	*fd = -1;
}

#endif
