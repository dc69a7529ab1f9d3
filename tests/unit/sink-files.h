/* SPDX-License-Identifier: MIT */
/* Files for the tests of the sink: a folder, numbered lines, and how many came through. */
#ifndef TESTS_SINK_FILES_H
#define TESTS_SINK_FILES_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"
#include "trace/reader-file.h"
#include "trace/sink.h"

#define UNUSED __attribute__((unused))

static char dir[] = "/tmp/pagetap-sink.XXXXXX";
static char path_buf[6][160];

/* dir/name; good for six more calls. */
UNUSED static const char *in(const char *where, const char *name)
{
	static unsigned int turn;
	char *p = path_buf[turn++ % 6];

	snprintf(p, sizeof(path_buf[0]), "%s/%s", where, name);
	return p;
}

UNUSED static const char *at(const char *name)
{
	return in(dir, name);
}

/* n lines of different lengths, each "NUMBER xxxx\n", from number `first`. */
UNUSED static size_t make_lines(char *buf, unsigned int first, unsigned int n)
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

/* The digits a line begins with; it has no NUL at its end. */
UNUSED static long number_of(const char *line, size_t len)
{
	long v = 0;

	for (size_t i = 0; i < len && line[i] >= '0' && line[i] <= '9'; i++)
		v = v * 10 + (line[i] - '0');
	return v;
}

/* Lines of a file, numbered without a hole from 0; -1: one that is not ours. */
UNUSED static long count_lines(const char *path, bool *ret_cut)
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
		if (number_of(line, len) != n++)
			break;
	*ret_cut = reader_file_cut(f, &offset);
	reader_file_close(f);
	return r ? -1 : n;
}

UNUSED static off_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static char lines[1 << 20];

UNUSED static void test_remove_all(void)
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

UNUSED static void test_make_dir(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

#endif
