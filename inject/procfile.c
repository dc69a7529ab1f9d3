/* SPDX-License-Identifier: MIT */
/* Procfile: files and directories of /proc, read without allocation. */

#include "procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

ssize_t procfile_read(int dirfd, const char *path, char *buf, size_t size)
{
	_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		ssize_t r = read(fd, buf + len, size - 1 - len);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (!r)
			break;
		len += (size_t)r;
	}
	buf[len] = '\0';
	return (ssize_t)len;
}

ssize_t procfile_link(int dirfd, const char *path, char *buf, size_t size)
{
	ssize_t r = readlinkat(dirfd, path, buf, size - 1);

	if (r < 0)
		return -errno;
	buf[r] = '\0';
	return r;
}

const char *procfile_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	while (*text) {
		const char *end = strchr(text, '\n');

		if (!strncmp(text, key, n) && text[n] == ':') {
			text += n + 1;
			while (*text == '\t' || *text == ' ')
				text++;
			return text;
		}
		if (!end)
			return NULL;
		text = end + 1;
	}
	return NULL;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

bool procfile_number(const char *text, unsigned int base, uint64_t *ret, const char **ret_end)
{
	uint64_t v = 0;
	const char *p = text;

	for (; digit(*p) < (int)base; p++)
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (unsigned int)digit(*p), &v))
			return false;
	if (p == text)
		return false;
	*ret = v;
	if (ret_end)
		*ret_end = p;
	return true;
}

void procfile_lines_init(struct procfile_lines *l, int fd)
{
	l->fd = fd;
	l->pos = l->len = 0;
	l->eof = l->skip = false;
}

static int refill(struct procfile_lines *l)
{
	ssize_t r;

	memmove(l->buf, l->buf + l->pos, l->len - l->pos);
	l->len -= l->pos;
	l->pos = 0;
	do {
		r = read(l->fd, l->buf + l->len, sizeof(l->buf) - 1 - l->len);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (!r)
		l->eof = true;
	l->len += (size_t)r;
	return 0;
}

int procfile_lines_next(struct procfile_lines *l, char **ret)
{
	for (;;) {
		char *line = l->buf + l->pos;
		char *end = memchr(line, '\n', l->len - l->pos);
		bool full = !end && !l->pos && l->len == sizeof(l->buf) - 1;
		bool last = !end && l->eof && l->len > l->pos;
		int r;

		if (end || full || last) {
			bool skip = l->skip;

			if (!end)
				end = l->buf + l->len;
			*end = '\0';
			l->pos = (size_t)(end - l->buf) + !(full || last);
			l->skip = full;
			if (skip)
				continue;
			*ret = line;
			return 1;
		}
		if (l->eof)
			return 0;
		r = refill(l);
		if (r < 0)
			return r;
	}
}

/* What getdents64(2) fills in; libc gives no name to it. */
struct entry {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

void procfile_numbers_init(struct procfile_numbers *n, int fd)
{
	n->fd = fd;
	n->pos = n->len = 0;
}

int procfile_numbers_next(struct procfile_numbers *n, int *ret)
{
	for (;;) {
		const struct entry *e;
		const char *end;
		uint64_t v;

		if (n->pos >= n->len) {
			n->pos = 0;
			n->len = syscall(SYS_getdents64, n->fd, n->buf, sizeof(n->buf));
			if (n->len < 0)
				return -errno;
			if (!n->len)
				return 0;
		}
		e = (const struct entry *)(const void *)(n->buf + n->pos);
		n->pos += e->reclen;
		if (!procfile_number(e->name, 10, &v, &end) || *end || v > INT32_MAX)
			continue;
		*ret = (int)v;
		return 1;
	}
}
