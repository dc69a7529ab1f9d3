/* SPDX-License-Identifier: MIT */
/*
 * Reader, file: bytes from a descriptor, perhaps through zstd, cut into lines.
 */

#include "trace/reader-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "trace/reader.h"

#define BLOCK (256u * 1024)

static const unsigned char zstd_magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

struct reader_file {
	int fd;
	ZSTD_DCtx *zstd;	/* NULL: plain */
	char *in;		/* BLOCK bytes of the file; compressed only */
	ZSTD_inBuffer in_at;
	bool in_frame;		/* the end of a frame has not been seen */
	bool held_back;		/* the library may have more than there was room for */

	char *buf;		/* bytes of lines: [at, filled) are still to be read */
	size_t at, filled;
	bool eof;
	uint64_t offset;	/* of buf[at] */
	uint64_t line;
	uint64_t bytes, size;	/* of the file: read; all, 0: nobody knows */
};

static ssize_t read_fd(struct reader_file *f, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = read(f->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	f->bytes += (uint64_t)n;
	return n;
}

/* More compressed bytes; 0 at the end. */
static ssize_t refill_in(struct reader_file *f)
{
	ssize_t n = read_fd(f, f->in, BLOCK);

	if (n >= 0)
		f->in_at = (ZSTD_inBuffer){ f->in, (size_t)n, 0 };
	return n;
}

static ssize_t read_zstd(struct reader_file *f, char *to, size_t room)
{
	ZSTD_outBuffer out = { to, room, 0 };
	size_t code;
	ssize_t n;

	while (!out.pos) {
		if (f->in_at.pos == f->in_at.size && !f->held_back) {
			n = refill_in(f);
			if (n <= 0)
				return n;
		}
		code = ZSTD_decompressStream(f->zstd, &out, &f->in_at);
		if (ZSTD_isError(code))
			return -EILSEQ;
		f->in_frame = code;
		f->held_back = out.pos == out.size;
	}
	return (ssize_t)out.pos;
}

/* Make room by moving what is left to the front, and read behind it. */
static int fill(struct reader_file *f)
{
	ssize_t n;

	memmove(f->buf, f->buf + f->at, f->filled - f->at);
	f->filled -= f->at;
	f->at = 0;
	if (f->zstd)
		n = read_zstd(f, f->buf + f->filled, BLOCK - f->filled);
	else
		n = read_fd(f, f->buf + f->filled, BLOCK - f->filled);
	if (n < 0)
		return (int)n;
	f->eof = !n;
	f->filled += (size_t)n;
	return 0;
}

static int look_for_magic(struct reader_file *f)
{
	int r = 0;

	while (f->filled < sizeof(zstd_magic) && !f->eof && !r)
		r = fill(f);
	if (r < 0 || f->filled < sizeof(zstd_magic) ||
	    memcmp(f->buf, zstd_magic, sizeof(zstd_magic)))
		return r;
	f->in = malloc(BLOCK);
	f->zstd = ZSTD_createDCtx();
	if (!f->in || !f->zstd)
		return -ENOMEM;
	/* A frame of ours needs 512 KiB; what asks for gigabytes is not ours. */
	ZSTD_DCtx_setParameter(f->zstd, ZSTD_d_windowLogMax, 27);
	memcpy(f->in, f->buf, f->filled);
	f->in_at = (ZSTD_inBuffer){ f->in, f->filled, 0 };
	f->filled = 0;
	f->eof = false;
	return 0;
}

static int open_fd(const char *path)
{
	_close_ int fd = -1;
	struct stat st;

	if (!strcmp(path, "-"))
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return steal_fd(&fd);
}

int reader_file_take(struct reader_file **ret, int fd)
{
	struct reader_file *f = calloc(1, sizeof(*f));
	struct stat st;
	int r;

	if (!f)
		return -ENOMEM;
	f->fd = fd;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		f->size = (uint64_t)st.st_size;
	f->buf = malloc(BLOCK);
	r = f->buf ? look_for_magic(f) : -ENOMEM;
	if (r < 0) {
		f->fd = -1;
		reader_file_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

int reader_file_open(struct reader_file **ret, const char *path)
{
	int fd = open_fd(path), r;

	if (fd < 0)
		return fd;
	r = reader_file_take(ret, fd);
	if (r < 0)
		close(fd);
	return r;
}

/* Bytes of the line at buf[at], its newline included; 0: it is not all here. */
static size_t whole_line(const struct reader_file *f, size_t searched)
{
	const char *from = f->buf + f->at + searched;
	const char *nl = memchr(from, '\n', f->filled - f->at - searched);

	return nl ? (size_t)(nl - (f->buf + f->at)) + 1 : 0;
}

static void advance(struct reader_file *f, size_t n)
{
	f->at += n;
	f->offset += n;
}

/* Past the newline that ends what is too long; 0 at the end of the file. */
static int skip_line(struct reader_file *f)
{
	size_t n;
	int r;

	while (!(n = whole_line(f, 0))) {
		advance(f, f->filled - f->at);
		r = fill(f);
		if (r < 0)
			return r;
		if (f->eof)
			break;
	}
	advance(f, n);
	f->line++;
	return -EMSGSIZE;
}

int reader_file_next(struct reader_file *f, const char **ret_line, size_t *ret_len)
{
	size_t n, searched = 0;
	int r;

	while (!(n = whole_line(f, searched))) {
		searched = f->filled - f->at;
		if (f->eof)
			return 0;
		if (searched > READER_LINE_MAX)
			return skip_line(f);
		r = fill(f);
		if (r < 0)
			return r;
	}
	if (n > READER_LINE_MAX)
		return skip_line(f);
	*ret_line = f->buf + f->at;
	*ret_len = n - 1;
	advance(f, n);
	f->line++;
	return 1;
}

uint64_t reader_file_line(const struct reader_file *f)
{
	return f->line;
}

bool reader_file_cut(const struct reader_file *f, uint64_t *ret_offset)
{
	*ret_offset = f->offset;
	return f->eof && (f->at < f->filled || f->in_frame);
}

void reader_file_progress(const struct reader_file *f, uint64_t *ret_done, uint64_t *ret_total)
{
	*ret_done = f->bytes;
	*ret_total = f->size;
}

struct reader_file *reader_file_close(struct reader_file *f)
{
	if (!f)
		return NULL;
	if (f->fd >= 0)
		close(f->fd);
	ZSTD_freeDCtx(f->zstd);
	free(f->in);
	free(f->buf);
	free(f);
	return NULL;
}
