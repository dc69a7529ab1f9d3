/* SPDX-License-Identifier: MIT */
/*
 * Sink: where whole lines go - a file, a descriptor, either compressed.
 *
 * Used by one thread at a time, the writer's, but for sink_hurry().  In a regular
 * file a line is either whole or not there at all: after any error (no space, a
 * limit, the device) it is cut back to its last whole line, or by sink_close() to its
 * last whole frame if compressed.  What went into a pipe cannot be taken back.  No
 * signal is raised: a reader that has gone is -EPIPE.
 */
#ifndef TRACE_SINK_H
#define TRACE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sink;

/*
 * path "-" is standard output, and so is /dev/stdout; /dev/stderr and /dev/fd/N are
 * the descriptors they name (process substitution of a shell).  A file is created
 * 0600 with O_NOFOLLOW; an existing regular file is renamed to path.old first; what
 * is not regular (a symbolic link, a directory) is refused with -EINVAL unless it is
 * a FIFO, a character device or a socket given by "-".  Opening a FIFO waits for its
 * reader.  A name ending in .zst is compressed (zstd level 1, checksums); compressed
 * data to a terminal is refused with -ENOTTY.  -errno of open(2), rename(2), -ENOMEM.
 */
int sink_open(struct sink **ret, const char *path);
/* One or more whole lines.  -ENOSPC, -EPIPE, -EIO, ...: sticky. */
int sink_write(struct sink *s, const char *lines, size_t len);
/* Push buffered bytes to the kernel (a frame boundary when compressed). */
int sink_flush(struct sink *s);
/*
 * Any thread: from now on wait for a slow reader at most ms in all; then the output
 * has failed with -ETIMEDOUT.
 */
void sink_hurry(struct sink *s, unsigned int ms);
/*
 * After an error: go back to `bytes` of the output, which are `lines` whole lines, and
 * end it with these.  They take the room of what is thrown away, so that a full disk
 * is no obstacle.  The error stays.  -EINVAL where that cannot be done (no regular file,
 * or somebody else writes to it), -errno of ftruncate(2), pwrite(2).
 */
int sink_amend(struct sink *s, uint64_t bytes, uint64_t lines, const char *text, size_t len);
/* Lines come into the output in frames (compressed), at sink_flush() at the latest. */
bool sink_framed(const struct sink *s);
/* The file that was made here has been removed since. */
bool sink_gone(const struct sink *s);
/* Bytes in the output, after an error those of whole lines or frames. */
uint64_t sink_bytes(const struct sink *s);
/* Bytes that sink_amend() may write over without asking the disk for more. */
uint64_t sink_room(const struct sink *s);
/* Whole lines in the output; when compressed those of whole frames. */
uint64_t sink_lines(const struct sink *s);
/* Flush, check, close, free.  NULL is fine.  The first error of its life. */
int sink_close(struct sink *s);

#endif
