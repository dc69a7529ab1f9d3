/* SPDX-License-Identifier: MIT */
/*
 * Sink: what of the lines is wholly in the output, whatever happened.  See sink.h.
 */

#include "trace/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "trace/output.h"
#include "trace/sink-zstd.h"

#define LAST_WORDS 4096

/* The place up to which the output is good. */
struct mark {
	uint64_t bytes, lines;
};

struct sink {
	struct output out;
	struct sink_zstd *zstd;		/* NULL: not compressed */
	struct mark whole;		/* after the last whole line, or whole frame */
	uint64_t lines_in_frame;
	int error;			/* sticky */
};

static uint64_t count_lines(const char *bytes, size_t len)
{
	const char *p = bytes, *end = bytes + len;
	uint64_t n = 0;

	for (; (p = memchr(p, '\n', (size_t)(end - p))); p++)
		n++;
	return n;
}

static bool named_zst(const char *path)
{
	size_t n = strlen(path);

	return n > 4 && !strcmp(path + n - 4, ".zst");
}

int sink_open(struct sink **ret, const char *path)
{
	_free_ struct sink *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	if (named_zst(path)) {
		r = sink_zstd_new(&s->zstd);
		if (r < 0)
			return r;
	}
	r = output_open(&s->out, path);
	if (!r && s->zstd && isatty(s->out.fd)) {
		output_close(&s->out);
		r = -ENOTTY;
	}
	if (r < 0) {
		sink_zstd_free(s->zstd);
		return r;
	}
	*ret = steal_ptr(&s);
	return 0;
}

/*
 * Sticky, and the file ends where it was last good.  Behind that a bit of a frame that
 * was cut is left until the end: on a full disk it is the room for the last words.
 */
static int fail(struct sink *s, int error)
{
	uint64_t keep = s->whole.bytes;

	s->error = error;
	if (s->zstd)
		keep = s->out.bytes < keep + LAST_WORDS ? s->out.bytes : keep + LAST_WORDS;
	output_cut(&s->out, keep);
	return error;
}

static int write_plain(struct sink *s, const char *lines, size_t len)
{
	size_t done, kept = len;
	int r = output_write(&s->out, lines, len, &done);

	if (r < 0) {
		const char *last = memrchr(lines, '\n', done);

		kept = last ? (size_t)(last - lines) + 1 : 0;
	}
	s->whole.bytes += kept;
	s->whole.lines += count_lines(lines, kept);
	return r < 0 ? fail(s, r) : 0;
}

static int write_frame(struct sink *s, const char *lines, size_t len)
{
	int r = sink_zstd_put(s->zstd, &s->out, lines, len);

	if (r < 0)
		return fail(s, r);
	s->lines_in_frame += count_lines(lines, len);
	return 0;
}

int sink_write(struct sink *s, const char *lines, size_t len)
{
	if (s->error)
		return s->error;
	return s->zstd ? write_frame(s, lines, len) : write_plain(s, lines, len);
}

int sink_flush(struct sink *s)
{
	int r;

	if (s->error || !s->zstd)
		return s->error;
	r = sink_zstd_end(s->zstd, &s->out);
	if (r < 0)
		return fail(s, r);
	s->whole.bytes = s->out.bytes;
	s->whole.lines += s->lines_in_frame;
	s->lines_in_frame = 0;
	return 0;
}

int sink_amend(struct sink *s, uint64_t bytes, uint64_t lines, const char *text, size_t len)
{
	const char *data = text;
	size_t n = len;
	int r = 0;

	if (s->zstd)
		r = sink_zstd_frame(s->zstd, text, len, &data, &n);
	if (!r)
		r = output_amend(&s->out, bytes, data, n);
	if (r < 0)
		return r;
	s->whole = (struct mark){ .bytes = bytes + n, .lines = lines + count_lines(text, len) };
	return 0;
}

bool sink_framed(const struct sink *s)
{
	return s->zstd;
}

bool sink_gone(const struct sink *s)
{
	return output_gone(&s->out);
}

void sink_hurry(struct sink *s, unsigned int ms)
{
	output_hurry(&s->out, ms);
}

uint64_t sink_bytes(const struct sink *s)
{
	return s->error && s->out.kind == OUTPUT_FILE ? s->whole.bytes : s->out.bytes;
}

uint64_t sink_room(const struct sink *s)
{
	return s->out.bytes;
}

uint64_t sink_lines(const struct sink *s)
{
	return s->whole.lines;
}

int sink_close(struct sink *s)
{
	int error, r;

	if (!s)
		return 0;
	error = sink_flush(s);
	if (error && s->out.kind == OUTPUT_FILE)
		output_cut(&s->out, s->whole.bytes);
	r = output_close(&s->out);
	sink_zstd_free(s->zstd);
	free(s);
	return error ? error : r;
}
