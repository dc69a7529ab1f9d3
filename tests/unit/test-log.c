/* SPDX-License-Identifier: MIT */
/* Log: what may reach a terminal, in which colour, at which verbosity. */

#include "log.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <string.h>

#include "base/clock.h"
#include "suite.h"

#define PROGRESS_PERIOD (NSEC_PER_SEC / 4)

static char caught[8192];

/* Standard error into a file for the time of one call. */
static const char *catch(void (*say)(void))
{
	char name[] = "/tmp/test-log-XXXXXX";
	int fd = mkstemp(name), old = dup(STDERR_FILENO);
	ssize_t n;

	unlink(name);
	dup2(fd, STDERR_FILENO);
	say();
	dup2(old, STDERR_FILENO);
	n = pread(fd, caught, sizeof(caught) - 1, 0);
	caught[n > 0 ? n : 0] = '\0';
	close(fd);
	close(old);
	return caught;
}

static const char *escaped(const char *bytes, size_t len, size_t cap)
{
	static char buf[8192];

	return log_escape(bytes, len, buf, cap);
}

static void test_escape_plain(void)
{
	CU_ASSERT_STRING_EQUAL(escaped("demo", 4, 100), "demo");
	CU_ASSERT_STRING_EQUAL(escaped("gr\xc3\xbc\xc3\x9f", 6, 100), "gr\xc3\xbc\xc3\x9f");
	CU_ASSERT_STRING_EQUAL(escaped("\xf0\x9f\x90\xa7", 4, 100), "\xf0\x9f\x90\xa7");
	CU_ASSERT_STRING_EQUAL(escaped("", 0, 100), "");
}

static void test_escape_commands(void)
{
	CU_ASSERT_STRING_EQUAL(escaped("a\033[31mb", 7, 100), "a\\033[31mb");
	CU_ASSERT_STRING_EQUAL(escaped("a\nb\0c\x7f", 6, 100), "a\\012b\\000c\\177");
	/* C1 by itself and as a character; an 8-bit CSI is one of them */
	CU_ASSERT_STRING_EQUAL(escaped("\x9b""31m", 4, 100), "\\23331m");
	CU_ASSERT_STRING_EQUAL(escaped("\xc2\x9b""31m", 5, 100), "\\302\\23331m");
	CU_ASSERT_STRING_EQUAL(escaped("\xe2\x80\xae""txt", 6, 100), "\\342\\200\\256txt");
	CU_ASSERT_STRING_EQUAL(escaped("\xe2\x81\xa6", 3, 100), "\\342\\201\\246");
	/* Nobody sees it. */
	CU_ASSERT_STRING_EQUAL(escaped("a\xe2\x80\x8b""b\xc2\xad", 7, 100),
			       "a\\342\\200\\213b\\302\\255");
}

static void test_escape_invalid(void)
{
	CU_ASSERT_STRING_EQUAL(escaped("\xff", 1, 100), "\\377");
	CU_ASSERT_STRING_EQUAL(escaped("\xc0\x80", 2, 100), "\\300\\200");
	CU_ASSERT_STRING_EQUAL(escaped("\xed\xa0\x80", 3, 100), "\\355\\240\\200");
	CU_ASSERT_STRING_EQUAL(escaped("\xe2\x82", 2, 100), "\\342\\202");
	CU_ASSERT_STRING_EQUAL(escaped("\xf5\x80\x80\x80", 4, 100), "\\365\\200\\200\\200");
}

/* Whatever the bytes: no control byte, no invalid UTF-8, within cap, idempotent. */
static void test_escape_all_bytes(void)
{
	char in[512], once[4096], twice[4096];

	for (int i = 0; i < 512; i++)
		in[i] = (char)i;
	for (size_t cap = 1; cap < 2100; cap++) {
		const char *s = log_escape(in, sizeof(in), once, cap);

		CU_ASSERT_TRUE(strlen(s) < cap);
		for (; *s; s++)
			CU_ASSERT_TRUE((unsigned char)*s >= 0x20 && (unsigned char)*s < 0x7f);
		CU_ASSERT_STRING_EQUAL(log_escape(once, strlen(once), twice, sizeof(twice)), once);
	}
}

static void test_escape_cut(void)
{
	CU_ASSERT_STRING_EQUAL(escaped("abcdefgh", 8, 9), "abcdefgh");
	CU_ASSERT_STRING_EQUAL(escaped("abcdefgh", 8, 8), "abcd...");
	/* never in the middle of a character or of an escape */
	CU_ASSERT_STRING_EQUAL(escaped("ab\xe2\x82\xac""cdef", 9, 9), "ab\xe2\x82\xac...");
	CU_ASSERT_STRING_EQUAL(escaped("ab\n\n\n", 5, 12), "ab\\012...");
	CU_ASSERT_STRING_EQUAL(escaped("abc", 3, 1), "");
}

static void say_all(void)
{
	log_error("error %d", 1);
	log_hint("hint");
	log_plain("plain");
	log_result("result");
	log_info("info");
	log_verbose("verbose");
	log_warn("warn");
	log_progress("progress");
}

static void test_verbosity(void)
{
	log_setup(0, LOG_COLOR_NEVER);
	CU_ASSERT_STRING_EQUAL(catch(say_all), "pagetap: error 1\nhint: hint\nplain\nresult\n"
					       "pagetap: info\npagetap: warn\n");
	log_setup(-1, LOG_COLOR_NEVER);
	CU_ASSERT_STRING_EQUAL(catch(say_all),
			       "pagetap: error 1\nhint: hint\nplain\npagetap: warn\n");
	log_setup(1, LOG_COLOR_NEVER);
	CU_ASSERT_PTR_NOT_NULL(strstr(catch(say_all), "pagetap: verbose\n"));
}

static void say_hostile(void)
{
	log_error("cannot attach to 1 (%s)", "x\033]0;title\007\ny");
}

static void test_message_is_escaped(void)
{
	log_setup(0, LOG_COLOR_NEVER);
	CU_ASSERT_STRING_EQUAL(catch(say_hostile),
			       "pagetap: cannot attach to 1 (x\\033]0;title\\007\\012y)\n");
}

static void say_long(void)
{
	char big[6000];

	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_error("%s", big);
}

static void test_long_message(void)
{
	const char *s;

	log_setup(0, LOG_COLOR_NEVER);
	s = catch(say_long);
	CU_ASSERT_PTR_EQUAL(strchr(s, '\n'), s + strlen(s) - 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s, "...\n"));
}

static void test_color(void)
{
	int fds[2];

	log_setup(0, LOG_COLOR_ALWAYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(catch(say_all), "\033[1;31mpagetap: \033[merror 1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(caught, "\033[31mpagetap: warn\033[m\n"));
	log_setup(0, LOG_COLOR_AUTO);
	CU_ASSERT_PTR_NULL(strchr(catch(say_all), '\033'));
	CU_ASSERT_EQUAL_FATAL(openpty(&fds[0], &fds[1], NULL, NULL, NULL), 0);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	CU_ASSERT_TRUE(log_color_on(fds[1]));
	setenv("NO_COLOR", "", 1);
	CU_ASSERT_TRUE(log_color_on(fds[1]));
	setenv("NO_COLOR", "1", 1);
	CU_ASSERT_FALSE(log_color_on(fds[1]));
	log_setup(0, LOG_COLOR_ALWAYS);
	CU_ASSERT_TRUE(log_color_on(fds[1]));
	log_setup(0, LOG_COLOR_AUTO);
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	CU_ASSERT_FALSE(log_color_on(fds[1]));
	log_setup(0, LOG_COLOR_NEVER);
	setenv("TERM", "xterm", 1);
	CU_ASSERT_FALSE(log_color_on(fds[1]));
	close(fds[0]);
	close(fds[1]);
}

/* The other side of the terminal gets it in pieces, and later (flush_to_ldisc()). */
static void read_line(int master, char *buf, size_t cap)
{
	struct pollfd p = { .fd = master, .events = POLLIN };
	size_t len = 0;
	ssize_t n;

	buf[0] = '\0';
	while (!strchr(buf, '\n') && len < cap - 1 && poll(&p, 1, 10000) == 1) {
		n = read(master, buf + len, cap - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		buf[len] = '\0';
	}
}

/* The progress line stands on a terminal only and is gone before anything else. */
static void test_progress(void)
{
	int master, slave, old = dup(STDERR_FILENO);
	uint64_t begin, took;
	char buf[256];

	CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
	setenv("TERM", "xterm", 1);
	log_setup(0, LOG_COLOR_NEVER);
	dup2(slave, STDERR_FILENO);
	usleep(260000);
	begin = clock_now();
	log_progress("one");
	log_progress("too soon");
	took = clock_now() - begin;
	log_info("done");
	dup2(old, STDERR_FILENO);
	read_line(master, buf, sizeof(buf));
	/* It was not too soon if we did not come to run in between. */
	if (took < PROGRESS_PERIOD || !strstr(buf, "too soon"))
		CU_ASSERT_STRING_EQUAL(buf, "\r\033[Kone\r\033[Kpagetap: done\r\n");
	close(master);
	close(slave);
	close(old);
}

static const struct suite_test tests[] = {
	{ "text stays as it is", test_escape_plain },
	{ "what a terminal obeys is escaped", test_escape_commands },
	{ "what is not UTF-8 is escaped", test_escape_invalid },
	{ "all bytes, all sizes", test_escape_all_bytes },
	{ "cut between characters", test_escape_cut },
	{ "-q and -v", test_verbosity },
	{ "messages are escaped", test_message_is_escaped },
	{ "a message too long", test_long_message },
	{ "colour rules", test_color },
	{ "progress line", test_progress },
};

SUITE_MAIN("log", tests)
