/* SPDX-License-Identifier: MIT */
/* Page server: clients of both layouts, honest and not, spelt out by hand. */

#include "restore/page-server.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "page-server-rig.h"
#include "suite.h"

#define SALT 7

static struct rig rig;

static bool begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	return rig_begin(&rig, SALT) && rig_serve(&rig, 0);
}

static void end(void)
{
	rig_stop(&rig);
	rig_end(&rig);
}

/* Until the server's thread has told of so many that broke; at most five seconds. */
static bool await_broken(unsigned int n)
{
	for (int i = 0; i < 500 && rig.broke < n; i++)
		usleep(10000);
	return rig.broke == n;
}

/* True if the server hangs up without a word. */
static bool hears_end(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) <= 0 && errno != EAGAIN;
}

/* How many pages come for that; 0: none, or wrong ones. */
static uint64_t get(int fd, enum wire_layout layout, uint64_t page, uint64_t n)
{
	const struct wire_head want = {
		.cmd = WIRE_GET, .npages = n, .vaddr = RIG_BASE + page * WIRE_PAGE, .dst = RIG_PID,
	};
	uint8_t *data = malloc(n * WIRE_PAGE);
	struct wire_head h = { 0 };
	bool right = rig_say(fd, layout, &want) && rig_hear(fd, layout, &h) &&
		     h.cmd == WIRE_ADD_F && h.flags == WIRE_PRESENT && h.vaddr == want.vaddr &&
		     h.dst == RIG_PID && h.npages && h.npages <= n &&
		     rig_read(fd, data, h.npages * WIRE_PAGE) &&
		     rig_right(SALT, want.vaddr, data, h.npages);

	free(data);
	return right ? h.npages : 0;
}

static void test_get(void)
{
	static const uint64_t sizes[] = { 1, 2, 15, 16, 17, 64, 500, 999 };

	CU_ASSERT_FATAL(begin());
	for (int layout = WIRE_NARROW; layout <= WIRE_WIDE; layout++) {
		int fd = rig_connect(rig.port);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			CU_ASSERT_EQUAL(get(fd, (enum wire_layout)layout, 1, sizes[i]), sizes[i]);
		/* To the last page, across the zeroes, and no further than the hole. */
		CU_ASSERT_EQUAL(get(fd, (enum wire_layout)layout, RIG_PAGES - 1, 1), 1);
		CU_ASSERT_EQUAL(get(fd, (enum wire_layout)layout, RIG_ZEROES + 3, 2), 2);
		CU_ASSERT_EQUAL(get(fd, (enum wire_layout)layout, RIG_ZEROES - 4, 12), 12);
		CU_ASSERT_EQUAL(get(fd, (enum wire_layout)layout, RIG_ZEROES - 40, 1000), 1000);
		CU_ASSERT_EQUAL(get(fd, (enum wire_layout)layout, RIG_HOLE - 3, 64), 3);
		close(fd);
	}
	end();
	CU_ASSERT_EQUAL(rig.totals.clients, 2);
	CU_ASSERT_EQUAL(rig.broke, 0);
}

static void test_several_at_once(void)
{
	uint8_t data[WIRE_PAGE], buf[64 * WIRE_NARROW_SIZE];
	struct wire_head h = { .cmd = WIRE_GET, .npages = 1, .dst = RIG_PID };
	const size_t cut = 10 * WIRE_NARROW_SIZE + 5;
	int fd;

	CU_ASSERT_FATAL(begin());
	fd = rig_connect(rig.port);
	for (unsigned int i = 0; i < 64; i++) {
		h.vaddr = RIG_BASE + (63 - i) * WIRE_PAGE;
		wire_put(WIRE_NARROW, &h, buf + i * WIRE_NARROW_SIZE);
	}
	/* Cut in the middle of a header, too. */
	CU_ASSERT(rig_write(fd, buf, cut));
	usleep(5000);
	CU_ASSERT(rig_write(fd, buf + cut, sizeof(buf) - cut));
	for (unsigned int i = 0; i < 64; i++) {
		CU_ASSERT_FATAL(rig_hear(fd, WIRE_NARROW, &h));
		CU_ASSERT_EQUAL(h.vaddr, RIG_BASE + (63 - i) * WIRE_PAGE);
		CU_ASSERT_FATAL(rig_read(fd, data, sizeof(data)));
		CU_ASSERT(rig_right(SALT, h.vaddr, data, 1));
	}
	close(fd);
	end();
}

static void test_close(void)
{
	for (int layout = WIRE_NARROW; layout <= WIRE_WIDE; layout++) {
		const struct wire_head h = { .cmd = layout ? WIRE_FORCE_CLOSE : WIRE_CLOSE };
		int32_t status = -1;
		int fd;

		CU_ASSERT_FATAL(begin());
		fd = rig_connect(rig.port);
		CU_ASSERT_EQUAL(get(fd, (enum wire_layout)layout, 5, 1), 1);
		CU_ASSERT(rig_say(fd, (enum wire_layout)layout, &h));
		CU_ASSERT(rig_read(fd, &status, sizeof(status)));
		CU_ASSERT_EQUAL(status, 0);
		/* It is the client that hangs up. */
		shutdown(fd, SHUT_WR);
		CU_ASSERT(hears_end(fd));
		close(fd);
		end();
		CU_ASSERT_EQUAL(rig.totals.pages, 1);
		CU_ASSERT_EQUAL(rig.broke, 0);
	}
}

static void test_small_questions(void)
{
	for (int layout = WIRE_NARROW; layout <= WIRE_WIDE; layout++) {
		struct wire_head h = { .cmd = WIRE_OPEN2, .dst = RIG_PID << 8 | 1 };
		uint8_t byte = 0xff, identity[WIRE_IDENTITY_SIZE];
		int32_t word = -1;
		int fd;

		CU_ASSERT_FATAL(begin());
		fd = rig_connect(rig.port);
		CU_ASSERT(rig_say(fd, (enum wire_layout)layout, &h));
		CU_ASSERT(rig_read(fd, &byte, 1));
		CU_ASSERT_EQUAL(byte, 0);
		h.cmd = WIRE_PARENT;
		CU_ASSERT(rig_say(fd, (enum wire_layout)layout, &h));
		CU_ASSERT(rig_read(fd, &word, sizeof(word)));
		CU_ASSERT_EQUAL(word, 0);
		h = (struct wire_head){ .cmd = WIRE_IDENTITY };
		CU_ASSERT(rig_say(fd, (enum wire_layout)layout, &h));
		CU_ASSERT(rig_hear(fd, (enum wire_layout)layout, &h));
		CU_ASSERT_EQUAL(h.cmd, WIRE_IDENTITY);
		CU_ASSERT(rig_read(fd, identity, sizeof(identity)));
		CU_ASSERT_EQUAL(identity[0], SALT);
		CU_ASSERT_EQUAL(identity[31], SALT);
		CU_ASSERT_EQUAL(get(fd, (enum wire_layout)layout, 9, 3), 3);
		close(fd);
		end();
	}
}

/* What no client may ask for: it is cut off, with words. */
static const struct {
	struct wire_head h;
	const char *words;
} wrong[] = {
	{ { WIRE_GET, 0, 1, RIG_BASE + RIG_HOLE * WIRE_PAGE, RIG_PID }, "does not hold" },
	{ { WIRE_GET, 0, 1, RIG_BASE - WIRE_PAGE, RIG_PID }, "does not hold" },
	{ { WIRE_GET, 0, 1, RIG_BASE + RIG_PAGES * WIRE_PAGE, RIG_PID }, "does not hold" },
	{ { WIRE_GET, 0, 1, RIG_BASE, RIG_PID + 1 }, "does not hold" },
	{ { WIRE_GET, 0, 0, RIG_BASE, RIG_PID }, "asked for 0 pages" },
	{ { WIRE_GET, 0, 1, RIG_BASE + 1, RIG_PID }, "asked for 1 pages at 0x7f0000000001" },
	{ { WIRE_GET, 0, 2, UINT64_MAX - 4095, RIG_PID }, "asked for 2 pages" },
	{ { WIRE_GET, 0, UINT64_C(1) << 52, RIG_BASE, RIG_PID }, "asked for 45035996273704" },
	{ { WIRE_GET, 0, 1, RIG_BASE, UINT64_C(1) << 32 | RIG_PID }, "asked for" },
	{ { WIRE_ADD_F, WIRE_PRESENT, 1, RIG_BASE, RIG_PID << 8 | 1 }, "sends pages" },
	{ { 0x4711, 0, 1, RIG_BASE, RIG_PID }, "sent command 0x4711" },
};

static void test_wrong(void)
{
	CU_ASSERT_FATAL(begin());
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int fd = rig_connect(rig.port);

		/* The layout is known from the first message, a good one. */
		CU_ASSERT_EQUAL(get(fd, WIRE_WIDE, 0, 1), 1);
		CU_ASSERT(rig_say(fd, WIRE_WIDE, &wrong[i].h));
		CU_ASSERT(hears_end(fd));
		close(fd);
		CU_ASSERT(await_broken(i + 1));
		if (!rig_said(&rig, wrong[i].words)) {
			CU_FAIL("words");
			printf("%s\n", rig.words);
		}
	}
	end();
}

static void test_cut_in_a_request(void)
{
	int fd;

	CU_ASSERT_FATAL(begin());
	fd = rig_connect(rig.port);
	CU_ASSERT(rig_write(fd, "\7\0\0\0\1", 5));
	close(fd);
	CU_ASSERT(await_broken(1));
	CU_ASSERT_STRING_EQUAL(rig.words, "hung up in the middle of a request");
	end();
}

/* A file that became shorter: its pages are never made up. */
static void test_short_file(void)
{
	uint8_t data[WIRE_PAGE];
	struct wire_head h = {
		.cmd = WIRE_GET, .npages = 1, .vaddr = RIG_BASE + 3000 * WIRE_PAGE, .dst = RIG_PID,
	};

	CU_ASSERT_FATAL(begin());
	CU_ASSERT_EQUAL(ftruncate(rig.file, 100 * WIRE_PAGE + 7), 0);
	for (unsigned int i = 0; i < 2; i++) {
		int fd = rig_connect(rig.port);

		h.npages = i ? 64 : 1;
		CU_ASSERT(rig_say(fd, WIRE_NARROW, &h));
		if (rig_hear(fd, WIRE_NARROW, &h))
			CU_ASSERT_FALSE(rig_read(fd, data, sizeof(data)));
		close(fd);
		CU_ASSERT(await_broken(i + 1));
		CU_ASSERT_STRING_EQUAL(rig.words, "a pages file is shorter than it was");
	}
	end();
}

/* One that reads nothing holds nobody else, and does not hold the end. */
static void test_stuck_client(void)
{
	struct wire_head h = {
		.cmd = WIRE_GET, .npages = 900, .vaddr = RIG_BASE, .dst = RIG_PID,
	};
	int stuck, fd;

	CU_ASSERT_FATAL(begin());
	stuck = rig_connect(rig.port);
	for (int i = 0; i < 64; i++)
		CU_ASSERT(rig_say(stuck, WIRE_NARROW, &h));
	fd = rig_connect(rig.port);
	CU_ASSERT_EQUAL(get(fd, WIRE_NARROW, 1, 100), 100);
	close(fd);
	end();
	close(stuck);
}

static void test_too_many(void)
{
	int fd[3];

	signal(SIGPIPE, SIG_IGN);
	CU_ASSERT_FATAL(rig_begin(&rig, SALT));
	rig.clients_max = 2;
	CU_ASSERT_FATAL(rig_serve(&rig, 0));
	for (int i = 0; i < 3; i++)
		fd[i] = rig_connect(rig.port);
	CU_ASSERT_EQUAL(get(fd[0], WIRE_NARROW, 1, 1), 1);
	CU_ASSERT_EQUAL(get(fd[1], WIRE_NARROW, 1, 1), 1);
	CU_ASSERT(hears_end(fd[2]));
	CU_ASSERT_EQUAL(rig.refused, 1);
	/* A place becomes free. */
	close(fd[0]);
	fd[0] = -1;
	for (int i = 0; i < 100 && fd[0] < 0; i++) {
		usleep(10000);
		fd[0] = rig_connect(rig.port);
		if (!get(fd[0], WIRE_NARROW, 1, 1)) {
			close(fd[0]);
			fd[0] = -1;
		}
	}
	CU_ASSERT(fd[0] >= 0);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	end();
}

static void *one_of_many(void *arg)
{
	int fd = rig_connect(rig.port);
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	enum wire_layout layout = seed % 2 ? WIRE_WIDE : WIRE_NARROW;
	uintptr_t bad = 0;

	for (int i = 0; i < 200; i++) {
		uint64_t page = (uint64_t)rand_r(&seed) % (RIG_HOLE - 32);
		uint64_t n = 1 + (uint64_t)rand_r(&seed) % 32;

		bad += get(fd, layout, page, n) != n;
	}
	close(fd);
	return (void *)bad;
}

static void test_twenty(void)
{
	pthread_t t[20];
	void *bad;

	CU_ASSERT_FATAL(begin());
	for (uintptr_t i = 0; i < 20; i++)
		pthread_create(&t[i], NULL, one_of_many, (void *)i);
	for (int i = 0; i < 20; i++) {
		pthread_join(t[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
	}
	end();
	CU_ASSERT_EQUAL(rig.totals.clients, 20);
	CU_ASSERT_EQUAL(rig.totals.requests, 4000);
	CU_ASSERT_EQUAL(rig.broke, 0);
}

/* Without descriptors for a new connection it waits, and does not spin or end. */
static void test_no_descriptor(void)
{
	struct rlimit old, none;
	int fd, top;

	CU_ASSERT_FATAL(begin());
	fd = socket(AF_INET, SOCK_STREAM, 0);
	top = dup(fd);
	getrlimit(RLIMIT_NOFILE, &old);
	none = old;
	none.rlim_cur = (rlim_t)top;
	close(top);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
	{
		struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(rig.port) };

		sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	}
	usleep(100000);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
	CU_ASSERT_EQUAL(get(fd, WIRE_NARROW, 1, 1), 1);
	close(fd);
	end();
}

static const struct suite_test tests[] = {
	{ "pages, in both layouts", test_get },
	{ "many requests at once", test_several_at_once },
	{ "the end of a client", test_close },
	{ "the small questions", test_small_questions },
	{ "what may not be asked for", test_wrong },
	{ "cut off in a request", test_cut_in_a_request },
	{ "a pages file that became shorter", test_short_file },
	{ "a client that reads nothing", test_stuck_client },
	{ "too many clients", test_too_many },
	{ "twenty clients", test_twenty },
	{ "no free descriptor", test_no_descriptor },
};

SUITE_MAIN("page-server", tests)
