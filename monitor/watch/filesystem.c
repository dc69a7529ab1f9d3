/* SPDX-License-Identifier: MIT */
/* Filesystem: what lies behind a mapping whose device does not say.  See filesystem.h. */

#include "watch/filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "watch/watchable.h"

#define READ_CHUNK ((size_t)65536)
/* 100,000 mounts (fs.mount-max) of 160 bytes each. */
#define TEXT_MAX ((size_t)16 << 20)

int filesystem_at(int procfd, struct range r, struct filesystem *ret)
{
	_close_ int fd = -1;
	struct statfs fs;
	char path[80];

	snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)r.lo,
		 (unsigned long long)r.hi);
	fd = openat(procfd, path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	*ret = (struct filesystem){ .type = (uint64_t)fs.f_type, .block = (uint64_t)fs.f_bsize };
	return 0;
}

/* "pagesize=2M" of a hugetlbfs, hugetlbfs_show_options(): K, M or G; 0: it does not say. */
static uint64_t huge_pages_of(const char *options)
{
	static const char name[] = "pagesize=";
	const char *at = strstr(options, name);
	char *end;
	uint64_t n;

	if (!at)
		return 0;
	n = strtoull(at + sizeof(name) - 1, &end, 10);
	return n << (*end == 'G' ? 30 : *end == 'M' ? 20 : *end == 'K' ? 10 : 0);
}

/* "id parent major:minor root point options [fields] - type source options", escaped. */
static bool find_in_line(char *line, uint32_t major, uint32_t minor, struct filesystem *ret)
{
	char *type = strstr(line, " - "), *options;
	uint32_t a, b;

	if (!type || sscanf(line, "%*u %*u %u:%u ", &a, &b) != 2 || a != major || b != minor)
		return false;
	type += 3;
	options = type + strcspn(type, " ");
	*ret = (struct filesystem){ 0 };
	if (!strncmp(type, "tmpfs ", 6) || !strncmp(type, "devtmpfs ", 9))
		ret->type = TMPFS_MAGIC;
	if (!strncmp(type, "hugetlbfs ", 10)) {
		ret->type = HUGETLBFS_MAGIC;
		ret->block = huge_pages_of(options);
	}
	return true;
}

int filesystem_find(const char *text, size_t len, uint32_t major, uint32_t minor,
		    struct filesystem *ret)
{
	const char *end = text + len, *nl;
	char line[4096];

	/* A line without its end: the text was cut. */
	for (; (nl = memchr(text, '\n', (size_t)(end - text))); text = nl + 1) {
		size_t n = (size_t)(nl - text);

		/* What does not fit in is the source and options of an overlayfs. */
		if (n >= sizeof(line))
			n = sizeof(line) - 1;
		memcpy(line, text, n);
		line[n] = '\0';
		if (find_in_line(line, major, minor, ret))
			return 0;
	}
	return -ENOENT;
}

static int read_text(int procfd, char **ret, size_t *ret_len)
{
	_close_ int fd = openat(procfd, "mountinfo", O_RDONLY | O_CLOEXEC);
	size_t len = 0, room = 0;
	char *text = NULL, *more;
	ssize_t n = 1;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while (n && len < TEXT_MAX) {
		if (room - len < READ_CHUNK) {
			room = 2 * room + READ_CHUNK;
			more = realloc(text, room);
			if (!more) {
				free(text);
				return -ENOMEM;
			}
			text = more;
		}
		n = read(fd, text + len, READ_CHUNK);
		if (n < 0 && errno != EINTR) {
			n = -errno;
			free(text);
			return (int)n;
		}
		len += n > 0 ? (size_t)n : 0;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

int filesystem_of(int procfd, uint32_t major, uint32_t minor, struct filesystems *known,
		  struct filesystem *ret)
{
	unsigned int nr = sizeof(known->v) / sizeof(known->v[0]), at;
	char *text = NULL;
	size_t len = 0;
	int r;

	for (unsigned int i = 0; i < known->n && i < nr; i++)
		if (known->v[i].major == major && known->v[i].minor == minor) {
			*ret = known->v[i].fs;
			return known->v[i].error;
		}
	r = read_text(procfd, &text, &len);
	if (r < 0)
		return r;
	*ret = (struct filesystem){ 0 };
	r = filesystem_find(text, len, major, minor, ret);
	free(text);
	at = known->n++ % nr;
	known->v[at].major = major;
	known->v[at].minor = minor;
	known->v[at].error = r;
	known->v[at].fs = *ret;
	return r;
}

enum vma_kind filesystem_kind(const struct filesystem *fs)
{
	return fs->type == TMPFS_MAGIC ? VMA_KIND_SHMEM :
	       fs->type == HUGETLBFS_MAGIC ? VMA_KIND_HUGETLB : VMA_KIND_FILE;
}

enum vma_kind filesystem_look(int procfd, const struct map_entry *m, struct filesystems *known)
{
	enum vma_kind kind = map_kind(m);
	struct range r = { m->lo, m->hi };
	struct filesystem fs;

	if (kind != VMA_KIND_SHMEM && kind != VMA_KIND_HUGETLB)
		return kind;
	if (filesystem_at(procfd, r, &fs) < 0 &&
	    filesystem_of(procfd, m->dev_major, m->dev_minor, known, &fs) < 0)
		return kind;
	return filesystem_kind(&fs);
}
