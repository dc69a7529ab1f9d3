/* SPDX-License-Identifier: MIT */
/*
 * Sink: where whole lines go - a file, a descriptor, either compressed.
 *
 * Used by the writer thread alone.  A line is either wholly in the output or not
 * at all: after -ENOSPC a regular file is cut back to its last whole line.
 */
#ifndef TRACE_SINK_H
#define TRACE_SINK_H

#include <stddef.h>
#include <stdint.h>

struct sink;

/*
 * path "-" is standard output.  A file is created 0600 with O_NOFOLLOW; an
 * existing regular file is renamed to path.old first; what is not regular is
 * refused with -EINVAL unless it is a FIFO, a character device or a socket given
 * by "-".  A name ending in .zst is compressed (zstd level 1); compressed data to
 * a terminal is refused with -ENOTTY.
 */
int sink_open(struct sink **ret, const char *path);
/* One or more whole lines.  -ENOSPC, -EPIPE, -EIO, ...: sticky. */
int sink_write(struct sink *s, const char *lines, size_t len);
/* Push buffered bytes to the kernel (a frame boundary when compressed). */
int sink_flush(struct sink *s);
uint64_t sink_bytes(const struct sink *s);
/* Flush, check, close, free.  NULL is fine.  The first error of its life. */
int sink_close(struct sink *s);

#endif
