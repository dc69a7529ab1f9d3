/* SPDX-License-Identifier: MIT */
/* Writer: how it ends - an output that fails, a reader that stands still. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "file-limit.h"
#include "suite.h"
#include "writer-rig.h"

/* The output fails: everybody learns of it, and the queue goes on being emptied. */
static void test_failing_output(void)
{
	struct pollfd p = { .events = POLLIN };
	struct writer_result res;
	struct stat st;
	struct seen s;
	struct rig g;

	CU_ASSERT_EQUAL(start(&g, "/dev/full", 64), -ENOSPC);
	CU_ASSERT_EQUAL_FATAL(start(&g, path, 1024), 0);
	limit_file_size(20000);
	for (uint64_t i = 1; i <= 500; i++)
		push(&g, fault(i));
	p.fd = writer_fd(g.writer);
	CU_ASSERT_EQUAL(poll(&p, 1, 20000), 1);
	for (uint64_t i = 1; i <= 20000; i++) {
		push(&g, fault(i));
		if (i % 500 == 0)
			usleep(1000);
	}
	res = finish(&g, false);
	limit_file_size(0);
	CU_ASSERT_EQUAL(res.error, -EFBIG);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL((uint64_t)st.st_size, res.bytes);
	s = look(path);
	CU_ASSERT(s.header && !s.bad);
	CU_ASSERT_EQUAL(s.faults, res.records);
	CU_ASSERT(res.records > 50);
}

/* A frame ends each second; however slow the machine, one has before the disk is full. */
static void await_frame(const char *at)
{
	struct stat st;

	usleep(1300000);
	for (int i = 0; i < 500 && (stat(at, &st) < 0 || !st.st_size); i++)
		usleep(20000);
}

/* The last lines give way to what tells of them, and of all that came after. */
static void fail_and_tell(const char *at, rlim_t limit, enum detach_reason why)
{
	struct writer_result res;
	struct stat st;
	struct seen s;
	struct rig g;

	CU_ASSERT_EQUAL_FATAL(start(&g, at, 8192), 0);
	limit_file_size(limit);
	for (uint64_t i = 1; i <= 40000; i++) {
		struct record r = fault(i);

		/* Numbers that do not compress to nothing. */
		r.addr = i * UINT64_C(0x9e3779b97f4a7c15) >> 17 << 12;
		push(&g, r);
		if (i == 4000 && at == path_zst)
			await_frame(at);
		/* The disk shall be full, not the ring, however slowly this is run. */
		while (!queue_roomy(g.queue))
			usleep(1000);
	}
	push(&g, (struct record){ .kind = RECORD_STATS, .ts = 40001,
				  .stats = { .final = true, .faults = 40000 } });
	push(&g, (struct record){ .kind = RECORD_DETACH, .ts = 40002,
				  .detach.reason = (uint8_t)why });
	res = finish(&g, false);
	limit_file_size(0);
	CU_ASSERT_EQUAL(res.error, -EFBIG);
	CU_ASSERT_EQUAL(stat(at, &st), 0);
	CU_ASSERT_EQUAL((uint64_t)st.st_size, res.bytes);
	CU_ASSERT((uint64_t)st.st_size <= limit);
	s = look(at);
	CU_ASSERT(s.header && !s.bad);
	CU_ASSERT_EQUAL(s.last_kind, RECORD_DETACH);
	CU_ASSERT(s.faults > 50);
	CU_ASSERT(s.lost_output > 100);
	CU_ASSERT_EQUAL(s.faults + s.lost_faults, 40000);
	CU_ASSERT_EQUAL(s.stats.lost, s.lost);
	CU_ASSERT_EQUAL(s.detach_reason, why == DETACH_ERROR ? DETACH_NOSPACE : why);
}

static void test_last_words(void)
{
	fail_and_tell(path, 20000, DETACH_ERROR);
	fail_and_tell(path, 300001, DETACH_ERROR);
	fail_and_tell(path, 400003, DETACH_SIGINT);
	fail_and_tell(path_zst, 300000, DETACH_ERROR);
}

/* A size not to be exceeded, whatever still comes. */
static void test_limit(void)
{
	struct pollfd p = { .events = POLLIN };
	struct writer_result res;
	struct seen s;
	struct rig g;

	for (uint64_t limit = WRITER_LIMIT_MIN; limit < 1 << 20; limit = limit * 3 + 17) {
		CU_ASSERT_EQUAL_FATAL(start(&g, path, 8192), 0);
		writer_limit(g.writer, limit);
		p.fd = writer_full_fd(g.writer);
		CU_ASSERT_EQUAL(poll(&p, 1, 0), 0);
		for (uint64_t i = 1; i <= 6000; i++)
			push(&g, fault(i));
		CU_ASSERT_EQUAL(poll(&p, 1, 5000), 1);
		push(&g, (struct record){ .kind = RECORD_STATS, .ts = 6001,
					  .stats = { .final = true, .faults = 6000 } });
		push(&g, (struct record){ .kind = RECORD_DETACH, .ts = 6002,
					  .detach.reason = DETACH_LIMIT });
		res = finish(&g, false);
		CU_ASSERT_EQUAL(res.error, 0);
		CU_ASSERT(res.bytes <= limit && res.bytes + 8192 > limit);
		s = look(path);
		CU_ASSERT(s.header && !s.bad);
		CU_ASSERT_EQUAL(s.last_kind, RECORD_DETACH);
		CU_ASSERT_EQUAL(s.detach_reason, DETACH_LIMIT);
		CU_ASSERT_EQUAL(s.faults + s.lost_faults, 6000);
		CU_ASSERT_EQUAL(s.stats.lost, s.lost);
	}
}

/* Second Ctrl-C while a reader does not read: gone in a second, though not in order. */
static void test_drop_stuck(void)
{
	struct writer_result res;
	uint64_t before;
	struct rig g;
	char name[32];
	int p[2];

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", p[1]);
	CU_ASSERT_EQUAL_FATAL(start(&g, name, 4096), 0);
	for (uint64_t i = 1; i <= 3000; i++)
		push(&g, fault(i));
	usleep(200000);
	before = clock_now();
	res = finish(&g, true);
	CU_ASSERT(clock_now() - before < 10 * NSEC_PER_SEC);
	CU_ASSERT_EQUAL(res.error, -ETIMEDOUT);
	close(p[0]);
	close(p[1]);
}

struct copy {
	int from;
	const char *to;
};

/* Wakes up late, then reads everything. */
static void *late_reader(void *arg)
{
	struct copy *c = arg;
	int fd = open(c->to, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	char buf[65536];
	ssize_t n;

	usleep(150000);
	while ((n = read(c->from, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			break;
	close(fd);
	return NULL;
}

/* What is thrown away is told, and how it ended is there all the same. */
static void test_drop_is_told(void)
{
	uint64_t pushed = 0;
	struct copy c = { .to = path };
	pthread_t thread;
	struct seen s;
	struct rig g;
	char name[32];
	int p[2];

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", p[1]);
	CU_ASSERT_EQUAL_FATAL(start(&g, name, 8192), 0);
	close(p[1]);
	c.from = p[0];
	/* More than a batch, so that the thread sits in a write with a full queue behind. */
	for (uint64_t i = 1; i <= 6000; i++)
		pushed += push(&g, fault(i));
	usleep(50000);
	push(&g, (struct record){ .kind = RECORD_STATS, .ts = 6001,
				  .stats = { .final = true, .faults = pushed } });
	push(&g, (struct record){ .kind = RECORD_DETACH, .ts = 6002 });
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, late_reader, &c), 0);
	CU_ASSERT_EQUAL(finish(&g, true).error, 0);
	pthread_join(thread, NULL);
	close(p[0]);
	s = look(path);
	CU_ASSERT(s.header && !s.bad);
	CU_ASSERT(s.lost_output > 0);
	CU_ASSERT_EQUAL(s.faults + s.lost_output, pushed);
	CU_ASSERT_EQUAL(s.lost_faults, s.lost_output);
	CU_ASSERT_EQUAL(s.stats.lost, s.lost_output);
	CU_ASSERT_EQUAL(s.last_kind, RECORD_DETACH);
}

static void test_done_fd(void)
{
	struct pollfd p = { .events = POLLIN };
	struct rig g;

	CU_ASSERT_EQUAL_FATAL(start(&g, path, 64), 0);
	p.fd = writer_done_fd(g.writer);
	push(&g, fault(1));
	CU_ASSERT_EQUAL(poll(&p, 1, 200), 0);
	queue_close(g.queue);
	CU_ASSERT_EQUAL(poll(&p, 1, 20000), 1);
	CU_ASSERT_EQUAL(finish(&g, false).records, 1);
}

static const struct suite_test tests[] = {
	{ "files", test_files },
	{ "the output fails", test_failing_output },
	{ "no larger than it may be", test_limit },
	{ "last words", test_last_words },
	{ "dropping before a stuck reader", test_drop_stuck },
	{ "dropping is told", test_drop_is_told },
	{ "done", test_done_fd },
	{ "nothing is left over", test_remove_files },
};

SUITE_MAIN("writer, its end", tests)
