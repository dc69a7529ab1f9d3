/* SPDX-License-Identifier: MIT */
/*
 * Image process: what the child may, and a parent that believes none of it.
 *
 * Children that have been taken over are played by the function that should confine them:
 * it speaks to the parent itself, and ends.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "image-made.h"
#include "restore/apart.h"
#include "restore/image-process.h"
#include "sandbox.h"
#include "suite.h"

static struct made made;
static struct image_problem why;

/* As the two sides speak; see image-process.c. */
enum { OP_LEVEL, OP_SIZE, OP_READ, OP_IMAGE, OP_REFUSED };
struct ask {
	uint32_t op;
	int32_t err;
	uint32_t kind, id, level, reserved;
	uint64_t size;
};

static void put(const void *bytes, size_t len)
{
	if (write(APART_SOCKET, bytes, len) != (ssize_t)len)
		_exit(9);
}

static int read_apart(void (*confine)(void))
{
	struct image image = IMAGE_NULL;
	int r = image_read_apart(&made.dir, confine, &image, &why);

	image_free(&image);
	/* None is left behind. */
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	return r;
}

static void same(void (*confine)(void))
{
	struct image here, there;

	made_good(&made);
	CU_ASSERT_EQUAL_FATAL(image_read(&made.dir, &here, &why), 0);
	CU_ASSERT_EQUAL_FATAL(image_read_apart(&made.dir, confine, &there, &why), 0);
	CU_ASSERT(here.ntasks == there.ntasks && here.nfiles == there.nfiles &&
		  here.pages == there.pages && here.lazy_pages == there.lazy_pages);
	CU_ASSERT(!memcmp(here.files, there.files, here.nfiles * sizeof(here.files[0])));
	for (size_t i = 0; i < here.ntasks; i++) {
		const struct image_task *a = &here.tasks[i], *b = &there.tasks[i];

		CU_ASSERT_FATAL(a->pid == b->pid && a->npieces == b->npieces &&
				a->nvmas == b->nvmas);
		for (size_t j = 0; j < a->npieces; j++)
			CU_ASSERT(a->pieces[j].vaddr == b->pieces[j].vaddr &&
				  a->pieces[j].npages == b->pieces[j].npages &&
				  a->pieces[j].offset == b->pieces[j].offset &&
				  a->pieces[j].pages == b->pieces[j].pages &&
				  a->pieces[j].lazy == b->pieces[j].lazy);
	}
	image_free(&here);
	image_free(&there);
	made_free(&made.dir);
}

static void test_same(void) { same(NULL); }
static void test_confined(void) { same(sandbox_parser); }

static void test_refused(void)
{
	made_good(&made);
	made_find(&made, IMAGE_MM, 100, 0)->error = -ENOENT;
	CU_ASSERT_EQUAL(read_apart(sandbox_parser), -ENOENT);
	CU_ASSERT_STRING_EQUAL(why.text, "mm-100.img: there is no such file");
	made_free(&made.dir);
	made_good(&made);
	made_inventory(&made, 3);
	CU_ASSERT_EQUAL(read_apart(sandbox_parser), -EOPNOTSUPP);
	CU_ASSERT_STRING_EQUAL(why.text, "inventory.img: it says format 3; 1 and 2 are read");
	made_free(&made.dir);
}

/* One more than the socket holds at a time, there and back: 60,000 entries. */
static void test_long(void)
{
	static const struct made_vma vma = { 0x10000000, 0x60000000, MADE_ANON, 0x201 };
	struct image image;

	made_good(&made);
	made_mm(&made, 100, &vma, 1);
	made_pagemap(&made, 100, 0, 7);
	for (uint64_t i = 0; i < 60000; i++)
		made_entry(&made, 0x10000000 + i * 2 * IMAGE_PAGE, 1, LAZY | PRESENT);
	made_pages(&made, 7, 0, 60000);
	CU_ASSERT_EQUAL_FATAL(image_read_apart(&made.dir, sandbox_parser, &image, &why), 0);
	CU_ASSERT(image.lazy_pages == 60000 && image_task(&image, 100)->npieces == 60000);
	image_free(&image);
	made_free(&made.dir);
}

/* ---- what is left to the child --------------------------------------------------- */

static char *put_word(char *at, const char *word)
{
	const size_t len = strlen(word);

	memcpy(at, word, len + 1);
	return at + len;
}

/* Says which of these it could do. */
static void try_everything(void)
{
	struct ask refused = { .op = OP_REFUSED, .err = -EBADMSG };
	struct image_problem said = { "could" };
	struct rlimit r;
	char *at = said.text + 5;
	void *code;

	sandbox_parser();
	if (open("/etc/passwd", O_RDONLY) >= 0)
		at = put_word(at, " open");
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
		at = put_word(at, " socket");
	if (!kill(getppid(), 0))
		at = put_word(at, " kill");
	if (fork() >= 0)
		at = put_word(at, " fork");
	if (write(2, "", 0) >= 0)
		at = put_word(at, " write");
	code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code != MAP_FAILED)
		at = put_word(at, " execute");
	if (getrlimit(RLIMIT_NOFILE, &r) >= 0)
		at = put_word(at, " ask");
	if (dup(APART_SOCKET) >= 0)
		put_word(at, " dup");
	put(&refused, sizeof(refused));
	put(&said, sizeof(said));
	_exit(0);
}

/* Without the filter: what the rest of it leaves. */
static void try_files(void)
{
	struct ask refused = { .op = OP_REFUSED, .err = -EBADMSG };
	struct image_problem said = { "could" };
	char *at = said.text + 5;
	char path[] = "/etc/shadow";

	sandbox_parser();
	if (open(path, O_RDONLY) >= 0)
		at = put_word(at, " open");
	if (geteuid() == 0)
		at = put_word(at, " root");
	if (dup(APART_SOCKET) >= 0)
		put_word(at, " dup");
	put(&refused, sizeof(refused));
	put(&said, sizeof(said));
	_exit(0);
}

static void test_nothing_left(void)
{
	/* An instrumented build has no filter, and is told apart by that. */
	const bool filtered = sandbox_filter_make_parser(APART_SOCKET) != -EOPNOTSUPP;

	made_good(&made);
	CU_ASSERT_EQUAL(read_apart(filtered ? try_everything : try_files), -EBADMSG);
	CU_ASSERT_STRING_EQUAL(why.text, "could");
	made_free(&made.dir);
}

/* ---- children that were taken over ------------------------------------------------ */

static void dies(void)
{
	signal(SIGILL, SIG_DFL);
	raise(SIGILL);
}

static void ends(void) { _exit(0); }

static void says(struct ask a)
{
	put(&a, sizeof(a));
	/* Until it has been read: what an end of the other side would throw away. */
	shutdown(APART_SOCKET, SHUT_WR);
	while (read(APART_SOCKET, &a, sizeof(a)) > 0)
		;
	_exit(0);
}

static void unknown_op(void) { says((struct ask){ .op = 77 }); }
static void unknown_kind(void) { says((struct ask){ .op = OP_READ, .kind = IMAGE_KINDS }); }
static void any_level(void) { says((struct ask){ .op = OP_LEVEL, .level = IMAGE_LEVELS }); }
static void wants_pages(void)
{
	says((struct ask){ .op = OP_READ, .kind = IMAGE_PAGES, .id = 7 });
}
static void half_a_word(void)
{
	put("123", 3);
	_exit(0);
}
static void huge_image(void) { says((struct ask){ .op = OP_IMAGE, .size = UINT64_MAX }); }
static void long_image(void) { says((struct ask){ .op = OP_IMAGE, .size = 1 << 20 }); }
static void short_image(void) { says((struct ask){ .op = OP_IMAGE, .size = 100 }); }
static void succeeds_badly(void)
{
	const struct ask a = { .op = OP_REFUSED };
	const struct image_problem said = { "no" };

	put(&a, sizeof(a));
	put(&said, sizeof(said));
	_exit(0);
}

static void empty_image(void)
{
	put(&(struct ask){ .op = OP_IMAGE }, sizeof(struct ask));
	_exit(0);
}

/* An image of the size of one, of nothing but ones. */
static void ones(void)
{
	char bytes[400];

	memset(bytes, 0xff, sizeof(bytes));
	put(&(struct ask){ .op = OP_IMAGE, .size = sizeof(bytes) }, sizeof(struct ask));
	put(bytes, sizeof(bytes));
	_exit(0);
}

/* A right one, but for a pages file that is longer than what the parent knows of. */
static void longer_pages(void)
{
	struct ask a = { .op = OP_IMAGE };
	void *bytes;
	size_t len;

	made_find(&made, IMAGE_PAGES, 7, 0)->size += IMAGE_PAGE;
	made_entry(&made, 0x20001000, 1, PRESENT);
	if (image_parse(&made.dir, &bytes, &len, &why))
		_exit(8);
	a.size = len;
	put(&a, sizeof(a));
	put(bytes, len);
	_exit(0);
}

static void says_colours(void)
{
	const struct ask a = { .op = OP_REFUSED, .err = -EBADMSG };
	struct image_problem said;

	memset(&said, '\033', sizeof(said));
	put(&a, sizeof(a));
	put(&said, sizeof(said));
	_exit(0);
}

static void test_taken_over(void)
{
	static const char failed[] = "the process that reads the images failed";
	static const char itself[] = "what was read of the images contradicts itself: its length";
	static const struct {
		void (*child)(void);
		int err;
		const char *words;
	} cases[] = {
		{ dies, -EPROTO, "the process that reads the images died of signal 4" },
		{ ends, -EPROTO, failed },
		{ unknown_op, -EPROTO, failed },
		{ unknown_kind, -EPROTO, failed },
		{ any_level, -EPROTO, failed },
		{ wants_pages, -EPROTO, failed },
		{ half_a_word, -EPROTO, failed },
		{ huge_image, -EPROTO, failed },
		{ long_image, -EPROTO, failed },
		{ short_image, -EPROTO, failed },
		{ succeeds_badly, -EPROTO, failed },
		{ empty_image, -EBADMSG, itself },
		{ ones, -EBADMSG, itself },
		{ longer_pages, -EPROTO, "a pages file has not the length it had" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r;

		made_good(&made);
		r = read_apart(cases[i].child);
		CU_ASSERT_EQUAL(r, cases[i].err);
		CU_ASSERT_STRING_EQUAL(why.text, cases[i].words);
		if (r != cases[i].err || strcmp(why.text, cases[i].words))
			printf("\n    %zu: %d %s\n", i, r, why.text);
		made_free(&made.dir);
	}
	made_good(&made);
	CU_ASSERT_EQUAL(read_apart(says_colours), -EBADMSG);
	CU_ASSERT(why.text[0] == '?' && strspn(why.text, "?") == sizeof(why.text) - 1);
	made_free(&made.dir);
}

static const struct suite_test tests[] = {
	{ "the same image", test_same },
	{ "the same image, confined", test_confined },
	{ "the same words", test_refused },
	{ "a long pagemap", test_long },
	{ "nothing is left to the child", test_nothing_left },
	{ "children that were taken over", test_taken_over },
};
SUITE_MAIN("image-process", tests)
