/* SPDX-License-Identifier: MIT */
/*
 * Output: bytes to a descriptor, with everything that can go wrong there.
 *
 * For sink*.c, and who writes no lines: it knows nothing of them.  A signal that write(2) raises
 * (SIGPIPE, SIGXFSZ) is swallowed here and comes back as -EPIPE or -EFBIG, in
 * whichever thread.  See pipe(7), write(2), open(2).
 */
#ifndef TRACE_OUTPUT_H
#define TRACE_OUTPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum output_kind {
	OUTPUT_FILE,		/* regular: can be cut back */
	OUTPUT_STREAM,		/* pipe or terminal: its reader may be slow */
	OUTPUT_SOCKET,
	OUTPUT_DEVICE,		/* any other character device */
};

struct output {
	int fd;			/* ours to close */
	int hurry;		/* eventfd: `deadline` has been set */
	_Atomic uint64_t deadline;	/* CLOCK_MONOTONIC ns, 0 = a slow reader may be slow */
	enum output_kind kind;
	bool made;		/* by a path, not lent as a descriptor */
	uint64_t start;		/* where in the file our first byte is */
	uint64_t bytes;		/* written since */
};

/* It is a name of a descriptor that is open already: "-", "/dev/stdout", "/dev/fd/N". */
bool output_is_lent(const char *path);
/* As sink_open(). */
int output_open(struct output *o, const char *path);
/*
 * All of it, or -errno; *ret_done bytes were written in either case.  -ETIMEDOUT: the
 * reader was slower than output_hurry() allowed.
 */
int output_write(struct output *o, const char *bytes, size_t len, size_t *ret_done);
/*
 * Make the first `keep` bytes all there is.  -EINVAL where that is impossible: not a
 * file, or somebody else writes to it too.
 */
int output_cut(struct output *o, uint64_t keep);
/*
 * Make the first `keep` bytes and these all there is.  Where there are more of them now
 * the new ones are written over what stood there, which needs no room on the disk.
 * -EINVAL as above; -errno of ftruncate(2), pwrite(2): the first `keep` bytes are left.
 */
int output_amend(struct output *o, uint64_t keep, const char *bytes, size_t len);
/* A file that was made here has no name any more. */
bool output_gone(const struct output *o);
/* Any thread: from now on wait for a reader at most ms in all. */
void output_hurry(struct output *o, unsigned int ms);
/* close(2) and what it says; errors of writing back come out here. */
int output_close(struct output *o);

#endif
