/* SPDX-License-Identifier: MIT */
/* Image: checkpoints that are refused, each with its words. */

#include <stdio.h>

#include "image-made.h"
#include "suite.h"

static struct made made;

#define KERNEL UINT64_C(0xffff888000000000)

struct refusal {
	void (*spoil)(void);
	int err;
	const char *words;		/* all of them */
};

/* Those of a good one, broken by `spoil`. */
static void refuse(const struct refusal *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct image_problem why = { "" };
		struct image image;
		int r;

		made_good(&made);
		cases[i].spoil();
		r = image_read(&made.dir, &image, &why);
		CU_ASSERT_EQUAL(r, cases[i].err);
		CU_ASSERT_STRING_EQUAL(why.text, cases[i].words);
		if (r != cases[i].err || strcmp(why.text, cases[i].words))
			printf("\n    %zu: %d %s\n", i, r, why.text);
		if (!r)
			image_free(&image);
		made_free(&made.dir);
	}
}
#define REFUSE(cases) refuse(cases, sizeof(cases) / sizeof((cases)[0]))

static struct made_file *file(enum image_kind kind)
{
	return made_find(&made, kind,
			 kind == IMAGE_PAGES ? 7 : kind == IMAGE_INVENTORY || kind == IMAGE_PSTREE ?
			 0 : 100, 0);
}

/* ---- files ----------------------------------------------------------------------- */

static void no_inventory(void) { file(IMAGE_INVENTORY)->error = -ENOENT; }
static void no_tree(void) { file(IMAGE_PSTREE)->error = -ENOENT; }
static void no_mm(void) { file(IMAGE_MM)->error = -ENOENT; }
static void no_pagemap(void) { file(IMAGE_PAGEMAP)->error = -ENOENT; }
static void no_pages(void) { file(IMAGE_PAGES)->error = -ENOENT; }
static void link_for_mm(void) { file(IMAGE_MM)->error = -ELOOP; }
static void folder_for_pages(void) { file(IMAGE_PAGES)->error = -EISDIR; }
static void pipe_for_pagemap(void) { file(IMAGE_PAGEMAP)->error = -ENODEV; }
static void changed_tree(void) { file(IMAGE_PSTREE)->error = -ESTALE; }
static void long_mm(void) { file(IMAGE_MM)->error = -EFBIG; }
static void bad_disk(void) { file(IMAGE_MM)->error = -EIO; }

static void test_files(void)
{
	static const struct refusal cases[] = {
		{ no_inventory, -ENOENT, "inventory.img: there is no such file" },
		{ no_tree, -ENOENT, "pstree.img: there is no such file" },
		{ no_mm, -ENOENT, "mm-100.img: there is no such file" },
		{ no_pagemap, -ENOENT, "pagemap-100.img: there is no such file" },
		{ no_pages, -ENOENT, "pages-7.img: there is no such file" },
		{ link_for_mm, -ELOOP, "mm-100.img: it is a symbolic link, not a file" },
		{ folder_for_pages, -EISDIR, "pages-7.img: it is a folder, not a file" },
		{ pipe_for_pagemap, -ENODEV,
		  "pagemap-100.img: it is no file (a pipe, a socket or a device)" },
		{ changed_tree, -ESTALE, "pstree.img: it was changed while it was read" },
		{ long_mm, -EFBIG, "mm-100.img: it is too long for a description" },
		{ bad_disk, -EIO, "mm-100.img: Input/output error" },
	};

	REFUSE(cases);
}

/* ---- frames ---------------------------------------------------------------------- */

static void nothing_in_it(void) { file(IMAGE_INVENTORY)->len = 0; }
static void cut_magic(void) { file(IMAGE_MM)->len = 7; }
static void other_kind(void) { file(IMAGE_PAGEMAP)->bytes[4] ^= 1; }
static void other_service(void) { file(IMAGE_PAGEMAP)->bytes[0] ^= 1; }
static void only_magic(void) { file(IMAGE_MM)->len = 8; }
static void only_magic_of_tree(void) { file(IMAGE_PSTREE)->len = 8; }
static void only_magic_of_pagemap(void) { file(IMAGE_PAGEMAP)->len = 8; }
static void cut_length(void) { file(IMAGE_PSTREE)->len = 11; }
static void cut_record(void) { file(IMAGE_PAGEMAP)->len--; }
static void second_mm(void) { made_word(file(IMAGE_MM), 0); }
static void second_inventory(void) { made_bytes(file(IMAGE_INVENTORY), "x", 1); }

static void huge_record(void)
{
	memset(file(IMAGE_MM)->bytes + 8, 0xff, 4);
}

static void test_frames(void)
{
	static const struct refusal cases[] = {
		{ nothing_in_it, -EBADMSG,
		  "inventory.img: it does not begin as a file of that name" },
		{ cut_magic, -EBADMSG, "mm-100.img: it does not begin as a file of that name" },
		{ other_kind, -EBADMSG,
		  "pagemap-100.img: it does not begin as a file of that name" },
		{ other_service, -EBADMSG,
		  "pagemap-100.img: it does not begin as an image of CRIU" },
		{ only_magic, -EBADMSG, "mm-100.img: it is empty" },
		{ only_magic_of_tree, -EBADMSG, "pstree.img: it is empty" },
		{ only_magic_of_pagemap, -EBADMSG, "pagemap-100.img: it is empty" },
		{ cut_length, -EBADMSG, "pstree.img: it ends in the middle of record 1" },
		{ cut_record, -EBADMSG, "pagemap-100.img: it ends in the middle of record 7" },
		{ second_mm, -EBADMSG, "mm-100.img: it goes on after its only record" },
		{ second_inventory, -EBADMSG,
		  "inventory.img: it goes on after its only record" },
		{ huge_record, -EBADMSG, "mm-100.img: it ends in the middle of record 1" },
	};

	REFUSE(cases);
}

/* ---- what is in them -------------------------------------------------------------- */

static void version_0(void) { made_inventory(&made, 0); }
static void version_3(void) { made_inventory(&made, 3); }

static void compressed(void)
{
	InventoryEntry e = INVENTORY_ENTRY__INIT;

	e.img_version = 2;
	e.has_compress = true;
	e.compress = 1;
	made_record(made_file(&made, IMAGE_INVENTORY, 0, 0), &e);
}

static void inventory_of_dots(void)
{
	struct made_file *f = made_file(&made, IMAGE_INVENTORY, 0, 0);

	made_word(f, 3);
	made_bytes(f, "...", 3);
}

static void pid_0(void) { made_task(&made, 0, 0); }
static void pid_huge(void) { made_task(&made, UINT32_MAX, 0); }
static void pid_twice(void) { made_task(&made, 100, 1); }

static void mm_of_dots(void)
{
	struct made_file *f = made_file(&made, IMAGE_MM, 100, 0);

	made_word(f, 3);
	made_bytes(f, "...", 3);
}

static void spoil_vma(uint64_t start, uint64_t end)
{
	const struct made_vma vmas[] = {
		{ 0x10000000, 0x10200000, MADE_ANON, 0x201 },
		{ start, end, MADE_ANON, 0x201 },
	};

	made_mm(&made, 100, vmas, 2);
}

static void vma_empty(void) { spoil_vma(0x20000000, 0x20000000); }
static void vma_inverted(void) { spoil_vma(0x20001000, 0x20000000); }
static void vma_odd(void) { spoil_vma(0x20000000, 0x20000001); }
static void vma_overlaps(void) { spoil_vma(0x101ff000, 0x20000000); }
static void vma_before(void) { spoil_vma(0x1000, 0x2000); }
static void vma_of_kernel(void) { spoil_vma(KERNEL, KERNEL + 0x1000); }
static void vma_beyond(void) { spoil_vma(0x20000000, IMAGE_TASK_SIZE + 0x1000); }

static void test_descriptions(void)
{
	static const struct refusal cases[] = {
		{ version_0, -EOPNOTSUPP, "inventory.img: it says format 0; 1 and 2 are read" },
		{ version_3, -EOPNOTSUPP, "inventory.img: it says format 3; 1 and 2 are read" },
		{ compressed, -EOPNOTSUPP, "inventory.img: compressed pages, which are not read; "
					   "dump without --compress" },
		{ inventory_of_dots, -EBADMSG, "inventory.img: record 1: it cannot be decoded" },
		{ pid_0, -EBADMSG, "pstree.img: record 3: 0, child of 0, is no process" },
		{ pid_huge, -EBADMSG,
		  "pstree.img: record 3: 4294967295, child of 0, is no process" },
		{ pid_twice, -EBADMSG, "pstree.img: process 100 is there twice" },
		{ mm_of_dots, -EBADMSG, "mm-100.img: record 1: it cannot be decoded" },
		{ vma_empty, -EBADMSG, "mm-100.img: 0x20000000-0x20000000 is no mapping" },
		{ vma_inverted, -EBADMSG, "mm-100.img: 0x20001000-0x20000000 is no mapping" },
		{ vma_odd, -EBADMSG, "mm-100.img: 0x20000000-0x20000001 is no mapping" },
		{ vma_overlaps, -EBADMSG, "mm-100.img: the mapping at 0x101ff000 begins before "
					  "the end of the one before" },
		{ vma_before, -EBADMSG, "mm-100.img: the mapping at 0x1000 begins before the end "
					"of the one before" },
		{ vma_of_kernel, -EBADMSG, "mm-100.img: 0xffff888000000000-0xffff888000001000 is "
					   "where no process has memory" },
		{ vma_beyond, -EBADMSG, "mm-100.img: 0x20000000-0x100000000000000 is where no "
					"process has memory" },
	};

	REFUSE(cases);
}

/* ---- pagemaps --------------------------------------------------------------------- */

/* One entry alone. */
static void only(uint64_t vaddr, uint64_t npages, uint32_t flags)
{
	made_pagemap(&made, 100, 0, 7);
	made_entry(&made, vaddr, npages, flags);
	made_pages(&made, 7, 0, flags & PRESENT ? npages : 0);
}

static void no_length(void) { only(0x10000000, 0, PRESENT); }
static void no_length_wide(void) { only(0x10000000, 0, PRESENT | WIDE); }
static void all_ones(void) { only(0x10000000, UINT32_MAX, PRESENT | LAZY); }
static void half_of_all(void) { only(0x10000000, UINT64_C(1) << 63, PRESENT | WIDE); }
static void wraps(void) { only(0x10000000, UINT64_C(1) << 52, PRESENT | WIDE); }
static void all_ones_wide(void) { only(0x10000000, UINT64_MAX, PRESENT | WIDE); }
static void of_kernel(void) { only(KERNEL, 1, PRESENT); }
static void at_the_end(void) { only(IMAGE_TASK_SIZE, 1, PRESENT); }
static void over_the_end(void) { only(IMAGE_TASK_SIZE - 0x1000, 2, PRESENT); }
static void inside_a_page(void) { only(0x10000800, 1, PRESENT); }
static void nowhere(void) { only(0x10000000, 1, 0); }
static void here_and_there(void) { only(0x10000000, 1, PARENT | PRESENT); }
static void unknown_flag(void) { only(0x10000000, 1, PRESENT | 8); }
static void no_mapping(void) { only(0x30000000, 1, PRESENT); }
static void over_the_mapping(void) { only(0x400000, 17, PRESENT); }
static void lazy_text(void) { only(0x404000, 1, PRESENT | LAZY); }
static void lazy_locked(void) { only(0x20000000, 1, PRESENT | LAZY); }

static void overlap(void)
{
	made_pagemap(&made, 100, 0, 7);
	made_entry(&made, 0x10000000, 2, PRESENT);
	made_entry(&made, 0x10001000, 2, PRESENT);
}

static void backwards(void)
{
	made_pagemap(&made, 100, 0, 7);
	made_entry(&made, 0x10010000, 2, PRESENT);
	made_entry(&made, 0x10000000, 2, PRESENT);
}

static void two_numbers(void)
{
	PagemapEntry e = PAGEMAP_ENTRY__INIT;

	made_pagemap(&made, 100, 0, 7);
	e.vaddr = 0x10000000;
	e.compat_nr_pages = 1;
	e.has_nr_pages = true;
	e.nr_pages = 2;
	made_record(made.pagemap, &e);
}

static void blocks(void)
{
	PagemapEntry e = PAGEMAP_ENTRY__INIT;
	PagemapBlocks b = PAGEMAP_BLOCKS__INIT;

	made_pagemap(&made, 100, 0, 7);
	e.vaddr = 0x10000000;
	e.compat_nr_pages = 1;
	e.blocks = &b;
	made_record(made.pagemap, &e);
}

/* 1: 0x1000, 2: 1, and a field of number 9. */
static void unknown_field(void)
{
	made_pagemap(&made, 100, 0, 7);
	made_word(made.pagemap, 7);
	made_bytes(made.pagemap, "\x08\x80\x20\x10\x01\x48\x01", 7);
}

static void unknown_in_head(void)
{
	struct made_file *f = made_file(&made, IMAGE_PAGEMAP, 100, 0);

	made_word(f, 4);
	made_bytes(f, "\x08\x07\x48\x01", 4);
}

static void no_number(void)
{
	made_pagemap(&made, 100, 0, 7);
	made_word(made.pagemap, 3);
	made_bytes(made.pagemap, "\x08\x80\x20", 3);
}

static void short_pages(void) { file(IMAGE_PAGES)->size--; }
static void long_pages(void) { file(IMAGE_PAGES)->size += IMAGE_PAGE; }
static void fewer_entries(void) { made_pagemap(&made, 100, 0, 7); }

#define RECORD_2 "pagemap-100.img: record 2: "

static void test_entries(void)
{
	static const struct refusal cases[] = {
		{ no_length, -EBADMSG, RECORD_2 "no pages" },
		{ no_length_wide, -EBADMSG, RECORD_2 "no pages" },
		{ all_ones, -EBADMSG, "pagemap-100.img: the page at 0x10200000 is in no mapping" },
		{ half_of_all, -EBADMSG, RECORD_2 "an address that no process can have" },
		{ wraps, -EBADMSG, RECORD_2 "an address that no process can have" },
		{ all_ones_wide, -EBADMSG, RECORD_2 "an address that no process can have" },
		{ of_kernel, -EBADMSG, RECORD_2 "an address that no process can have" },
		{ at_the_end, -EBADMSG, RECORD_2 "an address that no process can have" },
		{ over_the_end, -EBADMSG, RECORD_2 "an address that no process can have" },
		{ inside_a_page, -EBADMSG, RECORD_2 "an address inside of a page" },
		{ nowhere, -EBADMSG, RECORD_2 "pages that are nowhere" },
		{ here_and_there, -EBADMSG,
		  RECORD_2 "pages that are both here and in the parent" },
		{ unknown_flag, -EOPNOTSUPP,
		  RECORD_2 "a flag that is not known; a later CRIU's?" },
		{ no_mapping, -EBADMSG,
		  "pagemap-100.img: the page at 0x30000000 is in no mapping" },
		{ over_the_mapping, -EBADMSG,
		  "pagemap-100.img: the page at 0x410000 is in no mapping" },
		{ lazy_text, -EBADMSG, "pagemap-100.img: the page at 0x404000 is lazy, and its "
				       "mapping is not private anonymous memory" },
		{ lazy_locked, -EBADMSG, "pagemap-100.img: the page at 0x20000000 is lazy, and "
					 "its mapping is not private anonymous memory" },
		{ overlap, -EBADMSG,
		  "pagemap-100.img: record 3: it begins before the end of the one before" },
		{ backwards, -EBADMSG,
		  "pagemap-100.img: record 3: it begins before the end of the one before" },
		{ two_numbers, -EBADMSG, RECORD_2 "two numbers of pages" },
		{ blocks, -EOPNOTSUPP, RECORD_2 "compressed pages, which are not read; dump "
						"without --compress" },
		{ unknown_field, -EOPNOTSUPP,
		  RECORD_2 "a field that is not known; a later CRIU's?" },
		{ unknown_in_head, -EOPNOTSUPP,
		  "pagemap-100.img: record 1: a field that is not known; a later CRIU's?" },
		{ no_number, -EBADMSG, RECORD_2 "it cannot be decoded" },
		{ short_pages, -EBADMSG,
		  "pages-7.img: it has 208895 bytes, its pagemap tells of 208896" },
		{ long_pages, -EBADMSG,
		  "pages-7.img: it has 212992 bytes, its pagemap tells of 208896" },
		{ fewer_entries, -EBADMSG,
		  "pages-7.img: it has 208896 bytes, its pagemap tells of 0" },
	};

	REFUSE(cases);
}

/* ---- parents ---------------------------------------------------------------------- */

static void from_parent(uint64_t npages)
{
	made_pagemap(&made, 100, 0, 7);
	made_entry(&made, 0x10000000, npages, PARENT);
	made_pages(&made, 7, 0, 0);
	made.levels = 1;
	made_pagemap(&made, 100, 1, 7);
	made_entry(&made, 0x10000000, 4, PRESENT);
	made_pages(&made, 7, 1, 4);
}

static void no_parent(void)
{
	from_parent(4);
	made.levels = 0;
}

static void closed_parent(void)
{
	no_parent();
	made.beyond = -EACCES;
}

static void parent_without_it(void)
{
	from_parent(4);
	made_find(&made, IMAGE_PAGEMAP, 100, 1)->error = -ENOENT;
}

static void parent_ends_before(void) { from_parent(5); }

static void parent_with_a_hole(void)
{
	from_parent(4);
	made_pagemap(&made, 100, 1, 7);
	made_entry(&made, 0x10000000, 1, PRESENT);
	made_entry(&made, 0x10002000, 3, PRESENT);
}

static void parent_is_cut(void)
{
	from_parent(4);
	made_find(&made, IMAGE_PAGES, 7, 1)->size = 1;
}

static void parent_is_remote(void)
{
	from_parent(4);
	made_pagemap(&made, 100, 1, 7);
	made_entry(&made, 0x10000000, 4, LAZY);
	made_pages(&made, 7, 1, 0);
}

/* All of them are one folder, and what is wanted is always in the next. */
static void loop(void)
{
	from_parent(1);
	made_pagemap(&made, 100, 1, 7);
	made_entry(&made, 0x10000000, 1, PARENT);
	made_pages(&made, 7, 1, 0);
	made.beyond = -ELOOP;
}

static void too_deep(void)
{
	made.levels = UINT32_MAX;
	for (uint32_t level = 0; level < IMAGE_LEVELS; level++) {
		made_pagemap(&made, 100, level, 7);
		made_entry(&made, 0x10000000, 1, PARENT);
		made_pages(&made, 7, level, 0);
	}
}

static void test_parents(void)
{
	static const struct refusal cases[] = {
		{ no_parent, -ENOENT,
		  "pagemap-100.img: the page at 0x10000000 is in the parent, and there is none" },
		{ closed_parent, -EACCES,
		  "pagemap-100.img: its parent cannot be read: Permission denied" },
		{ parent_without_it, -ENOENT, "parent/pagemap-100.img: there is no such file" },
		{ parent_ends_before, -EBADMSG, "parent/pagemap-100.img: the page at 0x10004000 "
						"should be here, and is not" },
		{ parent_with_a_hole, -EBADMSG, "parent/pagemap-100.img: the page at 0x10001000 "
						"should be here, and is not" },
		{ parent_is_cut, -EBADMSG,
		  "parent/pages-7.img: it has 1 bytes, its pagemap tells of 16384" },
		{ parent_is_remote, -EOPNOTSUPP, "parent/pagemap-100.img: the page at 0x10000000 "
						 "is at the page server of a parent" },
		{ loop, -ELOOP,
		  "parent/pagemap-100.img: its chain of parents comes back on itself" },
		{ too_deep, -EOPNOTSUPP, "pagemap-100.img of parent 128: more than 127 parents, "
					 "one upon the other" },
	};

	REFUSE(cases);
}

/* Cut at any byte: refused, but for a file that is then shorter by whole, unneeded records. */
static void test_cut_anywhere(void)
{
	static const enum image_kind kinds[] = { IMAGE_INVENTORY, IMAGE_PSTREE, IMAGE_MM,
						 IMAGE_PAGEMAP };
	unsigned int taken = 0, refused = 0, wordless = 0;

	for (size_t k = 0; k < 4; k++) {
		for (size_t len = 0;; len++) {
			struct image_problem why = { "" };
			struct image image;
			int r;

			made_good(&made);
			if (len >= file(kinds[k])->len) {
				made_free(&made.dir);
				break;
			}
			file(kinds[k])->len = len;
			r = image_read(&made.dir, &image, &why);
			if (!r)
				image_free(&image);
			taken += !r;
			refused += !!r;
			wordless += r && !why.text[0];
			made_free(&made.dir);
		}
	}
	/* The tree without its second task alone: that there is one, its own file would not say. */
	CU_ASSERT_EQUAL(taken, 1);
	CU_ASSERT(refused > 150);
	CU_ASSERT_EQUAL(wordless, 0);
}

static const struct suite_test tests[] = {
	{ "files that are none", test_files },
	{ "files that are cut, or others", test_frames },
	{ "inventory, tree, mappings", test_descriptions },
	{ "pagemaps", test_entries },
	{ "parents", test_parents },
	{ "cut at every byte", test_cut_anywhere },
};
SUITE_MAIN("image-refusals", tests)
