/* SPDX-License-Identifier: MIT */
/* Source of files: mmap(2).  See source-files.h. */

#include "restore/source-files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/range.h"
#include "restore/image-dir.h"

/* Mapped in one call: a millisecond at most, after which it is asked again whether to. */
#define WARM_BYTES UINT64_C(2097152)

struct mapped {
	void *at;
	size_t size;
};

struct files {
	struct source source;
	size_t n;
	struct mapped maps[];
};

static struct files *files_of(struct source *s)
{
	return (struct files *)s;
}

static const void *at(struct source *s, const struct source_want *want)
{
	const struct files *f = files_of(s);
	const struct image_piece *p = want->piece;

	if (p->pages == IMAGE_REMOTE)
		return NULL;
	return (const char *)f->maps[p->pages].at + p->offset + (want->vaddr - p->vaddr);
}

static int ask(struct source *s, const struct source_want *want)
{
	(void)s;
	(void)want;
	return -EINVAL;
}

static int no_fd(struct source *s)
{
	(void)s;
	return -1;
}

static int answers(struct source *s, source_answer answer, void *arg)
{
	(void)s;
	(void)answer;
	(void)arg;
	return 0;
}

static void release(struct source *s, uint64_t id)
{
	(void)s;
	(void)id;
}

/*
 * A page that is mapped is copied in the kernel without a fault of ours in the middle of it:
 * 2.0 GiB/s instead of 1.3.  What is not in memory is left where it is; whoever copies
 * it fetches it.
 */
static bool warm(struct source *s, uint64_t *at)
{
	const struct files *f = files_of(s);
	unsigned char there[WARM_BYTES / IMAGE_PAGE];
	uint64_t before = 0, offset, len;
	size_t i = 0;
	char *from;

	for (; i < f->n && *at >= before + f->maps[i].size; i++)
		before += f->maps[i].size;
	if (i == f->n)
		return false;
	offset = align_down(*at - before, IMAGE_PAGE);
	len = f->maps[i].size - offset;
	if (len > WARM_BYTES)
		len = WARM_BYTES;
	from = (char *)f->maps[i].at + offset;
	*at = before + offset + len;
#ifdef MADV_POPULATE_READ	/* 5.14 */
	if (!mincore(from, len, there) && !memchr(there, 0, (len + IMAGE_PAGE - 1) / IMAGE_PAGE))
		madvise(from, len, MADV_POPULATE_READ);
#else
	(void)there;
#endif
	return true;
}

static void files_free(struct source *s)
{
	struct files *f = files_of(s);

	for (size_t i = 0; i < f->n; i++)
		if (f->maps[i].at)
			munmap(f->maps[i].at, f->maps[i].size);
	free(f);
}

static const struct source_ops ops = {
	.at = at, .ask = ask, .fd = no_fd, .answers = answers, .release = release,
	.warm = warm, .free = files_free,
};

/* Is there a lazy page that no file holds? */
bool source_files_lack(const struct image *image)
{
	for (size_t i = 0; i < image->ntasks; i++)
		for (size_t k = 0; k < image->tasks[i].npieces; k++)
			if (image->tasks[i].pieces[k].lazy &&
			    image->tasks[i].pieces[k].pages == IMAGE_REMOTE)
				return true;
	return false;
}

static int map_file(struct image_dir *dir, const struct image_pages *pages, struct mapped *ret)
{
	_close_ int fd = image_folder_pages(dir, pages);
	void *p;

	if (fd < 0)
		return fd;
	if (!pages->size)
		return 0;
	p = mmap(NULL, pages->size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = (struct mapped){ .at = p, .size = pages->size };
	return 0;
}

int source_files_open(struct image_dir *dir, const struct image *image, struct source **ret,
		      size_t *ret_file)
{
	struct files *f;
	int r;

	*ret_file = image->nfiles;
	if (source_files_lack(image))
		return -ENODATA;
	f = calloc(1, sizeof(*f) + image->nfiles * sizeof(*f->maps));
	if (!f)
		return -ENOMEM;
	f->source.ops = &ops;
	f->n = image->nfiles;
	for (size_t i = 0; i < f->n; i++) {
		r = map_file(dir, &image->files[i], &f->maps[i]);
		if (r < 0) {
			*ret_file = i;
			files_free(&f->source);
			return r;
		}
	}
	*ret = &f->source;
	return 0;
}
