/* SPDX-License-Identifier: MIT */
/* Sink, zstd: streaming compression with libzstd, level 1.  See sink-zstd.h. */

#include "trace/sink-zstd.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct sink_zstd {
	ZSTD_CCtx *ctx;
	ZSTD_outBuffer out;
	bool open;		/* a frame has been begun */
};

int sink_zstd_new(struct sink_zstd **ret)
{
	struct sink_zstd *z = calloc(1, sizeof(*z));

	if (!z)
		return -ENOMEM;
	z->ctx = ZSTD_createCCtx();
	z->out.size = ZSTD_CStreamOutSize();
	z->out.dst = malloc(z->out.size);
	if (!z->ctx || !z->out.dst ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_compressionLevel, 1)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_checksumFlag, 1))) {
		sink_zstd_free(z);
		return -ENOMEM;
	}
	*ret = z;
	return 0;
}

static int write_out(struct sink_zstd *z, struct output *o)
{
	size_t done;
	int r = output_write(o, z->out.dst, z->out.pos, &done);

	z->out.pos = 0;
	return r;
}

static int failure(size_t code)
{
	return ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? -ENOMEM : -EIO;
}

int sink_zstd_put(struct sink_zstd *z, struct output *o, const char *bytes, size_t len)
{
	ZSTD_inBuffer in = { bytes, len, 0 };
	size_t code;
	int r = 0;

	while (in.pos < in.size && !r) {
		z->open = true;
		code = ZSTD_compressStream2(z->ctx, &z->out, &in, ZSTD_e_continue);
		if (ZSTD_isError(code))
			return failure(code);
		if (z->out.pos == z->out.size)
			r = write_out(z, o);
	}
	return r;
}

int sink_zstd_end(struct sink_zstd *z, struct output *o)
{
	ZSTD_inBuffer nothing = { NULL, 0, 0 };
	size_t left = 1;
	int r = 0;

	if (!z->open)
		return 0;
	while (left && !r) {
		left = ZSTD_compressStream2(z->ctx, &z->out, &nothing, ZSTD_e_end);
		if (ZSTD_isError(left))
			return failure(left);
		r = write_out(z, o);
	}
	z->open = false;
	return r;
}

int sink_zstd_frame(struct sink_zstd *z, const char *bytes, size_t len, const char **ret,
		    size_t *ret_len)
{
	ZSTD_inBuffer in = { bytes, len, 0 };
	size_t left;

	z->open = false;
	z->out.pos = 0;
	ZSTD_CCtx_reset(z->ctx, ZSTD_reset_session_only);
	left = ZSTD_compressStream2(z->ctx, &z->out, &in, ZSTD_e_end);
	if (ZSTD_isError(left))
		return failure(left);
	if (left)
		return -ENOSPC;
	*ret = z->out.dst;
	*ret_len = z->out.pos;
	return 0;
}

struct sink_zstd *sink_zstd_free(struct sink_zstd *z)
{
	if (!z)
		return NULL;
	ZSTD_freeCCtx(z->ctx);
	free(z->out.dst);
	free(z);
	return NULL;
}
