/* SPDX-License-Identifier: MIT */
/*
 * Prefetch: what was touched first comes first, each page once, and nothing that is not lazy;
 * whose touches they were; traces that are none.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "restore/apart.h"
#include "restore/prefetch.h"
#include "starve.h"
#include "suite.h"
#include "trace-samples.h"

#define PAGE UINT64_C(4096)
#define AT UINT64_C(0x7f0000000000)

static const struct image_piece pieces[] = {
	{ .vaddr = AT, .npages = 1000, .lazy = true },
	{ .vaddr = AT + 1000 * PAGE, .npages = 10 },
	{ .vaddr = AT + 1010 * PAGE, .npages = 1000, .lazy = true },
};
static struct image_task tasks[] = {
	{ .pid = 5, .memory = true, .pieces = pieces, .npieces = 3, .lazy_pages = 2000 },
	{ .pid = 7, .memory = true, .pieces = pieces, .npieces = 3, .lazy_pages = 2000 },
	{ .pid = 9 },
};
static struct image one = { .tasks = tasks, .ntasks = 1 }, three = { .tasks = tasks, .ntasks = 3 };

static struct prefetch_maker *maker;

static void add(struct record r)
{
	CU_ASSERT_EQUAL_FATAL(prefetch_maker_add(maker, &r), 0);
}

static struct record touch_of(uint32_t mm, uint64_t page)
{
	return (struct record){ .kind = RECORD_FAULT, .pid = 99, .mm = mm, .npages = 1,
				.addr = AT + page * PAGE };
}

static struct prefetch end(void)
{
	struct prefetch p;

	CU_ASSERT_EQUAL_FATAL(prefetch_maker_end(maker, &p), 0);
	prefetch_maker_free(maker);
	return p;
}

static bool is(const struct prefetch_list *l, size_t i, uint64_t lo, uint64_t hi)
{
	return l && i < l->n && l->v[i].lo == AT + lo * PAGE && l->v[i].hi == AT + hi * PAGE;
}

/* A window's worth is in order of address, and the next one behind it. */
static void test_order(void)
{
	const struct prefetch_list *l;
	struct prefetch p;

	CU_ASSERT_EQUAL_FATAL(prefetch_maker_new(&one, &maker), 0);
	for (uint64_t i = 0; i < 128; i++)
		add(touch_of(1, 1900 - i * 4));
	add(touch_of(1, 42));
	add(touch_of(1, 40));
	add(touch_of(1, 20));
	add(touch_of(1, 998));
	add(touch_of(1, 1001));
	add(touch_of(1, 1011));
	p = end();
	l = prefetch_of(&p, &one, 5);
	CU_ASSERT_EQUAL(p.pages, 128 * 4 + 8 + 4 + 2);
	/* Blocks of 4 as they lie in memory, up to the end of what is lazy. */
	CU_ASSERT(is(l, 0, 1392, 1904));
	CU_ASSERT(is(l, 1, 20, 24));
	CU_ASSERT(is(l, 2, 40, 44));
	CU_ASSERT(is(l, 3, 996, 1000));
	CU_ASSERT(is(l, 4, 1010, 1012));
	CU_ASSERT_EQUAL(l->n, 5);
	CU_ASSERT_PTR_NULL(prefetch_of(&p, &one, 6));
	prefetch_free(&p);
}

static void test_whose(void)
{
	struct prefetch p;

	CU_ASSERT_EQUAL_FATAL(prefetch_maker_new(&three, &maker), 0);
	/* Of a restore, of a recording of the same number, of nobody; and children. */
	add((struct record){ .kind = RECORD_ATTACH, .pid = 31000, .mm = 1, .attach.image_pid = 5 });
	add((struct record){ .kind = RECORD_ATTACH, .pid = 7, .mm = 2 });
	add((struct record){ .kind = RECORD_ATTACH, .pid = 8, .mm = 3 });
	add((struct record){ .kind = RECORD_FORK, .pid = 31000, .mm = 1,
			     .fork = { .child = RECORD_UNKNOWN, .child_mm = 4 } });
	add((struct record){ .kind = RECORD_FORK, .pid = 31000, .mm = 1,
			     .fork = { .child = 7, .child_mm = 5 } });
	add((struct record){ .kind = RECORD_EXEC, .pid = 7, .mm = 2, .exec.new_mm = 6 });
	add(touch_of(1, 0));
	add(touch_of(2, 100));
	add(touch_of(3, 200));
	add(touch_of(4, 300));
	add(touch_of(5, 400));
	add(touch_of(6, 500));
	p = end();
	CU_ASSERT_EQUAL(p.pages, 5 * 4);
	CU_ASSERT(is(prefetch_of(&p, &three, 5), 0, 0, 4));
	CU_ASSERT(is(prefetch_of(&p, &three, 5), 1, 300, 304));
	CU_ASSERT(is(prefetch_of(&p, &three, 7), 0, 100, 104));
	CU_ASSERT(is(prefetch_of(&p, &three, 7), 1, 400, 404));
	CU_ASSERT(is(prefetch_of(&p, &three, 7), 2, 500, 504));
	CU_ASSERT_PTR_NULL(prefetch_of(&p, &three, 9));
	prefetch_free(&p);
}

/* Whatever a trace says. */
static void test_anything(void)
{
	struct prefetch p;

	CU_ASSERT_EQUAL_FATAL(prefetch_maker_new(&one, &maker), 0);
	add((struct record){ .kind = RECORD_DIRTY, .mm = 1, .addr = 0, .npages = UINT64_MAX });
	add((struct record){ .kind = RECORD_DIRTY, .mm = 1, .addr = UINT64_MAX, .npages = 1 });
	add((struct record){ .kind = RECORD_FAULT, .mm = 1, .addr = UINT64_MAX - 4095,
			     .npages = UINT64_MAX });
	add((struct record){ .kind = RECORD_FAULT, .mm = 1, .addr = AT + 77 * PAGE + 5,
			     .npages = UINT64_C(1) << 50 });
	add((struct record){ .kind = RECORD_FAULT, .mm = 1, .addr = AT });
	for (uint32_t mm = 0; mm < 70000; mm++)
		add((struct record){ .kind = RECORD_ATTACH, .mm = mm, .pid = INT32_MAX });
	p = end();
	CU_ASSERT_EQUAL(p.pages, 2000);
	CU_ASSERT(is(&p.lists[0], 0, 0, 1000) && is(&p.lists[0], 1, 1010, 2010));
	prefetch_free(&p);
}

static int file_of(const char *text)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	CU_ASSERT_EQUAL_FATAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

#define FAULT(seq, addr, page) \
	"{\"ev\":\"fault\",\"seq\":" seq ",\"ts\":5,\"pid\":5,\"mm\":1,\"tid\":0,\"kind\":" \
	"\"missing\",\"write\":false,\"addr\":\"" addr "\",\"page\":" page ",\"npages\":1," \
	"\"vma\":0,\"act\":\"copy\",\"via\":\"uffd\",\"lat_ns\":1,\"stop_ns\":2}\n"

static void test_apart(void)
{
	struct prefetch_problem why;
	struct prefetch p;
	char text[8192];
	int64_t n = record_format_header(&sample_header, text, sizeof(text));
	int fd;

	CU_ASSERT_FATAL(n > 0);
	snprintf(text + n, sizeof(text) - (size_t)n, "%s",
		 FAULT("1", "0x7f0000014000", "34091302932")
		 "{\"ev\":\"later\",\"seq\":2,\"ts\":5,\"pid\":0,\"mm\":0}\n"
		 FAULT("3", "0x7f0000014000", "34091302932") "{\"ev\":\"fau");
	fd = file_of(text);
	CU_ASSERT_EQUAL_FATAL(prefetch_read_apart(fd, &three, NULL, &p, &why), 0);
	CU_ASSERT_EQUAL(p.pages, 4);
	CU_ASSERT(is(prefetch_of(&p, &three, 5), 0, 20, 24));
	prefetch_free(&p);
	close(fd);
	snprintf(text + n, sizeof(text) - (size_t)n, "%s", FAULT("1", "0x7f0000014000", "7"));
	fd = file_of(text);
	CU_ASSERT_EQUAL(prefetch_read_apart(fd, &three, NULL, &p, &why), -EBADMSG);
	CU_ASSERT(!strncmp(why.text, "line 2: ", 8) && strstr(why.text, "page"));
	close(fd);
	fd = file_of("hello\n");
	CU_ASSERT_EQUAL(prefetch_read_apart(fd, &three, NULL, &p, &why), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "not a trace"));
	close(fd);
	fd = file_of("");
	CU_ASSERT_EQUAL(prefetch_read_apart(fd, &three, NULL, &p, &why), -EBADMSG);
	close(fd);
}

static void sleep_on(void)
{
	for (;;)
		pause();
}

/* Whoever has taken over the process that reads it cannot keep us waiting for ever. */
static void test_silent(void)
{
	const uint64_t old = apart_silence_ns;
	struct prefetch_problem why;
	struct prefetch p;
	int fd = file_of("hello\n");

	apart_silence_ns = 20000000;
	CU_ASSERT_EQUAL(prefetch_read_apart(fd, &three, sleep_on, &p, &why), -ETIMEDOUT);
	CU_ASSERT_STRING_EQUAL(why.text, "reading it takes too long");
	apart_silence_ns = old;
	close(fd);
}

/* The same by hand: no trace, but a list. */
static void test_list(void)
{
	static const char list[] = "# pagetap.pages/1 page_size=4096\n"
				   "5 0x7f0000064000 1\n"
				   "# more\n"
				   "\n"
				   " 5\t7f0000014000 2 \n"
				   "child 7 5\n"
				   "7 0x7f0000000000 1\n"
				   "child 8 5\n"
				   "8 0x7f0000190000 1\n"
				   "9 0x7f00";
	static const char *const wrong[][2] = {
		{ "# pagetap.pages/2\n", "later version" },
		{ "# pagetap.pages/1 page_size=65536\n", "another size" },
		{ "# pagetap.pages/\n", "neither" },
		{ "# pagetap.pages/1\n5 0x7f0000064000\n", "line 2: " },
		{ "# pagetap.pages/1\n5 0x7f0000064000 1 1\n", "line 2: " },
		{ "# pagetap.pages/1\n0 0x7f0000064000 1\n", "line 2: " },
		{ "# pagetap.pages/1\n5 0x7f0000064000 0\n", "line 2: " },
		{ "# pagetap.pages/1\n\n5 0x17f00000640000000 1\n", "line 3: " },
		{ "# pagetap.pages/1\nchild 5\n", "line 2: " },
		{ "# pagetap.pages/1\n{\"ev\":\"fault\"}\n", "line 2: " },
	};
	struct prefetch_problem why;
	struct prefetch p;
	int fd = file_of(list);

	CU_ASSERT_EQUAL_FATAL(prefetch_read_apart(fd, &three, NULL, &p, &why), 0);
	/* Of one window, so in order of address: blocks of four pages. */
	CU_ASSERT(is(prefetch_of(&p, &three, 5), 0, 20, 24));
	CU_ASSERT(is(prefetch_of(&p, &three, 5), 1, 100, 104));
	CU_ASSERT(is(prefetch_of(&p, &three, 5), 2, 400, 404));
	CU_ASSERT(is(prefetch_of(&p, &three, 7), 0, 0, 4));
	CU_ASSERT_EQUAL(p.pages, 16);
	prefetch_free(&p);
	close(fd);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		fd = file_of(wrong[i][0]);
		CU_ASSERT_TRUE(prefetch_read_apart(fd, &three, NULL, &p, &why) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(why.text, wrong[i][1]));
		close(fd);
	}
}

static int make(const struct record *rs, size_t n, struct prefetch *ret)
{
	int r;

	maker = NULL;
	r = prefetch_maker_new(&three, &maker);
	for (size_t i = 0; i < n && !r; i++)
		r = prefetch_maker_add(maker, &rs[i]);
	if (!r)
		r = prefetch_maker_end(maker, ret);
	prefetch_maker_free(maker);
	return r;
}

/* Each allocation fails once: it says so, and nothing is left. */
static void test_no_memory(void)
{
	struct record rs[300] = {
		{ .kind = RECORD_ATTACH, .pid = 31000, .mm = 1, .attach.image_pid = 5 },
		{ .kind = RECORD_FORK, .pid = 31000, .mm = 1,
		  .fork = { .child = 7, .child_mm = 5 } },
	};
	const size_t n = sizeof(rs) / sizeof(*rs);
	bool hit = true;
	long times;

	for (size_t i = 2; i < n; i++)
		rs[i] = touch_of(i % 2 ? 1 : 5, i * 6 % 1990);
	for (times = 1; hit; times++) {
		struct prefetch p = PREFETCH_NULL;
		int r;

		starve_ours_after(times);
		r = make(rs, n, &p);
		hit = starve_hit();
		CU_ASSERT_EQUAL(r, hit ? -ENOMEM : 0);
		CU_ASSERT_EQUAL(p.pages != 0, !hit);
		prefetch_free(&p);
	}
	CU_ASSERT(times > 5);
}

static const struct suite_test tests[] = {
	{ "order", test_order },
	{ "whose touches", test_whose },
	{ "anything", test_anything },
	{ "read apart", test_apart },
	{ "read by one that is silent", test_silent },
	{ "a list in place of a trace", test_list },
	{ "no memory", test_no_memory },
};

SUITE_MAIN("prefetch", tests)
