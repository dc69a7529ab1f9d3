/* SPDX-License-Identifier: MIT */
/* Image: checkpoints that are taken, and what is made of them. */

#include "image-made.h"
#include "suite.h"

static struct made made;
static struct image image;
static struct image_problem why;

/* Read what is made, and forget that. */
static int read_made(void)
{
	int r = image_read(&made.dir, &image, &why);

	made_free(&made.dir);
	return r;
}

static bool piece_is(const struct image_piece *p, uint64_t vaddr, uint64_t npages, uint32_t pages,
		     uint64_t page, bool lazy)
{
	return p && p->vaddr == vaddr && p->npages == npages && p->pages == pages &&
	       p->offset == page * IMAGE_PAGE && p->lazy == lazy;
}

static void test_good(void)
{
	const struct image_task *t;

	made_good(&made);
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	CU_ASSERT_EQUAL(image.ntasks, 2);
	CU_ASSERT_EQUAL_FATAL(image.nfiles, 1);
	CU_ASSERT(image.files[0].id == 7 && image.files[0].size == 51 * IMAGE_PAGE);
	CU_ASSERT(!image.wide);
	t = image_task(&image, 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT(t->memory && t->pages == 55 && t->lazy_pages == 52);
	CU_ASSERT(image.pages == 55 && image.lazy_pages == 52);
	/* Entries that go on where the last one ended are one piece, cut where mappings end. */
	CU_ASSERT_EQUAL_FATAL(t->npieces, 6);
	CU_ASSERT(piece_is(&t->pieces[0], 0x404000, 2, 0, 0, false));
	CU_ASSERT(piece_is(&t->pieces[1], 0x10000000, 16, 0, 2, true));
	CU_ASSERT(piece_is(&t->pieces[2], 0x100f0000, 16, 0, 18, true));
	CU_ASSERT(piece_is(&t->pieces[3], 0x10100000, 16, 0, 34, true));
	CU_ASSERT(piece_is(&t->pieces[4], 0x10180000, 4, IMAGE_REMOTE, 0, true));
	CU_ASSERT(piece_is(&t->pieces[5], 0x20000000, 1, 0, 50, false));
	/* The page of vsyscalls is nobody's memory. */
	CU_ASSERT_EQUAL(t->nvmas, 4);
	t = image_task(&image, 101);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT(!t->memory && t->ppid == 100 && !t->npieces && !t->nvmas);
	CU_ASSERT_PTR_NULL(image_task(&image, 99));
	CU_ASSERT_PTR_NULL(image_task(&image, 102));
	image_free(&image);
	CU_ASSERT_PTR_NULL(image.bytes);
	image_free(&image);
}

static void test_find(void)
{
	const struct image_task *t;

	made_good(&made);
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	t = image_task(&image, 100);
	for (size_t i = 0; i < t->npieces; i++) {
		const struct image_piece *p = &t->pieces[i];
		const uint64_t end = p->vaddr + p->npages * IMAGE_PAGE;

		CU_ASSERT_PTR_EQUAL(image_find(t, p->vaddr), p);
		CU_ASSERT_PTR_EQUAL(image_find(t, end - 1), p);
		CU_ASSERT_EQUAL(image_seek(t, end), i + 1);
		CU_ASSERT(image_find(t, p->vaddr - 1) != p);
		CU_ASSERT_PTR_NOT_NULL(image_vma(t, p->vaddr));
	}
	CU_ASSERT_PTR_NULL(image_find(t, 0));
	CU_ASSERT_PTR_NULL(image_find(t, 0x403fff));
	CU_ASSERT_PTR_NULL(image_find(t, UINT64_MAX));
	CU_ASSERT_EQUAL(image_seek(t, 0), 0);
	CU_ASSERT_EQUAL(image_seek(t, UINT64_MAX), t->npieces);
	CU_ASSERT_PTR_NULL(image_vma(t, 0x410000));
	CU_ASSERT_PTR_NULL(image_vma(t, UINT64_MAX));
	CU_ASSERT(!image_vma_lazy(image_vma(t, 0x400000)));
	CU_ASSERT(image_vma_lazy(image_vma(t, 0x10000000)));
	CU_ASSERT(!image_vma_lazy(image_vma(t, 0x20000000)));
	image_free(&image);
}

/* CRIU 4.2 has the number in another field, and so many pages in one entry as there are. */
static void test_wide(void)
{
	static const struct made_vma vma = { 0x100000000000, 0x200000000000, MADE_ANON, 0x201 };
	const struct image_task *t;

	made_good(&made);
	made_mm(&made, 100, &vma, 1);
	made_pagemap(&made, 100, 0, 7);
	made_entry(&made, vma.start, UINT64_C(1) << 32, LAZY | PRESENT | WIDE);
	made_pages(&made, 7, 0, UINT64_C(1) << 32);
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	CU_ASSERT(image.wide);
	t = image_task(&image, 100);
	CU_ASSERT(t->npieces == 1 && piece_is(t->pieces, vma.start, UINT64_C(1) << 32, 0, 0, true));
	image_free(&image);
}

/* Before CRIU 2.8 no flags: the pages are here, or in the parent. */
static void test_old(void)
{
	static const struct made_vma vma = { 0x1000000, 0x1100000, MADE_ANON, 0x201 };

	made_init(&made);
	made_inventory(&made, 1);
	made_task(&made, 9, 0);
	made_mm(&made, 9, &vma, 1);
	made_pagemap(&made, 9, 0, 1);
	made_entry(&made, 0x1000000, 2, NO_FLAGS);
	made_entry(&made, 0x1008000, 2, NO_FLAGS | IN_PARENT);
	made_pages(&made, 1, 0, 2);
	made.levels = 1;
	made_pagemap(&made, 9, 1, 1);
	made_entry(&made, 0x1008000, 1, NO_FLAGS);
	made_entry(&made, 0x1009000, 3, NO_FLAGS);
	made_pages(&made, 1, 1, 4);
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	CU_ASSERT(image.ntasks == 1 && image.tasks[0].npieces == 2 && image.nfiles == 2);
	CU_ASSERT(piece_is(&image.tasks[0].pieces[0], 0x1000000, 2, 0, 0, false));
	CU_ASSERT(piece_is(&image.tasks[0].pieces[1], 0x1008000, 2, 1, 0, false));
	CU_ASSERT(image.files[0].level == 0 && image.files[1].level == 1);
	image_free(&image);
}

/* An entry for the parent is cut as that is cut, and lazy if it is so itself. */
static void test_parent(void)
{
	const struct image_task *t;

	made_good(&made);
	made_pagemap(&made, 100, 0, 7);
	made_entry(&made, 0x10000000, 8, PARENT | LAZY);
	made_entry(&made, 0x10010000, 4, PRESENT | LAZY);
	made_entry(&made, 0x10020000, 4, PARENT);
	made_pages(&made, 7, 0, 4);
	made.levels = 2;
	made_pagemap(&made, 100, 1, 7);
	made_entry(&made, 0x10000000, 2, PRESENT);
	made_entry(&made, 0x10002000, 3, PARENT);
	made_entry(&made, 0x10005000, 100, PRESENT | LAZY);
	made_pages(&made, 7, 1, 102);
	made_pagemap(&made, 100, 2, 3);
	made_entry(&made, 0x0fff0000, 64, PRESENT | LAZY);
	made_pages(&made, 3, 2, 64);
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	CU_ASSERT_EQUAL(image.nfiles, 3);
	t = image_task(&image, 100);
	CU_ASSERT_EQUAL_FATAL(t->npieces, 5);
	CU_ASSERT(piece_is(&t->pieces[0], 0x10000000, 2, 1, 0, true));
	CU_ASSERT(piece_is(&t->pieces[1], 0x10002000, 3, 2, 18, true));
	CU_ASSERT(piece_is(&t->pieces[2], 0x10005000, 3, 1, 2, true));
	CU_ASSERT(piece_is(&t->pieces[3], 0x10010000, 4, 0, 0, true));
	CU_ASSERT(piece_is(&t->pieces[4], 0x10020000, 4, 1, 2 + 27, false));
	image_free(&image);
}

/* So many folders, one upon the other; page n of 100 is in the n-th of them. */
static void test_deep(void)
{
	const uint32_t deep = IMAGE_LEVELS - 1;
	const struct image_task *t;
	bool right = true;

	made_good(&made);
	made.levels = deep;
	for (uint32_t level = 0; level <= deep; level++) {
		made_pagemap(&made, 100, level, 7);
		made_entry(&made, 0x10000000 + level * IMAGE_PAGE, 1, PRESENT | LAZY);
		if (level < deep)
			made_entry(&made, 0x10001000 + level * IMAGE_PAGE, deep - level,
				   PARENT | LAZY);
		made_pages(&made, 7, level, 1);
	}
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	t = image_task(&image, 100);
	CU_ASSERT_EQUAL_FATAL(t->npieces, IMAGE_LEVELS);
	for (uint32_t i = 0; i <= deep; i++)
		right &= piece_is(&t->pieces[i], 0x10000000 + i * IMAGE_PAGE, 1, i, 0, true) &&
			 image.files[i].level == i;
	CU_ASSERT(right);
	image_free(&image);
}

/* What is nobody's contents is not a file of the image, and may be missing. */
static void test_empty_files(void)
{
	made_good(&made);
	made_pagemap(&made, 100, 0, 7);
	made_entry(&made, 0x10000000, 8, LAZY);
	made_find(&made, IMAGE_PAGES, 7, 0)->error = -ENOENT;
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	CU_ASSERT(!image.nfiles && image.lazy_pages == 8);
	image_free(&image);
	made_good(&made);
	made_pagemap(&made, 100, 0, 7);
	made_pages(&made, 7, 0, 0);
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	CU_ASSERT(!image.nfiles && !image.pages && image_task(&image, 100)->memory);
	image_free(&image);
}

/* 150 tasks, each with its file, in an order that is none. */
static void test_many_tasks(void)
{
	static const struct made_vma vma = { 0x1000000, 0x1200000, MADE_ANON, 0x201 };
	bool right = true;

	made_init(&made);
	made_inventory(&made, 2);
	for (uint32_t i = 0; i < 150; i++) {
		const uint32_t pid = 1 + i * 37 % 150;

		made_task(&made, pid, 0);
		made_mm(&made, pid, &vma, 1);
		made_pagemap(&made, pid, 0, 1000 - pid);
		made_entry(&made, 0x1000000 + pid * IMAGE_PAGE, pid, LAZY | PRESENT);
		made_pages(&made, 1000 - pid, 0, pid);
	}
	CU_ASSERT_EQUAL_FATAL(read_made(), 0);
	CU_ASSERT(image.ntasks == 150 && image.nfiles == 150);
	for (int32_t pid = 1; pid <= 150; pid++) {
		const struct image_task *t = image_task(&image, pid);

		right &= t && t->npieces == 1 && t->pieces->npages == (uint64_t)pid &&
			 image.files[t->pieces->pages].id == 1000 - (uint32_t)pid;
	}
	CU_ASSERT(right);
	image_free(&image);
}

static void test_names(void)
{
	static const struct {
		struct image_name name;
		const char *words;
	} names[] = {
		{ { IMAGE_INVENTORY, 0, 0 }, "inventory.img" },
		{ { IMAGE_PSTREE, 0, 0 }, "pstree.img" },
		{ { IMAGE_MM, 12, 0 }, "mm-12.img" },
		{ { IMAGE_PAGEMAP, 12, 1 }, "parent/pagemap-12.img" },
		{ { IMAGE_PAGES, UINT32_MAX, 2 }, "parent/parent/pages-4294967295.img" },
		{ { IMAGE_PAGES, 1, 99 }, "pages-1.img of parent 99" },
	};
	char buf[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CU_ASSERT_STRING_EQUAL(image_name_words(&names[i].name, buf, sizeof(buf)),
				       names[i].words);
}

static const struct suite_test tests[] = {
	{ "a checkpoint", test_good },
	{ "an address is found", test_find },
	{ "numbers of pages of 64 bits", test_wide },
	{ "no flags, and no common magic number", test_old },
	{ "what is in a parent", test_parent },
	{ "127 parents", test_deep },
	{ "pages files that nobody needs", test_empty_files },
	{ "many tasks", test_many_tasks },
	{ "names", test_names },
};
SUITE_MAIN("image", tests)
