/* SPDX-License-Identifier: MIT */
/*
 * image-dump: what is read of a checkpoint, one thing a line.
 *
 *	image-dump FOLDER		exit 1: it is refused, with the words
 *	image-dump FOLDER PID ADDRESS	where the contents of that page are
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "restore/image-dir.h"

static void print_piece(const struct image *image, const struct image_piece *p)
{
	struct image_name name = { IMAGE_PAGES, 0, 0 };
	char file[64] = "page-server";

	if (p->pages != IMAGE_REMOTE) {
		name.id = image->files[p->pages].id;
		name.level = image->files[p->pages].level;
		image_name_words(&name, file, sizeof(file));
	}
	printf("piece 0x%" PRIx64 " pages %" PRIu64 " %s offset %" PRIu64 "%s\n", p->vaddr,
	       p->npages, file, p->offset, p->lazy ? " lazy" : "");
}

static void print_image(const struct image *image)
{
	printf("image tasks %zu files %zu pages %" PRIu64 " lazy %" PRIu64 "%s\n", image->ntasks,
	       image->nfiles, image->pages, image->lazy_pages, image->wide ? " wide" : "");
	for (size_t i = 0; i < image->ntasks; i++) {
		const struct image_task *t = &image->tasks[i];

		printf("task %d ppid %d%s pages %" PRIu64 " lazy %" PRIu64 "\n", t->pid, t->ppid,
		       t->memory ? "" : " dead", t->pages, t->lazy_pages);
		for (size_t j = 0; j < t->nvmas; j++)
			printf("vma 0x%" PRIx64 "-0x%" PRIx64 " prot %u flags 0x%x status 0x%x%s\n",
			       t->vmas[j].start, t->vmas[j].end, t->vmas[j].prot, t->vmas[j].flags,
			       t->vmas[j].status,
			       image_vma_lazy(&t->vmas[j]) ? " may-be-lazy" : "");
		for (size_t j = 0; j < t->npieces; j++)
			print_piece(image, &t->pieces[j]);
	}
}

static int print_page(const struct image *image, const char *pid, const char *address)
{
	const struct image_task *t = image_task(image, (int32_t)strtol(pid, NULL, 0));
	const struct image_piece *p = t ? image_find(t, strtoull(address, NULL, 0)) : NULL;

	if (!p)
		return puts("none"), 0;
	print_piece(image, p);
	return 0;
}

int main(int argc, char **argv)
{
	struct image_problem why;
	struct image_dir *dir;
	struct image image;
	int r;

	if (argc != 2 && argc != 4)
		return 2;
	r = image_folder_open(argv[1], &dir);
	if (r) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
		return 1;
	}
	r = image_read(dir, &image, &why);
	if (r)
		fprintf(stderr, "%s\n", why.text);
	else if (argc == 4)
		r = print_page(&image, argv[2], argv[3]);
	else
		print_image(&image);
	dir->ops->free(dir);
	if (!r)
		image_free(&image);
	return r ? 1 : 0;
}
