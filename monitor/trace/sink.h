/* SPDX-License-Identifier: MIT */
/*
 * Sink: where whole lines go - a file, a descriptor, either compressed.
 *
 * Used by one thread at a time, the writer's, but for sink_hurry().  In a regular
 * file a line is either whole or not there at all: after any error (no space, a
 * limit, the device) it is cut back to its last whole line, or last whole frame if
 * compressed.  What went into a pipe cannot be taken back.  No signal is raised:
 * a reader that has gone is -EPIPE.
 */
#ifndef TRACE_SINK_H
#define TRACE_SINK_H

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
/* Bytes in the output. */
uint64_t sink_bytes(const struct sink *s);
/* Whole lines in the output; when compressed those of whole frames. */
uint64_t sink_lines(const struct sink *s);
/* Flush, check, close, free.  NULL is fine.  The first error of its life. */
int sink_close(struct sink *s);

#endif
