/* SPDX-License-Identifier: MIT */
/* HTTP cache.  See http-cache.h. */

#include "restore/http-cache.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restore/image.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BITS 64u

struct http_cache {
	int dir;
	char boot[40];
};

struct http_cache_file {
	int fd;
	uint64_t size;			/* of the pages */
	_Atomic uint64_t *marks;	/* shared with all who have it open */
	size_t marks_size;
	_Atomic bool full;
};

static int refuse(struct http_problem *why, int err, const char *words)
{
	snprintf(why->words, sizeof(why->words), "%s", words);
	return err;
}

/* Whoever could write there could put pages into a process. */
static int check_folder(int fd, struct http_problem *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(why, -errno, strerror(errno));
	if (st.st_uid != geteuid())
		return refuse(why, -EPERM, "it is somebody else's");
	if (st.st_mode & 077)
		return refuse(why, -EPERM, "others may use it (its mode should be 0700)");
	return 0;
}

static int read_boot(struct http_cache *c)
{
	_close_ int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, c->boot, sizeof(c->boot) - 1);

	if (n <= 0)
		return -ENOSYS;
	c->boot[strcspn(c->boot, "\n")] = '\0';
	return 0;
}

int http_cache_open(const char *path, struct http_cache **ret, struct http_problem *ret_why)
{
	_free_ struct http_cache *c = calloc(1, sizeof(*c));
	_close_ int fd = -1;
	int r;

	if (!c)
		return refuse(ret_why, -ENOMEM, strerror(ENOMEM));
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return refuse(ret_why, -errno, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return refuse(ret_why, -errno, strerror(errno));
	r = check_folder(fd, ret_why);
	if (r)
		return r;
	if (read_boot(c))
		return refuse(ret_why, -ENOSYS, BOOT_ID " cannot be read");
	c->dir = steal_fd(&fd);
	*ret = steal_ptr(&c);
	return 0;
}

void http_cache_free(struct http_cache *c)
{
	if (!c)
		return;
	close(c->dir);
	free(c);
}

/* ---- a file -------------------------------------------------------------------- */

/* All that makes it another one.  None of these words has a line break in it. */
static int name_of(const struct http_cache *c, const char *url, const char *name,
		   const struct http_version *v, char ret[65])
{
	unsigned char sum[32];
	_free_ char *text = NULL;

	if (asprintf(&text, "%s%s\n%s\n%s\n%" PRIu64 "\n%s\n", url, name, v->etag, v->modified,
		     v->size, c->boot) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), sum))
		return -EIO;
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
	return 0;
}

/* It has its length, and room for its marks, before it has a name. */
static int make_file(const struct http_cache *c, const char *name, uint64_t size, uint64_t marks)
{
	_close_ int fd = openat(c->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char self[40];
	int r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)(size + marks)) < 0)
		return -errno;
	/* A mark that finds no block would be SIGBUS. */
	r = posix_fallocate(fd, (off_t)size, (off_t)marks);
	if (r)
		return -r;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, c->dir, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int open_file(const struct http_cache *c, const char *name, uint64_t size, uint64_t marks)
{
	int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	_close_ int fd = openat(c->dir, name, flags);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT) {
		r = make_file(c, name, size, marks);
		if (r != -EEXIST)
			return r;
		fd = openat(c->dir, name, flags);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1 ||
	    (uint64_t)st.st_size != size + marks)
		return -EBADF;
	return steal_fd(&fd);
}

int http_cache_file_open(struct http_cache *c, const char *url, const char *name,
			 const struct http_version *version, struct http_cache_file **ret)
{
	_free_ struct http_cache_file *f = calloc(1, sizeof(*f));
	uint64_t words = (version->size / IMAGE_PAGE + BITS - 1) / BITS;
	_close_ int fd = -1;
	char own[65];
	void *p;
	int r;

	if (!f || !words || version->size % IMAGE_PAGE)
		return f ? -EINVAL : -ENOMEM;
	f->size = version->size;
	f->marks_size = (size_t)words * sizeof(*f->marks);
	r = name_of(c, url, name, version, own);
	if (r)
		return r;
	fd = open_file(c, own, f->size, f->marks_size);
	if (fd < 0)
		return fd;
	p = mmap(NULL, f->marks_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)f->size);
	if (p == MAP_FAILED)
		return -errno;
	f->marks = p;
	f->fd = steal_fd(&fd);
	*ret = steal_ptr(&f);
	return 0;
}

void http_cache_file_free(struct http_cache_file *f)
{
	if (!f)
		return;
	munmap((void *)(uintptr_t)f->marks, f->marks_size);
	close(f->fd);
	free(f);
}

static bool is_whole(const struct http_cache_file *f, uint64_t from, uint64_t len)
{
	return len && from % IMAGE_PAGE == 0 && len % IMAGE_PAGE == 0 && from < f->size &&
	       len <= f->size - from;
}

static bool are_marked(struct http_cache_file *f, uint64_t from, uint64_t len)
{
	for (uint64_t i = from / IMAGE_PAGE; i < (from + len) / IMAGE_PAGE; i++)
		if (!(atomic_load_explicit(&f->marks[i / BITS], memory_order_acquire) &
		      UINT64_C(1) << i % BITS))
			return false;
	return true;
}

bool http_cache_get(struct http_cache_file *f, uint64_t from, void *to, uint64_t len)
{
	uint64_t done = 0;

	if (!f || !is_whole(f, from, len) || !are_marked(f, from, len))
		return false;
	while (done < len) {
		ssize_t n = pread(f->fd, (char *)to + done, len - done, (off_t)(from + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (uint64_t)n;
	}
	return true;
}

int http_cache_put(struct http_cache_file *f, uint64_t from, const void *bytes, uint64_t len)
{
	uint64_t done = 0;

	if (!f || !is_whole(f, from, len) || atomic_load(&f->full) || are_marked(f, from, len))
		return 0;
	while (done < len) {
		ssize_t n = pwrite(f->fd, (const char *)bytes + done, len - done,
				   (off_t)(from + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return atomic_exchange(&f->full, true) ? 0 : n < 0 ? -errno : -ENOSPC;
		done += (uint64_t)n;
	}
	for (uint64_t i = from / IMAGE_PAGE; i < (from + len) / IMAGE_PAGE; i++)
		atomic_fetch_or_explicit(&f->marks[i / BITS], UINT64_C(1) << i % BITS,
					 memory_order_release);
	return 0;
}
