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
#include "starve.h"
#include "suite.h"
#include "trace/reader-file.h"
#include "trace/sink.h"

#define TMPFS_BYTES 65536

static char dir[] = "/tmp/pagetap-sink.XXXXXX";
static char path_buf[6][160];

/* dir/name; good for six more calls. */
static const char *in(const char *where, const char *name)
{
	static unsigned int turn;
	char *p = path_buf[turn++ % 6];

	snprintf(p, sizeof(path_buf[0]), "%s/%s", where, name);
	return p;
}

static const char *at(const char *name)
{
	return in(dir, name);
}

/* n lines of different lengths, each "NUMBER xxxx\n", from number `first`. */
static size_t make_lines(char *buf, unsigned int first, unsigned int n)
{
	size_t len = 0;

	for (unsigned int i = first; i < first + n; i++) {
		len += (size_t)snprintf(buf + len, 16, "%u ", i);
		memset(buf + len, 'x', i % 97);
		len += i % 97;
		buf[len++] = '\n';
	}
	return len;
}

/* Lines of a file, numbered without a hole from 0; -1: one that is not ours. */
static long count_lines(const char *path, bool *ret_cut)
{
	struct reader_file *f;
	const char *line;
	uint64_t offset;
	size_t len;
	long n = 0;
	int r;

	if (reader_file_open(&f, path) < 0)
		return -1;
	while ((r = reader_file_next(f, &line, &len)) == 1)
		if (strtol(line, NULL, 10) != n++)
			break;
	*ret_cut = reader_file_cut(f, &offset);
	reader_file_close(f);
	return r ? -1 : n;
}

static off_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static char lines[1 << 20];

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

static void limit_file_size(rlim_t bytes)
{
	struct rlimit rl;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &rl), 0);
	rl.rlim_cur = bytes ? bytes : rl.rlim_max;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &rl), 0);
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

static void test_closed_pipe(void)
{
	struct sink *s;
	char name[32];
	int p[2];

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", p[1]);
	CU_ASSERT_EQUAL_FATAL(sink_open(&s, name), 0);
	close(p[0]);
	CU_ASSERT_EQUAL(sink_write(s, "a\n", 2), -EPIPE);
	CU_ASSERT_EQUAL(sink_close(s), -EPIPE);
	close(p[1]);
}

static void test_socket(void)
{
	struct sink *s;
	char name[32], got[8] = "";
	int p[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", p[1]);
	CU_ASSERT_EQUAL_FATAL(sink_open(&s, name), 0);
	CU_ASSERT_EQUAL(sink_write(s, "ab\n", 3), 0);
	CU_ASSERT_EQUAL(read(p[0], got, sizeof(got)), 3);
	CU_ASSERT_STRING_EQUAL(got, "ab\n");
	close(p[0]);
	CU_ASSERT_EQUAL(sink_write(s, "a\n", 2), -EPIPE);
	CU_ASSERT_EQUAL(sink_close(s), -EPIPE);
	close(p[1]);
}

static void test_standard_output(void)
{
	int p[2], saved = dup(STDOUT_FILENO);
	struct sink *s;
	char got[8] = "";

	fflush(stdout);
	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	dup2(p[1], STDOUT_FILENO);
	CU_ASSERT_EQUAL_FATAL(sink_open(&s, "-"), 0);
	CU_ASSERT_EQUAL(sink_write(s, "ab\n", 3), 0);
	CU_ASSERT_EQUAL(sink_close(s), 0);
	/* It is still open for whoever prints next. */
	CU_ASSERT_EQUAL(fcntl(STDOUT_FILENO, F_GETFD), 0);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	CU_ASSERT_EQUAL(read(p[0], got, sizeof(got)), 3);
	CU_ASSERT_STRING_EQUAL(got, "ab\n");
	close(p[0]);
	close(p[1]);
}

/* Another thread: read a FIFO to its end, slowly, and count. */
struct slow {
	const char *path;
	size_t bytes;
};

static void *slow_reader(void *arg)
{
	struct slow *slow = arg;
	int fd = open(slow->path, O_RDONLY);
	char buf[3000];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		slow->bytes += (size_t)n;
		usleep(500);
	}
	close(fd);
	return NULL;
}

static void test_slow_reader(void)
{
	struct slow slow = { .path = at("fifo") };
	size_t len = make_lines(lines, 0, 8000);
	pthread_t thread;
	struct sink *s;

	CU_ASSERT_EQUAL_FATAL(mkfifo(slow.path, 0600), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, slow_reader, &slow), 0);
	CU_ASSERT_EQUAL_FATAL(sink_open(&s, slow.path), 0);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), 0);
	CU_ASSERT_EQUAL(sink_bytes(s), len);
	CU_ASSERT_EQUAL(sink_close(s), 0);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(slow.bytes, len);
}

static void *hurry_soon(void *arg)
{
	usleep(50000);
	sink_hurry(arg, 100);
	return NULL;
}

/* A reader that never reads holds its writer until it is told to hurry. */
static void test_stuck_reader(void)
{
	size_t len = make_lines(lines, 0, 8000);
	uint64_t before;
	pthread_t thread;
	struct sink *s;
	char name[32];
	int p[2];

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", p[1]);
	CU_ASSERT_EQUAL_FATAL(sink_open(&s, name), 0);
	before = clock_now();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, hurry_soon, s), 0);
	CU_ASSERT_EQUAL(sink_write(s, lines, len), -ETIMEDOUT);
	CU_ASSERT(clock_now() - before >= 100 * NSEC_PER_MSEC);
	CU_ASSERT(clock_now() - before < 20 * NSEC_PER_SEC);
	CU_ASSERT(sink_bytes(s) > 0 && sink_bytes(s) < len);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(sink_close(s), -ETIMEDOUT);
	close(p[0]);
	close(p[1]);
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
 * under a name that asks for compression.  Seen from outside as /proc/PID/root/...
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

static void check_full_zstd(const char *where)
{
	const char *path = in(where, "t.ndjson.zst");
	struct sink *s;
	unsigned int n = 0;
	uint64_t kept;
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
	CU_ASSERT_EQUAL((off_t)sink_bytes(s), file_size(path));
	CU_ASSERT_EQUAL(sink_close(s), -ENOSPC);
	CU_ASSERT_EQUAL(count_lines(path, &cut), (long)kept);
	CU_ASSERT(!cut);
	unlink(path);
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
	check_full_zstd(where);
	CU_ASSERT_EQUAL(sink_open(&s, in(where, "tty.zst")), -ENOTTY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(tty);
}

static void test_remove_all(void)
{
	static const char *const names[] = {
		"plain", "again", "again.old", "link", "aim", "limited", "log", "shared",
		"fifo", "t.zst", "s.zst", "s.zst.old",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(at(names[i]));
	rmdir(at("folder"));
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void test_make_dir(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
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
	{ "closed pipe", test_closed_pipe },
	{ "socket", test_socket },
	{ "standard output", test_standard_output },
	{ "slow reader", test_slow_reader },
	{ "stuck reader", test_stuck_reader },
	{ "zstd frames", test_zstd },
	{ "no memory", test_starving },
	{ "full disk, terminal", test_full_disk },
	{ "nothing is left over", test_remove_all },
};

SUITE_MAIN("sink", tests)
