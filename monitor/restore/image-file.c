/* SPDX-License-Identifier: MIT */
/*
 * Image, one file: magic numbers, then records, each its length (32 bits, the machine's
 * byte order) and a message.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "restore/image-parts.h"

#define MAGIC_COMMON 0x54564319u	/* an image of a service: not one of these */

static const struct {
	const char *stem;
	bool numbered;
	uint32_t magic;
} kinds[IMAGE_KINDS] = {
	[IMAGE_INVENTORY] = { "inventory", false, 0x58313116u },
	[IMAGE_PSTREE] = { "pstree", false, 0x50273030u },
	[IMAGE_MM] = { "mm", true, 0x57492820u },
	[IMAGE_PAGEMAP] = { "pagemap", true, 0x56084025u },
	[IMAGE_PAGES] = { "pages", true, 0 },
};

const char *image_name_words(const struct image_name *name, char *buf, size_t size)
{
	static const char *const above[] = { "", "parent/", "parent/parent/" };
	const bool far = name->level >= sizeof(above) / sizeof(above[0]);
	char number[16] = "", parent[32] = "";

	if (kinds[name->kind].numbered)
		snprintf(number, sizeof(number), "-%u", name->id);
	if (far)
		snprintf(parent, sizeof(parent), " of parent %u", name->level);
	snprintf(buf, size, "%s%s%s.img%s", far ? "" : above[name->level], kinds[name->kind].stem,
		 number, parent);
	return buf;
}

int image_refuse(struct image_problem *why, const struct image_name *name, int err,
		 const char *format, ...)
{
	char file[64], words[sizeof(why->text) - sizeof(file)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	snprintf(why->text, sizeof(why->text), "%s: %s",
		 image_name_words(name, file, sizeof(file)), words);
	return err;
}

int image_refuse_file(struct image_problem *why, const struct image_name *name, int err)
{
	switch (err) {
	case -ENOENT:
		return image_refuse(why, name, err, "there is no such file");
	case -ELOOP:
		return image_refuse(why, name, err, "it is a symbolic link, not a file");
	case -EISDIR:
		return image_refuse(why, name, err, "it is a folder, not a file");
	case -ENODEV:
		return image_refuse(why, name, err, "it is no file (a pipe, a socket or a device)");
	case -ESTALE:
		return image_refuse(why, name, err, "it was changed while it was read");
	case -EFBIG:
		return image_refuse(why, name, err, "it is too long for a description");
	default:
		return image_refuse(why, name, err, "%s", strerror(-err));
	}
}

static bool take_word(struct image_file *f, uint32_t *ret)
{
	if (f->left < sizeof(*ret))
		return false;
	memcpy(ret, f->at, sizeof(*ret));
	f->at += sizeof(*ret);
	f->left -= sizeof(*ret);
	return true;
}

static int check_magic(struct image_file *f, bool common, struct image_problem *why)
{
	uint32_t word;

	/* The inventory says how the others begin, so it has but its own. */
	if (common && f->name.kind != IMAGE_INVENTORY &&
	    (!take_word(f, &word) || word != MAGIC_COMMON))
		return image_refuse(why, &f->name, -EBADMSG,
				    "it does not begin as an image of CRIU");
	if (!take_word(f, &word) || word != kinds[f->name.kind].magic)
		return image_refuse(why, &f->name, -EBADMSG,
				    "it does not begin as a file of that name");
	return 0;
}

int image_file_open(struct image_dir *dir, const struct image_name *name, bool common,
		    struct image_file *ret, struct image_problem *why)
{
	struct image_file f = { .name = *name };
	int r = dir->ops->read(dir, name, &f.bytes, &f.left);

	if (r)
		return image_refuse_file(why, name, r);
	f.at = f.bytes;
	r = check_magic(&f, common, why);
	if (r)
		image_file_close(&f);
	else
		*ret = f;
	return r;
}

int image_file_next(struct image_file *f, struct image_record *ret, struct image_problem *why)
{
	uint32_t len;

	if (!f->left)
		return 0;
	if (!take_word(f, &len) || len > f->left)
		return image_refuse(why, &f->name, -EBADMSG, "it ends in the middle of record %llu",
				    (unsigned long long)f->nrecords + 1);
	*ret = (struct image_record){ f->at, len };
	f->at += len;
	f->left -= len;
	f->nrecords++;
	return 1;
}

int image_file_only(struct image_file *f, struct image_record *ret, struct image_problem *why)
{
	int r = image_file_next(f, ret, why);

	if (r < 0)
		return r;
	if (!r)
		return image_refuse(why, &f->name, -EBADMSG, "it is empty");
	if (f->left)
		return image_refuse(why, &f->name, -EBADMSG, "it goes on after its only record");
	return 0;
}

static void *allocate(void *failed, size_t size)
{
	void *p = malloc(size);

	*(bool *)failed |= !p;
	return p;
}

static void release(void *failed, void *p)
{
	(void)failed;
	free(p);
}

void *image_unpack(const struct image_file *f, const struct image_record *record,
		   const ProtobufCMessageDescriptor *kind, int *ret_err,
		   struct image_problem *why)
{
	bool failed = false;
	ProtobufCAllocator allocator = { allocate, release, &failed };
	void *message = protobuf_c_message_unpack(kind, &allocator, record->len, record->p);

	if (message)
		return message;
	if (failed)
		*ret_err = image_refuse_file(why, &f->name, -ENOMEM);
	else
		*ret_err = image_refuse(why, &f->name, -EBADMSG,
					"record %llu: it cannot be decoded",
					(unsigned long long)f->nrecords);
	return NULL;
}

void image_file_close(struct image_file *f)
{
	free(f->bytes);
	f->bytes = NULL;
}
