/* SPDX-License-Identifier: MIT */
/* Identity: which checkpoint it is.  See identity.h. */

#include "restore/identity.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>


/* Also the length and the name, so that no file can run into the next one. */
static int add_file(gnutls_hash_hd_t hash, struct image_dir *dir, enum image_kind kind, uint32_t id,
		    uint32_t level)
{
	const struct image_name name = { .kind = kind, .id = id, .level = level };
	uint64_t head[4] = { (uint64_t)kind, id, level };
	void *bytes = NULL;
	size_t len;
	int r = dir->ops->read(dir, &name, &bytes, &len);

	if (r < 0)
		return r;
	head[3] = len;
	r = gnutls_hash(hash, head, sizeof(head)) ? -EIO : 0;
	if (!r && len)
		r = gnutls_hash(hash, bytes, len) ? -EIO : 0;
	free(bytes);
	return r;
}

/* A parent has an inventory of its own, with the time of its dump. */
static int add_parents(gnutls_hash_hd_t hash, struct image_dir *dir, const struct image *image)
{
	uint32_t deepest = image->nfiles ? image->files[image->nfiles - 1].level : 0;
	int r = 0;

	for (uint32_t level = 1; !r && level <= deepest; level++) {
		r = add_file(hash, dir, IMAGE_INVENTORY, 0, level);
		/* Those that a pre-dump leaves have none. */
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int identity_make(struct image_dir *dir, const struct image *image,
		  uint8_t ret[WIRE_IDENTITY_SIZE])
{
	gnutls_hash_hd_t hash;
	int r;

	_Static_assert(WIRE_IDENTITY_SIZE == 32, "SHA-256");
	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256))
		return -ENOMEM;
	r = add_file(hash, dir, IMAGE_INVENTORY, 0, 0);
	r = r ? r : add_file(hash, dir, IMAGE_PSTREE, 0, 0);
	for (size_t i = 0; !r && i < image->ntasks; i++)
		if (image->tasks[i].memory) {
			uint32_t pid = (uint32_t)image->tasks[i].pid;

			r = add_file(hash, dir, IMAGE_MM, pid, 0);
			r = r ? r : add_file(hash, dir, IMAGE_PAGEMAP, pid, 0);
		}
	r = r ? r : add_parents(hash, dir, image);
	gnutls_hash_deinit(hash, r ? NULL : ret);
	return r;
}
