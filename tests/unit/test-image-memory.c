/* SPDX-License-Identifier: MIT */
/*
 * Image: no memory, at each place where some is asked for.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray
 */

#include <stdio.h>

#include "image-held.h"
#include "image-made.h"
#include "suite.h"

static struct made made;
static long left = -1;			/* so many more succeed; -1: all */
static bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool fails(void)
{
	if (left < 0)
		return false;
	if (left-- > 0)
		return false;
	/* Once. */
	left = -1;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

/* With a parent, so that every way through is gone. */
static void make(void)
{
	made_good(&made);
	made_pagemap(&made, 100, 0, 7);
	for (uint32_t i = 0; i < 40; i++)
		made_entry(&made, 0x10000000 + i * 2 * IMAGE_PAGE, 1, i % 2 ? PARENT : PRESENT);
	made_pages(&made, 7, 0, 20);
	made.levels = 1;
	made_pagemap(&made, 100, 1, 7);
	made_entry(&made, 0x10000000, 256, PRESENT);
	made_pages(&made, 7, 1, 256);
}

static void test_each(void)
{
	unsigned long refused = 0, other = 0, n = 0;

	make();
	for (; n < 10000; n++) {
		struct image_problem why = { "" };
		struct image image;
		int r;

		failed = false;
		left = (long)n;
		r = image_read(&made.dir, &image, &why);
		left = -1;
		if (!r) {
			CU_ASSERT_PTR_NULL(image_held(&image));
			image_free(&image);
		}
		if (!failed) {
			CU_ASSERT_EQUAL(r, 0);
			break;
		}
		refused += r == -ENOMEM && strstr(why.text, "emory");
		if (r != -ENOMEM || !strstr(why.text, "emory")) {
			printf("\n    %lu: %d %s\n", n, r, why.text);
			other++;
		}
	}
	printf("%lu times ... ", n);
	CU_ASSERT(n > 60 && n < 10000);
	CU_ASSERT_EQUAL(refused, n);
	CU_ASSERT_EQUAL(other, 0);
	made_free(&made.dir);
}

static const struct suite_test tests[] = {
	{ "no memory, each time", test_each },
};
SUITE_MAIN("image-memory", tests)
