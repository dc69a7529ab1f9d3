/* SPDX-License-Identifier: MIT */
/* Shelf of an image: where a page lies.  See shelf-image.h. */

#include "restore/shelf-image.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "restore/identity.h"
#include "restore/image-dir.h"

struct shelf_image {
	const struct image *image;
	int *fds;	/* one a pages file */
	bool parent;	/* it is an incremental one */
};

/* Pages that are not here but at another server are not given. */
static bool find_page(void *arg, int32_t pid, uint64_t vaddr, struct shelf_run *ret)
{
	const struct shelf_image *s = arg;
	const struct image_task *task = image_task(s->image, pid);
	const struct image_piece *p = task ? image_find(task, vaddr) : NULL;
	uint64_t skip;

	if (!p || p->pages == IMAGE_REMOTE)
		return false;
	skip = (vaddr - p->vaddr) / IMAGE_PAGE;
	*ret = (struct shelf_run){
		.fd = s->fds[p->pages],
		.offset = p->offset + skip * IMAGE_PAGE,
		.npages = p->npages - skip,
	};
	return true;
}

static bool has_task(void *arg, int32_t pid, bool parent)
{
	const struct shelf_image *s = arg;

	return (!parent || s->parent) && image_task(s->image, pid);
}

static int open_files(struct shelf_image *s, struct image_dir *dir, size_t *ret_file)
{
	const struct image *image = s->image;

	for (size_t i = 0; i < image->nfiles; i++) {
		s->fds[i] = image_folder_pages(dir, &image->files[i]);
		if (s->fds[i] < 0) {
			*ret_file = i;
			return s->fds[i];
		}
	}
	return 0;
}

int shelf_image_open(struct image_dir *dir, const struct image *image, struct shelf_image **ret,
		     struct shelf *ret_shelf, size_t *ret_file)
{
	struct shelf_image *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	*ret_file = image->nfiles;
	if (!s)
		return r;
	s->image = image;
	s->parent = image->nfiles && image->files[image->nfiles - 1].level;
	s->fds = malloc((image->nfiles + 1) * sizeof(*s->fds));
	if (s->fds) {
		for (size_t i = 0; i < image->nfiles; i++)
			s->fds[i] = -1;
		r = open_files(s, dir, ret_file);
	}
	r = r ? r : identity_make(dir, image, ret_shelf->identity);
	if (r < 0) {
		shelf_image_free(s);
		return r;
	}
	ret_shelf->arg = s;
	ret_shelf->find = find_page;
	ret_shelf->task = has_task;
	ret_shelf->fetch = NULL;
	ret_shelf->stop = NULL;
	*ret = s;
	return 0;
}

void shelf_image_free(struct shelf_image *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->fds && i < s->image->nfiles; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	free(s->fds);
	free(s);
}
