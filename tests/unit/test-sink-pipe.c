/* SPDX-License-Identifier: MIT */
/* Sink, pipes: readers that are slow, stuck or gone, and standard output. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "sink-files.h"

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

static const struct suite_test tests[] = {
	{ "a place for files", test_make_dir },
	{ "closed pipe", test_closed_pipe },
	{ "socket", test_socket },
	{ "standard output", test_standard_output },
	{ "slow reader", test_slow_reader },
	{ "stuck reader", test_stuck_reader },
	{ "nothing is left over", test_remove_all },
};

SUITE_MAIN("sink-pipe", tests)
