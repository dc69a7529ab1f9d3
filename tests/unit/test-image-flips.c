/* SPDX-License-Identifier: MIT */
/*
 * Image: seeded flips.  A byte or some in the files of a checkpoint, of which some are of
 * CRIU itself, get another value; and so does what the parser hands over.  What is taken
 * after that keeps every promise, what is refused says why.
 *
 * IMAGE_FLIPS=100000 for so many of each kind; IMAGE_SEED for others.
 */

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "image-held.h"
#include "image-made.h"
#include "suite.h"

static struct made good[4], made;
static unsigned int ngood;
static uint64_t seed = 1;

/* xorshift64* */
static uint64_t draw(uint64_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * UINT64_C(2685821657736338717)) % below;
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 0) : otherwise;
}

/* ---- checkpoints to begin with ---------------------------------------------------- */

static void load_file(struct made *m, const char *folder, const char *name)
{
	static const struct {
		enum image_kind kind;
		const char *format;
	} kinds[] = {
		{ IMAGE_INVENTORY, "inventory.img%n" }, { IMAGE_PSTREE, "pstree.img%n" },
		{ IMAGE_MM, "mm-%u.img%n" }, { IMAGE_PAGEMAP, "pagemap-%u.img%n" },
	};
	char path[512], bytes[4096];
	struct made_file *f = NULL;
	_fclose_ FILE *from = NULL;

	for (size_t i = 0; i < 4; i++) {
		unsigned int id = 0;
		int end = 0;

		if (i < 2)
			sscanf(name, kinds[i].format, &end);
		else
			sscanf(name, kinds[i].format, &id, &end);
		if (end && !name[end])
			f = made_file(m, kinds[i].kind, id, 0);
	}
	if (!f)
		return;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	from = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(from);
	f->len = 0;
	made_bytes(f, bytes, fread(bytes, 1, sizeof(bytes), from));
}

/* The pages files are not kept: their lengths are. */
static void load(struct made *m, const char *folder, uint64_t npages)
{
	_closedir_ DIR *d = opendir(folder);
	struct dirent *e;

	made_init(m);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d)))
		load_file(m, folder, e->d_name);
	made_pages(m, 2, 0, npages);
	made_pages(m, 3, 0, npages);
}

static void make_parents(struct made *m)
{
	made_good(m);
	made_pagemap(m, 100, 0, 7);
	made_entry(m, 0x404000, 2, PRESENT);
	made_entry(m, 0x10000000, 300, PARENT | LAZY);
	made_entry(m, 0x10180000, 4, PRESENT | LAZY | WIDE);
	made_pages(m, 7, 0, 6);
	m->levels = 2;
	made_pagemap(m, 100, 1, 7);
	made_entry(m, 0x10000000, 100, PARENT);
	made_entry(m, 0x10064000, 300, PRESENT);
	made_pages(m, 7, 1, 300);
	made_pagemap(m, 100, 2, 1);
	made_entry(m, 0x10000000, 512, PRESENT | LAZY);
	made_pages(m, 1, 2, 512);
}

static void copy(const struct made *from)
{
	made_init(&made);
	made.levels = from->levels;
	made.n = from->n;
	for (size_t i = 0; i < from->n; i++) {
		made.files[i] = from->files[i];
		made.files[i].bytes = NULL;
		made.files[i].len = 0;
		made_bytes(&made.files[i], from->files[i].bytes, from->files[i].len);
	}
}

static void test_whole(void)
{
	make_parents(&good[ngood++]);
	made_good(&good[ngood++]);
	load(&good[ngood++], "tests/data/checkpoint/criu-4.1", 32);
	load(&good[ngood++], "tests/data/checkpoint/criu-4.2", 33);
	for (unsigned int i = 0; i < ngood; i++) {
		struct image_problem why;
		struct image image;
		int r = image_read(&good[i].dir, &image, &why);

		CU_ASSERT_EQUAL_FATAL(r, 0);
		CU_ASSERT_PTR_NULL(image_held(&image));
		CU_ASSERT_EQUAL(image.wide, i == 0 || i == 3);
		image_free(&image);
	}
}

/* ---- flips ------------------------------------------------------------------------ */

static void flip_byte(uint8_t *bytes, size_t len)
{
	const size_t at = draw(len);

	switch (draw(4)) {
	case 0:
		bytes[at] ^= (uint8_t)(1u << draw(8));
		break;
	case 1:
		bytes[at] = (uint8_t)draw(256);
		break;
	case 2:
		bytes[at] = (uint8_t)-draw(2);
		break;
	default:
		bytes[at] += (uint8_t)(1 + 254 * draw(2));
		break;
	}
}

/* One of the files, each as likely; of those without bytes the length. */
static void flip_file(void)
{
	struct made_file *f = &made.files[draw(made.n)];

	if (!f->bytes || !f->len)
		f->size ^= UINT64_C(1) << draw(64);
	else if (!draw(16))
		f->len = draw(f->len);
	else
		flip_byte(f->bytes, f->len);
}

struct tally {
	unsigned long taken, refused, wordless, wrong;
};

static void count(struct tally *t, int r, struct image *image, const struct image_problem *why)
{
	const char *wrong = r ? NULL : image_held(image);

	t->taken += !r;
	t->refused += r < 0;
	t->wordless += r && !why->text[0];
	t->wrong += wrong || r > 0;
	if (wrong)
		printf("\n    %s\n", wrong);
	if (!r)
		image_free(image);
}

static void test_files(void)
{
	const unsigned long n = setting("IMAGE_FLIPS", 20000);
	struct tally t = { 0 };

	for (unsigned long i = 0; i < n; i++) {
		struct image_problem why = { "" };
		struct image image;
		int r;

		copy(&good[draw(ngood)]);
		for (uint64_t flips = 1 + draw(3); flips; flips--)
			flip_file();
		r = image_read(&made.dir, &image, &why);
		count(&t, r, &image, &why);
		made_free(&made.dir);
	}
	printf("%lu of files: %lu taken, %lu refused ... ", n, t.taken, t.refused);
	CU_ASSERT(t.taken && t.refused);
	CU_ASSERT_EQUAL(t.taken + t.refused, n);
	CU_ASSERT_EQUAL(t.wordless, 0);
	CU_ASSERT_EQUAL(t.wrong, 0);
}

/* What the parser gives is not believed either. */
static void test_handed_over(void)
{
	const unsigned long n = setting("IMAGE_FLIPS", 20000);
	struct tally t = { 0 };

	for (unsigned long i = 0; i < n; i++) {
		struct image_problem why = { "" };
		struct image image;
		size_t len = 0;
		void *bytes = NULL;
		int r = image_parse(&good[i % ngood].dir, &bytes, &len, &why);

		CU_ASSERT_EQUAL_FATAL(r, 0);
		for (uint64_t flips = 1 + draw(3); flips; flips--)
			flip_byte(bytes, len);
		r = image_adopt(bytes, draw(16) ? len : draw(len), &image, &why);
		if (r)
			free(bytes);
		count(&t, r, &image, &why);
	}
	printf("%lu handed over: %lu taken, %lu refused ... ", n, t.taken, t.refused);
	CU_ASSERT(t.taken && t.refused);
	CU_ASSERT_EQUAL(t.wordless, 0);
	CU_ASSERT_EQUAL(t.wrong, 0);
	for (unsigned int i = 0; i < ngood; i++)
		made_free(&good[i].dir);
}

static void test_seed(void)
{
	seed = setting("IMAGE_SEED", 1);
	CU_ASSERT_FATAL(seed != 0);
}

static const struct suite_test tests[] = {
	{ "a seed", test_seed },
	{ "whole ones", test_whole },
	{ "flips in files", test_files },
	{ "flips in what is handed over", test_handed_over },
};
SUITE_MAIN("image-flips", tests)
