/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: the files of a checkpoint, and what the parser hands over.
 *
 * The input is a list of files: kind, level, length (16 bits), number (32 bits), then its
 * bytes; of pages files the bytes are their length (64 bits).  The first byte says how
 * many parents there are.  If it is 255, the rest is what a parser would have handed over.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/image-held.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct head {
	uint8_t kind, level;
	uint16_t len;
	uint32_t id;
};

struct input {
	struct image_dir dir;
	const uint8_t *data;
	size_t size;
	uint32_t levels;
};

/* The first file of that name. */
static const uint8_t *find(const struct input *in, const struct image_name *name, size_t *ret_len)
{
	size_t at = 0;
	struct head h;

	while (in->size - at >= sizeof(h)) {
		memcpy(&h, in->data + at, sizeof(h));
		at += sizeof(h);
		if (h.len > in->size - at)
			h.len = (uint16_t)(in->size - at);
		if (h.kind == name->kind && h.level == name->level && h.id == name->id) {
			*ret_len = h.len;
			return in->data + at;
		}
		at += h.len;
	}
	return NULL;
}

static int has_level(struct image_dir *dir, uint32_t level)
{
	return level <= ((struct input *)dir)->levels ? 0 : -ENOENT;
}

static int file_size(struct image_dir *dir, const struct image_name *name, uint64_t *ret)
{
	size_t len;
	const uint8_t *bytes = find((struct input *)dir, name, &len);

	if (!bytes)
		return -ENOENT;
	*ret = len;
	if (name->kind == IMAGE_PAGES) {
		*ret = 0;
		memcpy(ret, bytes, len < sizeof(*ret) ? len : sizeof(*ret));
	}
	return 0;
}

static int file_read(struct image_dir *dir, const struct image_name *name, void **ret,
		     size_t *ret_len)
{
	size_t len;
	const uint8_t *bytes = find((struct input *)dir, name, &len);

	if (!bytes)
		return -ENOENT;
	*ret = malloc(len ? len : 1);
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, bytes, len);
	*ret_len = len;
	return 0;
}

static const struct image_dir_ops ops = {
	.level = has_level,
	.size = file_size,
	.read = file_read,
};

static void adopt(const uint8_t *data, size_t size)
{
	struct image_problem why = { "" };
	struct image image;
	void *bytes = malloc(size + 1);

	if (!bytes)
		return;
	memcpy(bytes, data, size);
	if (image_adopt(bytes, size, &image, &why)) {
		free(bytes);
		if (!why.text[0])
			abort();
		return;
	}
	if (image_held(&image))
		abort();
	image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_problem why = { "" };
	struct input in = { .dir = { &ops } };
	struct image image;
	int r;

	if (size < 1)
		return 0;
	in.levels = data[0];
	in.data = data + 1;
	in.size = size - 1;
	if (in.levels == 255) {
		adopt(in.data, in.size);
		return 0;
	}
	r = image_read(&in.dir, &image, &why);
	if (r > 0 || (r && !why.text[0]))
		abort();
	if (r)
		return 0;
	if (image_held(&image))
		abort();
	image_free(&image);
	return 0;
}
