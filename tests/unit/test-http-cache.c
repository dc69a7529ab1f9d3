/* SPDX-License-Identifier: MIT */
/* HTTP cache: what is marked is right, whatever befalls who fills it. */

#include "restore/http-cache.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "file-limit.h"
#include "restore/image.h"
#include "suite.h"

#define URL "https://store.example/a/"
#define PAGES 130u

static const struct http_version version = { "\"1\"", "", PAGES * IMAGE_PAGE };

struct rig {
	char path[64];
	struct http_cache *cache;
	struct http_cache_file *file;
};

static void rig_open(struct rig *r)
{
	struct http_problem why;

	snprintf(r->path, sizeof(r->path), "/tmp/pagetap-cache.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(r->path));
	CU_ASSERT_EQUAL_FATAL(http_cache_open(r->path, &r->cache, &why), 0);
	CU_ASSERT_EQUAL_FATAL(http_cache_file_open(r->cache, URL, "pages-1.img", &version,
						   &r->file), 0);
}

static void rig_close(struct rig *r)
{
	char command[100];

	http_cache_file_free(r->file);
	http_cache_free(r->cache);
	snprintf(command, sizeof(command), "rm -rf %s", r->path);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* Page i says its own number all over. */
static void fill(uint64_t *page, uint64_t i)
{
	for (size_t k = 0; k < IMAGE_PAGE / sizeof(*page); k++)
		page[k] = i;
}

static bool is_filled(const uint64_t *page, uint64_t i)
{
	for (size_t k = 0; k < IMAGE_PAGE / sizeof(*page); k++)
		if (page[k] != i)
			return false;
	return true;
}

static int put(struct http_cache_file *f, uint64_t i)
{
	uint64_t page[IMAGE_PAGE / sizeof(uint64_t)];

	fill(page, i);
	return http_cache_put(f, i * IMAGE_PAGE, page, IMAGE_PAGE);
}

/* 1 there and right, 0 not there, -1 wrong. */
static int get(struct http_cache_file *f, uint64_t i)
{
	uint64_t page[IMAGE_PAGE / sizeof(uint64_t)];

	memset(page, 0x55, sizeof(page));
	if (!http_cache_get(f, i * IMAGE_PAGE, page, IMAGE_PAGE))
		return 0;
	return is_filled(page, i) ? 1 : -1;
}

static void test_marks(void)
{
	uint64_t three[3 * IMAGE_PAGE / sizeof(uint64_t)];
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(get(r.file, 64), 0);
	CU_ASSERT_EQUAL(put(r.file, 63), 0);
	CU_ASSERT_EQUAL(put(r.file, 65), 0);
	CU_ASSERT_EQUAL(put(r.file, PAGES - 1), 0);
	CU_ASSERT_EQUAL(get(r.file, 63), 1);
	CU_ASSERT_EQUAL(get(r.file, 64), 0);
	CU_ASSERT_EQUAL(get(r.file, PAGES - 1), 1);
	CU_ASSERT(!http_cache_get(r.file, 63 * IMAGE_PAGE, three, sizeof(three)));
	CU_ASSERT_EQUAL(put(r.file, 64), 0);
	CU_ASSERT(http_cache_get(r.file, 63 * IMAGE_PAGE, three, sizeof(three)));
	CU_ASSERT(is_filled(three + 2 * IMAGE_PAGE / sizeof(uint64_t), 65));
	rig_close(&r);
}

/* Not whole pages, or not of the file. */
static void test_outside(void)
{
	uint64_t page[IMAGE_PAGE / sizeof(uint64_t)] = { 0 };
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(http_cache_put(r.file, PAGES * IMAGE_PAGE, page, IMAGE_PAGE), 0);
	CU_ASSERT_EQUAL(http_cache_put(r.file, UINT64_MAX - IMAGE_PAGE + 1, page, IMAGE_PAGE), 0);
	CU_ASSERT_EQUAL(http_cache_put(r.file, 0, page, 100), 0);
	CU_ASSERT(!http_cache_get(r.file, 0, page, 100));
	CU_ASSERT(!http_cache_get(r.file, 0, page, 0));
	CU_ASSERT(!http_cache_get(r.file, PAGES * IMAGE_PAGE, page, IMAGE_PAGE));
	CU_ASSERT_EQUAL(get(r.file, 0), 0);
	CU_ASSERT(!http_cache_get(NULL, 0, page, IMAGE_PAGE));
	CU_ASSERT_EQUAL(http_cache_put(NULL, 0, page, IMAGE_PAGE), 0);
	rig_close(&r);
}

/* What one has put, the other gets; another version, name or address has nothing of it. */
static void test_shared(void)
{
	struct http_version other = version;
	struct http_cache_file *f;
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(http_cache_file_open(r.cache, URL, "pages-1.img", &version, &f), 0);
	CU_ASSERT_EQUAL(put(r.file, 7), 0);
	CU_ASSERT_EQUAL(get(f, 7), 1);
	http_cache_file_free(f);
	other.etag[1] = '2';
	CU_ASSERT_EQUAL(http_cache_file_open(r.cache, URL, "pages-1.img", &other, &f), 0);
	CU_ASSERT_EQUAL(get(f, 7), 0);
	http_cache_file_free(f);
	CU_ASSERT_EQUAL(http_cache_file_open(r.cache, URL, "pages-2.img", &version, &f), 0);
	CU_ASSERT_EQUAL(get(f, 7), 0);
	http_cache_file_free(f);
	CU_ASSERT_EQUAL(http_cache_file_open(r.cache, "http://b/", "pages-1.img", &version, &f), 0);
	CU_ASSERT_EQUAL(get(f, 7), 0);
	http_cache_file_free(f);
	rig_close(&r);
}

/* Two fill it, and are killed at any moment: what is marked then is right. */
static void test_killed(void)
{
	unsigned int there = 0;
	struct rig r;
	pid_t pid[2];

	rig_open(&r);
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		for (uint64_t p = 0; !pid[i]; p = (p + 1) % PAGES) {
			put(r.file, i ? PAGES - 1 - p : p);
			usleep(20);
		}
	}
	for (int n = 0; n < 40; n++) {
		usleep(1000);
		for (uint64_t p = 0; p < PAGES; p++)
			CU_ASSERT(get(r.file, p) >= 0);
	}
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	for (uint64_t p = 0; p < PAGES; p++) {
		CU_ASSERT(get(r.file, p) >= 0);
		there += get(r.file, p) == 1;
	}
	CU_ASSERT(there > 0);
	rig_close(&r);
}

/* No page is kept any more, those that are stay, and it is said once. */
static void test_full(void)
{
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(put(r.file, 3), 0);
	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(4 * IMAGE_PAGE);
	CU_ASSERT(put(r.file, 5) < 0);
	CU_ASSERT_EQUAL(put(r.file, 6), 0);
	limit_file_size(0);
	CU_ASSERT_EQUAL(put(r.file, 7), 0);
	CU_ASSERT_EQUAL(get(r.file, 3), 1);
	CU_ASSERT_EQUAL(get(r.file, 5), 0);
	CU_ASSERT_EQUAL(get(r.file, 6), 0);
	CU_ASSERT_EQUAL(get(r.file, 7), 0);
	rig_close(&r);
}

/* A folder that others may use, a link in its place, and one in the place of a file. */
static void test_unsafe(void)
{
	struct http_cache *c;
	struct http_cache_file *f;
	struct http_problem why;
	char command[200], link[80];
	struct rig r;

	rig_open(&r);
	snprintf(link, sizeof(link), "%s.link", r.path);
	CU_ASSERT_EQUAL(symlink(r.path, link), 0);
	CU_ASSERT_EQUAL(http_cache_open(link, &c, &why), -ENOTDIR);
	unlink(link);
	chmod(r.path, 0770);
	CU_ASSERT_EQUAL(http_cache_open(r.path, &c, &why), -EPERM);
	chmod(r.path, 0700);
	snprintf(command, sizeof(command),
		 "cd %s && for f in *; do mv $f x && ln -s x $f && ls >/dev/null; done", r.path);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL(http_cache_file_open(r.cache, URL, "pages-1.img", &version, &f), -ELOOP);
	snprintf(command, sizeof(command),
		 "cd %s && for f in [!x]*; do rm $f && truncate -s 4096 $f; done", r.path);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL(http_cache_file_open(r.cache, URL, "pages-1.img", &version, &f), -EBADF);
	rig_close(&r);
}

static const struct suite_test tests[] = {
	{ "a page is there when it is marked", test_marks },
	{ "not whole pages, or outside", test_outside },
	{ "shared by address, name and version", test_shared },
	{ "killed while they fill it", test_killed },
	{ "a full disk", test_full },
	{ "a folder that is not safe", test_unsafe },
};
SUITE_MAIN("http-cache", tests)
