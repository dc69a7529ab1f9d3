/* SPDX-License-Identifier: MIT */
/*
 * Sink: whole lines or none, on everything that can be full, closed, slow or odd.
 *
 * Runs as root: a full disk is a tiny tmpfs in a mount namespace of its own.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "file-limit.h"
#include "sink-files.h"
#include "starve.h"

#define TMPFS_BYTES 65536

static void test_file(void)
{
	struct sink *s;
	struct stat st;
	size_t len = make_lines(lines, 0, 1000);
	bool cut;

	CU_ASSERT_EQUAL_FATAL(sink_open(&s, at("plain")), 0);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), 0);
	CU_ASSERT_EQUAL(sink_flush(s), 0);
	CU_ASSERT_EQUAL(sink_bytes(s), len);
	CU_ASSERT_EQUAL(sink_lines(s), 1000);
	CU_ASSERT_EQUAL(sink_close(s), 0);
	CU_ASSERT_EQUAL(stat(at("plain"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL((size_t)st.st_size, len);
	CU_ASSERT_EQUAL(count_lines(at("plain"), &cut), 1000);
	CU_ASSERT(!cut);
	CU_ASSERT_EQUAL(sink_close(NULL), 0);
}

static void test_old_is_kept(void)
{
	struct sink *s;

	for (unsigned int i = 1; i <= 3; i++) {
		CU_ASSERT_EQUAL_FATAL(sink_open(&s, at("again")), 0);
		CU_ASSERT_EQUAL(sink_write(s, lines, make_lines(lines, 0, i)), 0);
		CU_ASSERT_EQUAL(sink_close(s), 0);
	}
	CU_ASSERT_EQUAL(file_size(at("again")), (off_t)make_lines(lines, 0, 3));
	CU_ASSERT_EQUAL(file_size(at("again.old")), (off_t)make_lines(lines, 0, 2));
}

static void test_refusals(void)
{
	struct sink *s = NULL;
	int fd;

	CU_ASSERT_EQUAL(mkdir(at("folder"), 0700), 0);
	CU_ASSERT_EQUAL(symlink("aim", at("link")), 0);
	CU_ASSERT_EQUAL(sink_open(&s, at("folder")), -EINVAL);
	CU_ASSERT_EQUAL(sink_open(&s, at("link")), -EINVAL);
	CU_ASSERT_EQUAL(access(at("aim"), F_OK), -1);
	CU_ASSERT_EQUAL(sink_open(&s, at("none/file")), -ENOENT);
	CU_ASSERT_EQUAL(sink_open(&s, ""), -ENOENT);
	CU_ASSERT_EQUAL(sink_open(&s, "/dev/fd/900"), -EBADF);
	CU_ASSERT_EQUAL(sink_open(&s, "/dev/fd/9x"), -ENOENT);
	/* A link to a file is a link. */
	fd = open(at("aim"), O_CREAT | O_WRONLY, 0600);
	close(fd);
	CU_ASSERT_EQUAL(sink_open(&s, at("link")), -EINVAL);
	CU_ASSERT_EQUAL(file_size(at("aim")), 0);
	CU_ASSERT_PTR_NULL(s);
}

static void test_read_only_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY);
	struct sink *s = NULL;
	char name[32];

	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	CU_ASSERT_EQUAL(sink_open(&s, name), -EBADF);
	close(fd);
}

static void test_full_device(void)
{
	struct sink *s;

	CU_ASSERT_EQUAL_FATAL(sink_open(&s, "/dev/full"), 0);
	CU_ASSERT_EQUAL(sink_write(s, "a\n", 2), -ENOSPC);
	CU_ASSERT_EQUAL(sink_write(s, "a\n", 2), -ENOSPC);
	CU_ASSERT_EQUAL(sink_flush(s), -ENOSPC);
	CU_ASSERT_EQUAL(sink_lines(s), 0);
	CU_ASSERT_EQUAL(sink_close(s), -ENOSPC);
}

/* SIGXFSZ would end the program; the line that does not fit is not there at all. */
static void test_file_limit(void)
{
	size_t len = make_lines(lines, 0, 1000);
	struct sink *s;
	uint64_t kept;
	bool cut;

	CU_ASSERT_EQUAL_FATAL(sink_open(&s, at("limited")), 0);
	limit_file_size(10000);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), -EFBIG);
	limit_file_size(0);
	kept = sink_lines(s);
	CU_ASSERT_EQUAL(sink_bytes(s), (uint64_t)file_size(at("limited")));
	CU_ASSERT_EQUAL(sink_close(s), -EFBIG);
	CU_ASSERT(kept > 100);
	CU_ASSERT_EQUAL(count_lines(at("limited"), &cut), (long)kept);
	CU_ASSERT(!cut);
	CU_ASSERT(file_size(at("limited")) <= 10000);
	CU_ASSERT(file_size(at("limited")) > 10000 - 120);
}

static int open_appending(const char *path, const char *before)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, before, strlen(before)), (ssize_t)strlen(before));
	return fd;
}

/* `>> file`: what was there before stays, whatever is cut. */
static void test_appending(void)
{
	int fd = open_appending(at("log"), "someone's\n");
	size_t len = make_lines(lines, 0, 1000);
	char name[32], first[11] = "";
	struct sink *s;
	uint64_t bytes;

	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	CU_ASSERT_EQUAL_FATAL(sink_open(&s, name), 0);
	limit_file_size(4000);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), -EFBIG);
	limit_file_size(0);
	bytes = sink_bytes(s);
	CU_ASSERT(bytes > 3000 && bytes < 4000 - 10);
	CU_ASSERT_EQUAL(file_size(at("log")), (off_t)(10 + bytes));
	CU_ASSERT_EQUAL(sink_close(s), -EFBIG);
	close(fd);
	fd = open(at("log"), O_RDONLY);
	CU_ASSERT_EQUAL(pread(fd, first, 10, 0), 10);
	CU_ASSERT_STRING_EQUAL(first, "someone's\n");
	CU_ASSERT_EQUAL(pread(fd, first, 1, (off_t)(9 + bytes)), 1);
	CU_ASSERT_EQUAL(first[0], '\n');
	close(fd);
}

/* Somebody else writes to the same file: then nothing is cut off, it could be theirs. */
static void test_shared_file(void)
{
	int fd = open_appending(at("shared"), ""), other;
	size_t len = make_lines(lines, 0, 1000);
	char name[32];
	struct sink *s;

	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	CU_ASSERT_EQUAL_FATAL(sink_open(&s, name), 0);
	other = open_appending(at("shared"), "theirs\n");
	limit_file_size(4000);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), -EFBIG);
	limit_file_size(0);
	CU_ASSERT_EQUAL(file_size(at("shared")), 4000);
	sink_close(s);
	close(fd);
	close(other);
}

static void test_zstd(void)
{
	size_t len = make_lines(lines, 0, 500), len2;
	uint64_t first;
	struct sink *s;
	bool cut;

	CU_ASSERT_EQUAL_FATAL(sink_open(&s, at("t.zst")), 0);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), 0);
	CU_ASSERT_EQUAL(sink_lines(s), 0);
	CU_ASSERT_EQUAL(sink_flush(s), 0);
	CU_ASSERT_EQUAL(sink_lines(s), 500);
	first = sink_bytes(s);
	CU_ASSERT(first > 0 && first < len);
	CU_ASSERT_EQUAL(sink_flush(s), 0);
	CU_ASSERT_EQUAL(sink_bytes(s), first);
	/* Readable while it is being written. */
	CU_ASSERT_EQUAL(count_lines(at("t.zst"), &cut), 500);
	CU_ASSERT(!cut);
	len2 = make_lines(lines, 500, 500);
	CU_ASSERT_EQUAL(sink_write(s, lines, len2), 0);
	CU_ASSERT_EQUAL(sink_close(s), 0);
	CU_ASSERT_EQUAL(count_lines(at("t.zst"), &cut), 1000);
	CU_ASSERT(!cut);
	/* A file cut anywhere in a frame is good up to that frame. */
	for (off_t to = (off_t)first + 1; to < (off_t)first + 40; to++) {
		CU_ASSERT_EQUAL(truncate(at("t.zst"), to + 40 - 1), 0);
		CU_ASSERT(count_lines(at("t.zst"), &cut) >= 500);
		CU_ASSERT(cut);
	}
}

static void test_starving(void)
{
	long hits = 0;

	for (long n = 1;; n++) {
		struct sink *s = NULL;
		int r;

		unlink(at("s.zst"));
		starve_after(n);
		r = sink_open(&s, at("s.zst"));
		if (!starve_hit()) {
			CU_ASSERT_EQUAL(sink_close(s), 0);
			break;
		}
		hits++;
		CU_ASSERT_EQUAL(r, -ENOMEM);
		CU_ASSERT_PTR_NULL(s);
	}
	CU_ASSERT(hits >= 3);
}

/*
 * A child in a mount namespace of its own that holds a tiny tmpfs, and a terminal
 * under a name that asks for compression.  Seen from outside through its root in /proc.
 */
static pid_t hold_tmpfs(const char *tty, char *ret_path, size_t cap)
{
	int ready[2];
	char c = '?';
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		bool ok;
		int fd;

		alarm(60);
		ok = !unshare(CLONE_NEWNS) &&
		     !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
		     !mount("tmpfs", dir, "tmpfs", 0, "size=64k");
		fd = open(at("tty.zst"), O_CREAT | O_WRONLY, 0600);
		ok = ok && fd >= 0 && !mount(tty, at("tty.zst"), NULL, MS_BIND, NULL);
		if (write(ready[1], ok ? "y" : "n", 1) == 1)
			pause();
		_exit(0);
	}
	CU_ASSERT_EQUAL_FATAL(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	CU_ASSERT_EQUAL_FATAL(c, 'y');
	snprintf(ret_path, cap, "/proc/%d/root%s", pid, dir);
	return pid;
}

static void check_full_plain(const char *where)
{
	const char *path = in(where, "t.ndjson");
	size_t len = make_lines(lines, 0, 3000);
	struct sink *s;
	uint64_t kept;
	bool cut;

	CU_ASSERT_EQUAL_FATAL(sink_open(&s, path), 0);
	CU_ASSERT(len > TMPFS_BYTES);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), -ENOSPC);
	kept = sink_lines(s);
	CU_ASSERT_EQUAL((off_t)sink_bytes(s), file_size(path));
	CU_ASSERT_EQUAL(sink_close(s), -ENOSPC);
	CU_ASSERT(kept > 500);
	CU_ASSERT_EQUAL(count_lines(path, &cut), (long)kept);
	CU_ASSERT(!cut);
	unlink(path);
}

static void check_full_zstd(const char *where, bool amend)
{
	const char *path = in(where, "t.ndjson.zst");
	struct sink *s;
	unsigned int n = 0;
	uint64_t kept;
	size_t len;
	int r = 0;
	bool cut;

	CU_ASSERT_EQUAL_FATAL(sink_open(&s, path), 0);
	for (; !r && n < 3000000; n += 1000) {
		r = sink_write(s, lines, make_lines(lines, n, 1000));
		if (!r && n % 8000 == 0)
			r = sink_flush(s);
	}
	CU_ASSERT_EQUAL(r, -ENOSPC);
	kept = sink_lines(s);
	CU_ASSERT(kept >= 1000);
	CU_ASSERT_EQUAL((off_t)sink_room(s), file_size(path));
	/* There is room for a small frame behind the last whole one, without a free block. */
	CU_ASSERT(sink_room(s) > sink_bytes(s) + 1000);
	if (amend) {
		len = make_lines(lines, (unsigned int)kept, 2);
		CU_ASSERT_EQUAL(sink_amend(s, sink_bytes(s), kept, lines, len), 0);
	}
	CU_ASSERT_EQUAL(sink_lines(s), kept + 2 * amend);
	CU_ASSERT_EQUAL(sink_close(s), -ENOSPC);
	CU_ASSERT_EQUAL(count_lines(path, &cut), (long)(kept + 2 * amend));
	CU_ASSERT(!cut);
	unlink(path);
}

/* In place of lines that were written; a shared file and a pipe are left alone. */
static void test_amend(void)
{
	size_t keep = make_lines(lines, 0, 200), len = make_lines(lines, 0, 500);
	char text[32];
	struct sink *s;
	bool cut;
	int fd;

	CU_ASSERT_EQUAL_FATAL(sink_open(&s, at("amended")), 0);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), 0);
	CU_ASSERT_EQUAL(sink_amend(s, len + 1, 501, "x\n", 2), -EINVAL);
	CU_ASSERT_EQUAL(sink_amend(s, keep, 200, "200\n", 4), 0);
	CU_ASSERT_EQUAL(sink_lines(s), 201);
	CU_ASSERT_EQUAL(sink_bytes(s), keep + 4);
	fd = open(at("amended"), O_RDWR | O_CLOEXEC);
	CU_ASSERT_EQUAL(pread(fd, text, 4, (off_t)keep), 4);
	CU_ASSERT(!memcmp(text, "200\n", 4));
	/* Somebody else writes there: hands off. */
	CU_ASSERT_EQUAL(pwrite(fd, "a\n", 2, (off_t)keep + 4), 2);
	CU_ASSERT_EQUAL(sink_amend(s, keep, 200, "x\n", 2), -EINVAL);
	CU_ASSERT(!sink_gone(s));
	unlink(at("amended"));
	CU_ASSERT(sink_gone(s));
	CU_ASSERT_EQUAL(sink_close(s), 0);
	/* An O_APPEND descriptor: pwrite(2) ignores its offset there. */
	close(fd);
	fd = open(at("amended"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	snprintf(text, sizeof(text), "/dev/fd/%d", fd);
	CU_ASSERT_EQUAL_FATAL(sink_open(&s, text), 0);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), 0);
	CU_ASSERT_EQUAL(sink_amend(s, keep, 200, "200\n", 4), 0);
	CU_ASSERT_EQUAL(sink_close(s), 0);
	CU_ASSERT_EQUAL(file_size(at("amended")), (off_t)keep + 4);
	CU_ASSERT_EQUAL(count_lines(at("amended"), &cut), 201);
	close(fd);
	unlink(at("amended"));
}

static void test_full_disk(void)
{
	int tty = posix_openpt(O_RDWR | O_NOCTTY);
	struct sink *s = NULL;
	char where[128];
	pid_t pid;

	CU_ASSERT_FATAL(tty >= 0 && !grantpt(tty) && !unlockpt(tty));
	pid = hold_tmpfs(ptsname(tty), where, sizeof(where));
	check_full_plain(where);
	check_full_zstd(where, false);
	check_full_zstd(where, true);
	CU_ASSERT_EQUAL(sink_open(&s, in(where, "tty.zst")), -ENOTTY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(tty);
}

static const struct suite_test tests[] = {
	{ "a place for files", test_make_dir },
	{ "file", test_file },
	{ "the old one is kept", test_old_is_kept },
	{ "link, folder, nowhere", test_refusals },
	{ "a descriptor to read from", test_read_only_descriptor },
	{ "/dev/full", test_full_device },
	{ "RLIMIT_FSIZE", test_file_limit },
	{ "appending", test_appending },
	{ "a file that others write to", test_shared_file },
	{ "zstd frames", test_zstd },
	{ "no memory", test_starving },
	{ "amended", test_amend },
	{ "full disk, terminal", test_full_disk },
	{ "nothing is left over", test_remove_all },
};

SUITE_MAIN("sink", tests)
