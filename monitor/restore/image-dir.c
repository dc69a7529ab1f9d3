/* SPDX-License-Identifier: MIT */
/* Image folder.  See image-dir.h. */

#include "restore/image-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "restore/image-parts.h"

/* Of a description: 16 GiB of memory in single pages make 4 million entries of 30 bytes. */
#define DESCRIPTION_MAX (UINT64_C(1) << 30)

/* A file as it was when it was first looked at. */
struct seen {
	struct image_name name;
	struct stat st;
};

struct folder {
	struct image_dir dir;
	int level[IMAGE_LEVELS];	/* descriptors of the folders */
	struct stat folder[IMAGE_LEVELS];
	uint32_t levels;		/* that are open */
	struct seen *seen;		/* sorted by name */
	size_t n, max;
};

static struct folder *folder_of(struct image_dir *dir)
{
	return (struct folder *)((char *)dir - offsetof(struct folder, dir));
}

static int by_name(const struct image_name *a, const struct image_name *b)
{
	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Is it as it was?  The first time, it is remembered. */
static int compare_seen(struct folder *f, const struct image_name *name, const struct stat *st)
{
	size_t lo = 0, hi = f->n;
	struct seen *seen;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;

		if (by_name(&f->seen[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < f->n && !by_name(&f->seen[lo].name, name))
		return same_file(&f->seen[lo].st, st) ? 0 : -ESTALE;
	seen = image_grow(f->seen, f->n, &f->max, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	f->seen = seen;
	memmove(&seen[lo + 1], &seen[lo], (f->n - lo) * sizeof(*seen));
	seen[lo] = (struct seen){ *name, *st };
	f->n++;
	return 0;
}

/*
 * O_NONBLOCK: opening a pipe does not wait for who writes to it.  Its descriptor, or
 * -errno.
 */
static int open_file(struct folder *f, const struct image_name *name, struct stat *ret)
{
	const struct image_name own = { name->kind, name->id, 0 };
	_close_ int fd = -1;
	char words[64];
	int err;

	if (name->level >= f->levels)
		return -ENOENT;
	fd = openat(f->level[name->level], image_name_words(&own, words, sizeof(words)),
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		/* A socket. */
		return errno == ENXIO ? -ENODEV : -errno;
	if (fstat(fd, ret) < 0)
		return -errno;
	if (S_ISDIR(ret->st_mode))
		return -EISDIR;
	if (!S_ISREG(ret->st_mode))
		return -ENODEV;
	err = compare_seen(f, name, ret);
	return err ? err : steal_fd(&fd);
}

static int folder_size(struct image_dir *dir, const struct image_name *name, uint64_t *ret)
{
	_close_ int fd = -1;
	struct stat st;

	fd = open_file(folder_of(dir), name, &st);
	if (fd < 0)
		return fd;
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int read_all(int fd, char *to, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = read(fd, to + done, len - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return -ESTALE;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

static int folder_read(struct image_dir *dir, const struct image_name *name, void **ret,
		       size_t *ret_len)
{
	struct folder *f = folder_of(dir);
	_close_ int fd = -1;
	_free_ char *bytes = NULL;
	struct stat st, after;
	int err;

	fd = open_file(f, name, &st);
	if (fd < 0)
		return fd;
	if ((uint64_t)st.st_size > DESCRIPTION_MAX)
		return -EFBIG;
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	err = read_all(fd, bytes, (size_t)st.st_size);
	if (!err && fstat(fd, &after) < 0)
		err = -errno;
	if (!err && !same_file(&st, &after))
		err = -ESTALE;
	if (err)
		return err;
	*ret = steal_ptr(&bytes);
	*ret_len = (size_t)st.st_size;
	return 0;
}

static int folder_level(struct image_dir *dir, uint32_t level)
{
	struct folder *f = folder_of(dir);
	_close_ int fd = -1;
	struct stat *st;

	if (level < f->levels)
		return 0;
	if (level > f->levels || level >= IMAGE_LEVELS)
		return -EINVAL;
	/* A link is how CRIU writes it; what stands behind it may be any folder. */
	fd = openat(f->level[level - 1], "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	st = &f->folder[level];
	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	for (uint32_t i = 0; i < level; i++)
		if (f->folder[i].st_dev == st->st_dev && f->folder[i].st_ino == st->st_ino)
			return -ELOOP;
	f->level[f->levels++] = steal_fd(&fd);
	return 0;
}

static void folder_free(struct image_dir *dir)
{
	struct folder *f = folder_of(dir);

	for (uint32_t i = 0; i < f->levels; i++)
		close(f->level[i]);
	free(f->seen);
	free(f);
}

static const struct image_dir_ops folder_ops = {
	.level = folder_level,
	.size = folder_size,
	.read = folder_read,
	.free = folder_free,
};

int image_folder_open(const char *path, struct image_dir **ret)
{
	_free_ struct folder *f = calloc(1, sizeof(*f));
	_close_ int fd = -1;

	if (!f)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &f->folder[0]) < 0)
		return -errno;
	f->dir.ops = &folder_ops;
	f->level[f->levels++] = steal_fd(&fd);
	*ret = &steal_ptr(&f)->dir;
	return 0;
}

int image_folder_pages(struct image_dir *dir, const struct image_pages *pages)
{
	const struct image_name name = { IMAGE_PAGES, pages->id, pages->level };
	_close_ int fd = -1;
	struct stat st;

	fd = open_file(folder_of(dir), &name, &st);
	if (fd < 0)
		return fd;
	if ((uint64_t)st.st_size != pages->size)
		return -ESTALE;
	return steal_fd(&fd);
}
