/* SPDX-License-Identifier: MIT */
/*
 * Sink, zstd: lines in, frames out.
 *
 * Private to sink*.c.  A frame is the unit that survives a cut: what follows the
 * last whole frame of a file cannot be read.
 */
#ifndef TRACE_SINK_ZSTD_H
#define TRACE_SINK_ZSTD_H

#include <stddef.h>

#include "trace/output.h"

struct sink_zstd;

/* -ENOMEM. */
int sink_zstd_new(struct sink_zstd **ret);
/* Compress; writes to o whenever a block is full.  -errno of output_write(), -EIO. */
int sink_zstd_put(struct sink_zstd *z, struct output *o, const char *bytes, size_t len);
/* End the frame, if one has been begun, and write all of it. */
int sink_zstd_end(struct sink_zstd *z, struct output *o);
/*
 * A frame of these bytes alone, in memory of z until its next call; an open frame is
 * forgotten.  -ENOSPC: more than fits (some 128 KiB always do).
 */
int sink_zstd_frame(struct sink_zstd *z, const char *bytes, size_t len, const char **ret,
		    size_t *ret_len);
/* NULL in, NULL out. */
struct sink_zstd *sink_zstd_free(struct sink_zstd *z);

#endif
