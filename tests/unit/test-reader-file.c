/* SPDX-License-Identifier: MIT */
/* Reader, files: lines of plain and compressed files, long ones, cut ones. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <zstd.h>

#include "suite.h"
#include "trace-samples.h"
#include "trace/reader-file.h"
#include "trace/reader.h"

/* Files. */

static char path[] = "/tmp/pagetap-reader.XXXXXX";

static void put_file(const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	CU_ASSERT_EQUAL_FATAL(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

/* Lines in the file, -1 - their number when a negative result ended them. */
static long walk(int *ret, bool *ret_cut, uint64_t *ret_offset)
{
	struct reader_file *f = NULL;
	const char *l;
	size_t len, total = 0;
	long n = 0;

	*ret = reader_file_open(&f, path);
	if (*ret < 0)
		return -1;
	while ((*ret = reader_file_next(f, &l, &len)) == 1) {
		total += len + 1;
		n++;
		CU_ASSERT_EQUAL(reader_file_line(f), (uint64_t)n);
		CU_ASSERT_PTR_NULL(memchr(l, '\n', len));
	}
	*ret_cut = reader_file_cut(f, ret_offset);
	if (!*ret)
		CU_ASSERT_EQUAL(*ret_offset, total);
	reader_file_close(f);
	return n;
}

static void test_lines(void)
{
	static const struct {
		const char *bytes;
		long lines;
		bool cut;
		uint64_t offset;
	} cases[] = {
		{ "", 0, false, 0 }, { "\n", 1, false, 1 }, { "a\n", 1, false, 2 },
		{ "a\nbc\n", 2, false, 5 }, { "a\nb", 1, true, 2 }, { "ab", 0, true, 0 },
		{ "\n\n\n", 3, false, 3 },
	};
	uint64_t offset;
	bool cut;
	int r;

	close(mkstemp(path));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_file(cases[i].bytes, strlen(cases[i].bytes));
		CU_ASSERT_EQUAL(walk(&r, &cut, &offset), cases[i].lines);
		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT_EQUAL(cut, cases[i].cut);
		CU_ASSERT_EQUAL(offset, cases[i].offset);
	}
}

static void test_long_lines(void)
{
	static char big[3 * READER_LINE_MAX];
	struct reader_file *f;
	const char *l;
	size_t len;

	memset(big, 'x', sizeof(big));
	big[READER_LINE_MAX - 1] = '\n';
	big[2 * READER_LINE_MAX] = '\n';
	big[2 * READER_LINE_MAX + 2] = '\n';
	put_file(big, 2 * READER_LINE_MAX + 3);
	CU_ASSERT_EQUAL_FATAL(reader_file_open(&f, path), 0);
	CU_ASSERT_EQUAL(reader_file_next(f, &l, &len), 1);
	CU_ASSERT_EQUAL(len, READER_LINE_MAX - 1);
	CU_ASSERT_EQUAL(reader_file_next(f, &l, &len), -EMSGSIZE);
	CU_ASSERT_EQUAL(reader_file_line(f), 2);
	CU_ASSERT_EQUAL(reader_file_next(f, &l, &len), 1);
	CU_ASSERT_EQUAL(len, 1);
	CU_ASSERT_EQUAL(reader_file_next(f, &l, &len), 0);
	reader_file_close(f);
	CU_ASSERT_EQUAL(reader_file_open(&f, "/"), -EISDIR);
	CU_ASSERT_EQUAL(reader_file_open(&f, "/nonexistent"), -ENOENT);
}

static void test_compressed(void)
{
	static char plain[800000], packed[1000000];
	size_t n = 0, first, second;
	uint64_t offset;
	bool cut;
	int r;

	/* Much more than a block, so that what is held back shows. */
	for (unsigned int i = 0; i < 90000; i++)
		n += (size_t)snprintf(plain + n, 16, "%u\n", i % 1000);
	first = ZSTD_compress(packed, sizeof(packed), plain, n, 1);
	CU_ASSERT_FATAL(!ZSTD_isError(first));
	second = ZSTD_compress(packed + first, sizeof(packed) - first, "tail\n", 5, 1);
	put_file(packed, first + second);
	CU_ASSERT_EQUAL(walk(&r, &cut, &offset), 90001);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT(!cut);
	CU_ASSERT_EQUAL(offset, n + 5);
	put_file(packed, first + second - 3);
	CU_ASSERT(walk(&r, &cut, &offset) >= 90000);
	CU_ASSERT(cut);
	put_file(packed, first / 2);
	CU_ASSERT(walk(&r, &cut, &offset) < 90000);
	CU_ASSERT(cut);
	memset(packed + 8, 0xff, 40);
	put_file(packed, first + second);
	walk(&r, &cut, &offset);
	CU_ASSERT_EQUAL(r, -EILSEQ);
	CU_ASSERT_EQUAL(unlink(path), 0);
}

static const struct suite_test tests[] = {
	{ "lines of a file", test_lines },
	{ "long lines", test_long_lines },
	{ "compressed files", test_compressed },
};

SUITE_MAIN("reader-file", tests)
