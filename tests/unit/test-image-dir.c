/* SPDX-License-Identifier: MIT */
/* Image folder: real checkpoints of two CRIUs, files that are none, and parents. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "image-held.h"
#include "restore/image-dir.h"
#include "suite.h"

#define DATA "tests/data/checkpoint/"

static char folder[64];
static struct image_problem why;

static const char *in(const char *name)
{
	static char path[2][256];
	static unsigned int turn;
	char *p = path[turn++ % 2];

	snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
	return p;
}

static void copy_file(const char *from, const char *name)
{
	char bytes[4096];
	size_t n = 0;
	FILE *f = fopen(from, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	f = fopen(in(name), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, n, f), n);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void make_long(const char *name, off_t size)
{
	int fd = open(in(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CU_ASSERT_FATAL(fd >= 0 && !ftruncate(fd, size));
	close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static void clear(void)
{
	if (folder[0])
		nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	folder[0] = 0;
}

/* The descriptions that CRIU wrote, and empty pages of the right length. */
static void lay_out(const char *of, const char *const *names, off_t pages)
{
	char from[256];

	clear();
	snprintf(folder, sizeof(folder), "/tmp/pagetap-image.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	for (; *names; names++) {
		snprintf(from, sizeof(from), DATA "%s/%s", of, *names);
		copy_file(from, *names);
	}
	make_long("pages-2.img", pages * 4096);
	make_long("pages-3.img", pages * 4096);
}

static void lay_out_good(void)
{
	static const char *const names[] = {
		"inventory.img", "pstree.img", "mm-5394.img", "mm-5398.img", "pagemap-5394.img",
		"pagemap-5398.img", NULL
	};

	lay_out("criu-4.1", names, 32);
}

/* Reads the folder; 0: *ret is to be freed. */
static int read_folder(struct image *ret)
{
	struct image_dir *dir;
	int r = image_folder_open(folder, &dir);

	CU_ASSERT_EQUAL_FATAL(r, 0);
	why.text[0] = 0;
	r = image_read(dir, ret, &why);
	dir->ops->free(dir);
	return r;
}

static void refused(int err, const char *words)
{
	struct image image = IMAGE_NULL;
	int r = read_folder(&image);

	CU_ASSERT_EQUAL(r, err);
	CU_ASSERT_STRING_EQUAL(why.text, words);
	if (strcmp(why.text, words))
		printf("\n    %s\n", why.text);
	image_free(&image);
}

static void test_criu_4_1(void)
{
	const struct image_task *child;
	const struct image_piece *p;
	struct image image;

	lay_out_good();
	CU_ASSERT_EQUAL_FATAL(read_folder(&image), 0);
	CU_ASSERT_PTR_NULL(image_held(&image));
	CU_ASSERT(image.ntasks == 2 && image.nfiles == 2 && !image.wide);
	CU_ASSERT(image.pages == 64 && image.lazy_pages == 48);
	child = image_task(&image, 5398);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT(child->ppid == 5394 && child->nvmas == 12);
	p = image_find(child, 0x7fc478ab7fff);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT(p->vaddr == 0x7fc478ab6000 && p->npages == 2 && p->offset == 106496 && p->lazy);
	CU_ASSERT_EQUAL(image.files[p->pages].id, 3);
	p = image_find(child, 0x4a6000);
	CU_ASSERT(p && p->npages == 3 && p->offset == 12288 && !p->lazy);
	image_free(&image);
}

static void test_criu_4_2(void)
{
	static const char *const names[] = {
		"inventory.img", "pstree.img", "mm-23180.img", "mm-23183.img",
		"pagemap-23180.img", "pagemap-23183.img", NULL
	};
	struct image image;

	lay_out("criu-4.2", names, 33);
	CU_ASSERT_EQUAL_FATAL(read_folder(&image), 0);
	CU_ASSERT_PTR_NULL(image_held(&image));
	CU_ASSERT(image.wide && image.pages == 66 && image.lazy_pages == 50);
	image_free(&image);
}

static void test_no_folder(void)
{
	struct image_dir *dir;

	lay_out_good();
	CU_ASSERT_EQUAL(image_folder_open(in("nothing"), &dir), -ENOENT);
	CU_ASSERT_EQUAL(image_folder_open(in("pstree.img"), &dir), -ENOTDIR);
}

static void test_no_files(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	lay_out_good();
	CU_ASSERT_EQUAL(rename(in("mm-5394.img"), in("other")), 0);
	refused(-ENOENT, "mm-5394.img: there is no such file");
	CU_ASSERT_EQUAL(symlink("other", in("mm-5394.img")), 0);
	refused(-ELOOP, "mm-5394.img: it is a symbolic link, not a file");
	CU_ASSERT_EQUAL(unlink(in("mm-5394.img")), 0);
	CU_ASSERT_EQUAL(mkdir(in("mm-5394.img"), 0700), 0);
	refused(-EISDIR, "mm-5394.img: it is a folder, not a file");
	CU_ASSERT_EQUAL(rmdir(in("mm-5394.img")), 0);
	/* Nobody writes to it, and that is not waited for. */
	CU_ASSERT_EQUAL(mkfifo(in("mm-5394.img"), 0600), 0);
	refused(-ENODEV, "mm-5394.img: it is no file (a pipe, a socket or a device)");
	CU_ASSERT_EQUAL(unlink(in("mm-5394.img")), 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", in("mm-5394.img"));
	CU_ASSERT_EQUAL(bind(s, (struct sockaddr *)&at, sizeof(at)), 0);
	refused(-ENODEV, "mm-5394.img: it is no file (a pipe, a socket or a device)");
	close(s);
	CU_ASSERT_EQUAL(unlink(in("mm-5394.img")), 0);
	CU_ASSERT_EQUAL(rename(in("other"), in("mm-5394.img")), 0);
	make_long("mm-5398.img", (off_t)2 << 30);
	refused(-EFBIG, "mm-5398.img: it is too long for a description");
}

/* Cut at a page and in one, and longer. */
static void test_pages_cut(void)
{
	lay_out_good();
	for (unsigned int page = 0; page < 32; page++) {
		char words[128];

		for (unsigned int odd = 0; odd < 2; odd++) {
			make_long("pages-3.img", page * 4096 + odd * 77);
			snprintf(words, sizeof(words),
				 "pages-3.img: it has %u bytes, its pagemap tells of 131072",
				 page * 4096 + odd * 77);
			refused(-EBADMSG, words);
		}
	}
	make_long("pages-3.img", 33 * 4096);
	refused(-EBADMSG, "pages-3.img: it has 135168 bytes, its pagemap tells of 131072");
}

static void test_pages(void)
{
	const struct image_pages wrong = { .id = 2, .level = 0, .size = 4096 };
	const struct image_pages none = { .id = 9, .level = 0, .size = 4096 };
	const struct image_pages far = { .id = 2, .level = 1, .size = 131072 };
	const struct timespec long_ago[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct image_dir *dir;
	struct image image;
	struct stat st;
	int fd;

	lay_out_good();
	/* Clocks of filesystems may stand still for some milliseconds. */
	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, in("pages-3.img"), long_ago, 0), 0);
	CU_ASSERT_EQUAL_FATAL(image_folder_open(folder, &dir), 0);
	CU_ASSERT_EQUAL_FATAL(image_read(dir, &image, &why), 0);
	fd = image_folder_pages(dir, &image.files[0]);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(!fstat(fd, &st) && st.st_size == 131072);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	CU_ASSERT_EQUAL(image_folder_pages(dir, &wrong), -ESTALE);
	CU_ASSERT_EQUAL(image_folder_pages(dir, &none), -ENOENT);
	CU_ASSERT_EQUAL(image_folder_pages(dir, &far), -ENOENT);
	/* Another file of the same length, and the same one written to. */
	CU_ASSERT_EQUAL(rename(in("pages-2.img"), in("kept")), 0);
	make_long("pages-2.img", 131072);
	CU_ASSERT_EQUAL(image_folder_pages(dir, &image.files[0]), -ESTALE);
	fd = open(in("pages-3.img"), O_WRONLY | O_CLOEXEC);
	CU_ASSERT(fd >= 0 && pwrite(fd, "x", 1, 0) == 1);
	close(fd);
	CU_ASSERT(image_folder_pages(dir, &image.files[1]) == -ESTALE);
	image_free(&image);
	dir->ops->free(dir);
}

/* A checkpoint whose pages for one of the tasks are in its parent, or in that one's. */
static void lay_out_chain(const char *parent_of_parent)
{
	lay_out_good();
	CU_ASSERT_EQUAL(mkdir(in("one"), 0700), 0);
	CU_ASSERT_EQUAL(symlink("one", in("parent")), 0);
	CU_ASSERT_EQUAL(symlink(parent_of_parent, in("one/parent")), 0);
}

/* The head and one entry of 16 pages at 0x7fc478a96000 with these flags. */
static void write_pagemap(const char *name, uint8_t flags)
{
	static const uint8_t magic[] = { 0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56,
					 2, 0, 0, 0, 0x08, 2 };
	const uint8_t entry[] = { 12, 0, 0, 0, 0x08, 0x80, 0xc0, 0xa5, 0xc5, 0xc7, 0xf8, 0x1f,
				  0x10, 16, 0x20, flags };
	FILE *f = fopen(in(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(magic, 1, sizeof(magic), f);
	fwrite(entry, 1, sizeof(entry), f);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void test_parents(void)
{
	struct image image;

	lay_out_chain("../two");
	CU_ASSERT_EQUAL(mkdir(in("two"), 0700), 0);
	write_pagemap("pagemap-5394.img", 3);
	write_pagemap("one/pagemap-5394.img", 1);
	write_pagemap("two/pagemap-5394.img", 4);
	make_long("pages-2.img", 0);
	make_long("one/pages-2.img", 0);
	make_long("two/pages-2.img", 65536);
	CU_ASSERT_EQUAL(read_folder(&image), 0);
	if (why.text[0])
		printf("\n    %s\n", why.text);
	else {
		const struct image_task *t = image_task(&image, 5394);

		CU_ASSERT(t && t->npieces == 1 && t->pieces->lazy && t->pages == 16);
		CU_ASSERT(image.nfiles == 2 && image.files[1].level == 2 &&
			  image.files[1].id == 2);
		CU_ASSERT_PTR_NULL(image_held(&image));
		image_free(&image);
	}
	CU_ASSERT_EQUAL(unlink(in("two/pages-2.img")), 0);
	refused(-ENOENT, "parent/parent/pages-2.img: there is no such file");
}

static void test_no_parent(void)
{
	lay_out_good();
	write_pagemap("pagemap-5394.img", 1);
	make_long("pages-2.img", 0);
	refused(-ENOENT, "pagemap-5394.img: the page at 0x7fc478a96000 is in the parent, and "
			 "there is none");
	CU_ASSERT_EQUAL(symlink("nothing", in("parent")), 0);
	refused(-ENOENT, "pagemap-5394.img: the page at 0x7fc478a96000 is in the parent, and "
			 "there is none");
	CU_ASSERT_EQUAL(unlink(in("parent")), 0);
	CU_ASSERT_EQUAL(symlink("pstree.img", in("parent")), 0);
	refused(-ENOTDIR, "pagemap-5394.img: its parent cannot be read: Not a directory");
}

/* A folder that is its own parent, and two that are each other's. */
static void test_loops(void)
{
	lay_out_good();
	write_pagemap("pagemap-5394.img", 1);
	make_long("pages-2.img", 0);
	CU_ASSERT_EQUAL(symlink(".", in("parent")), 0);
	refused(-ELOOP, "pagemap-5394.img: its chain of parents comes back on itself");
	lay_out_chain("..");
	write_pagemap("pagemap-5394.img", 1);
	write_pagemap("one/pagemap-5394.img", 1);
	make_long("pages-2.img", 0);
	make_long("one/pages-2.img", 0);
	refused(-ELOOP, "parent/pagemap-5394.img: its chain of parents comes back on itself");
	/* A link to itself is not followed for ever either; the kernel says so. */
	lay_out_good();
	write_pagemap("pagemap-5394.img", 1);
	make_long("pages-2.img", 0);
	CU_ASSERT_EQUAL(symlink("parent", in("parent")), 0);
	refused(-ELOOP, "pagemap-5394.img: its chain of parents comes back on itself");
	clear();
}

static const struct suite_test tests[] = {
	{ "a checkpoint of CRIU 4.1", test_criu_4_1 },
	{ "a checkpoint of CRIU 4.2", test_criu_4_2 },
	{ "no folder", test_no_folder },
	{ "files that are none", test_no_files },
	{ "pages that are cut", test_pages_cut },
	{ "pages that are opened", test_pages },
	{ "parents", test_parents },
	{ "no parent", test_no_parent },
	{ "parents in a circle", test_loops },
};
SUITE_MAIN("image-dir", tests)
