/* SPDX-License-Identifier: MIT */
/* Maps: recorded text, our own process, and text that is broken. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "suite.h"
#include "trace/record.h"
#include "watch/maps.h"

static struct maps maps;

static size_t slurp(const char *path, char *buf, size_t cap)
{
	FILE *f = fopen(path, "re");
	size_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(buf, 1, cap, f);
	fclose(f);
	return n;
}

static bool named(size_t i, const char *name)
{
	return maps.v[i].name_len == strlen(name) && !memcmp(maps.v[i].name, name, strlen(name));
}

static void test_recorded(void)
{
	char buf[8192];
	size_t n = slurp("tests/data/maps/hostile.txt", buf, sizeof(buf));

	CU_ASSERT_EQUAL_FATAL(maps_parse(buf, n, &maps), 0);
	CU_ASSERT_EQUAL_FATAL(maps.n, 20);
	CU_ASSERT_EQUAL(maps.v[1].lo, 0x651000);
	CU_ASSERT_EQUAL(maps.v[1].hi, 0x652000);
	CU_ASSERT_EQUAL(maps.v[1].off, 0x51000);
	CU_ASSERT_EQUAL(maps.v[1].ino, 173521);
	CU_ASSERT_EQUAL(maps.v[1].dev_major, 8);
	CU_ASSERT_EQUAL(maps.v[1].dev_minor, 2);
	CU_ASSERT_EQUAL(maps.v[1].prot, RECORD_PROT_READ);
	CU_ASSERT(named(2, "[heap]"));
	CU_ASSERT_EQUAL(maps.v[3].name_len, 0);
	CU_ASSERT_EQUAL(maps.v[4].prot, 0);
	CU_ASSERT(named(5, "/memfd:a b\\012c (deleted)"));
	CU_ASSERT_EQUAL(maps.v[5].prot,
			RECORD_PROT_READ | RECORD_PROT_WRITE | RECORD_PROT_SHARED);
	CU_ASSERT_EQUAL(maps.v[19].lo, 0xffffffffff600000);
}

static void test_broken(void)
{
	static const char *const bad[] = {
		"00400000-00452000 r-xp 00000000 08:02 173521 /cut",
		"00452000-00400000 r-xp 00000000 08:02 1 /inverted\n",
		"00400000-00400000 r-xp 00000000 08:02 1 /empty\n",
		"0040000g-00452000 r-xp 00000000 08:02 1 /digit\n",
		"00400000-00452000 r?xp 00000000 08:02 1 /prot\n",
		"00400000-00452000 r-xp 00000000 0802 1 /device\n",
		"00400000-00452000 r-xp 00000000 08:02 x /inode\n",
		"00400000-00452000 r-xp 00000000 08:02 99999999999999999999 /inode\n",
		"10000000000000000-20000000000000000 r-xp 00000000 08:02 1 /wide\n",
		"2000-3000 r-xp 00000000 08:02 1 /b\n1000-2000 r-xp 00000000 08:02 1 /order\n",
		"\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(maps_parse(bad[i], strlen(bad[i]), &maps), -EBADMSG);
	CU_ASSERT_EQUAL(maps_parse("", 0, &maps), 0);
	CU_ASSERT_EQUAL(maps.n, 0);
}

/* No bytes whatever make the parser read beyond them, or accept an inverted range. */
static void test_flipped(void)
{
	char text[8192], buf[8192];
	size_t n = slurp("tests/data/maps/hostile.txt", text, sizeof(text));
	unsigned int seed = 3;

	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)rand_r(&seed) % (n + 1);

		memcpy(buf, text, len);
		for (int k = 0; k < 3 && len; k++)
			buf[(size_t)rand_r(&seed) % len] = (char)rand_r(&seed);
		if (maps_parse(buf, len, &maps) < 0)
			continue;
		for (size_t k = 0; k < maps.n; k++)
			CU_ASSERT_FATAL(maps.v[k].lo < maps.v[k].hi &&
					(!k || maps.v[k - 1].hi <= maps.v[k].lo));
	}
}

static void test_ourselves(void)
{
	int fd = open("/proc/self", O_PATH | O_DIRECTORY);
	char *p = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool seen = false;

	CU_ASSERT_FATAL(fd >= 0 && p != MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(maps_read(fd, &maps), 0);
	for (size_t i = 0; i < maps.n; i++)
		seen = seen || (maps.v[i].lo <= (uint64_t)(uintptr_t)p &&
				maps.v[i].hi >= (uint64_t)(uintptr_t)p + 3 * 4096);
	CU_ASSERT(seen);
	CU_ASSERT(maps.n > 5);
	munmap(p, 3 * 4096);
	close(fd);
}

static bool same_entry(const struct map_entry *a, const struct map_entry *b)
{
	return a->lo == b->lo && a->hi == b->hi && a->off == b->off && a->ino == b->ino &&
	       a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       a->prot == b->prot && a->name_len == b->name_len &&
	       !memcmp(a->name, b->name, a->name_len);
}

/* A child with mappings of every kind, one of a file with a line feed in its name. */
static pid_t start_zoo(void)
{
	pid_t pid;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600), memfd = memfd_create("a\nb", 0);

	CU_ASSERT_FATAL(memfd >= 0);
	pid = fork();
	if (pid)
		return pid;
	if (ftruncate(memfd, 1 << 20) || (fd >= 0 && ftruncate(fd, 1 << 20)))
		_exit(1);
	(void)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)mmap(NULL, 8192, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	(void)mmap(NULL, 8192, PROT_READ, MAP_SHARED, memfd, 4096);
	(void)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, memfd, 0);
	if (fd >= 0)
		(void)mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 8192);
	for (;;)
		pause();
}

/* The kernel's binary answer says what its text says. */
static void test_query(void)
{
	struct maps asked = MAPS_NULL;
	pid_t pid = start_zoo();
	char path[32];
	int dir, fd, r = -ESRCH;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY);
	fd = openat(dir, "maps", O_RDONLY);
	CU_ASSERT_FATAL(fd >= 0);
	usleep(50000);
	r = maps_query(fd, (struct range){ 0, UINT64_C(1) << 63 }, SIZE_MAX, &asked);
	if (r != -ENOTTY) {		/* before Linux 6.11 */
		size_t n = 0;

		CU_ASSERT_EQUAL_FATAL(r, 0);
		CU_ASSERT_EQUAL_FATAL(maps_read(dir, &maps), 0);
		for (size_t i = 0; i < maps.n; i++) {
			if (maps.v[i].lo >> 63)
				continue;
			CU_ASSERT_FATAL(n < asked.n);
			CU_ASSERT(same_entry(&maps.v[i], &asked.v[n++]));
		}
		CU_ASSERT_EQUAL(n, asked.n);
		r = maps_query(fd, (struct range){ maps.v[2].lo + 1, maps.v[4].lo + 1 },
			       SIZE_MAX, &asked);
		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT(asked.n >= 2 && same_entry(&asked.v[0], &maps.v[2]));
		CU_ASSERT(same_entry(&asked.v[asked.n - 1], &maps.v[4]));
		CU_ASSERT_EQUAL(maps_query(fd, (struct range){ 0, UINT64_MAX }, 3, &asked), 0);
		CU_ASSERT_EQUAL(asked.n, 3);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (r != -ENOTTY)
		CU_ASSERT_EQUAL(maps_query(fd, (struct range){ 0, 1 }, 1, &asked), -ESRCH);
	close(fd);
	close(dir);
	maps_done(&asked);
}

/* A directory of /proc pins its process: gone is gone, whoever has the pid now. */
static void test_gone(void)
{
	pid_t pid = fork();
	char path[32];
	int fd;

	if (!pid) {
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(maps_read(fd, &maps), 0);
	kill(pid, SIGKILL);
	/* A zombie has no mappings either. */
	for (int i = 0; i < 1000 && maps_read(fd, &maps) != -ESRCH; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(maps_read(fd, &maps), -ESRCH);
	waitpid(pid, NULL, 0);
	CU_ASSERT_EQUAL(maps_read(fd, &maps), -ESRCH);
	close(fd);
}

static void test_many(void)
{
	const size_t n = 60000;
	char *p = mmap(NULL, n * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self", O_PATH | O_DIRECTORY);
	uint64_t t0;

	CU_ASSERT_FATAL(p != MAP_FAILED);
	for (size_t i = 0; i < n; i += 2)
		if (mprotect(p + i * 4096, 4096, PROT_READ))
			break;
	t0 = clock_now();
	CU_ASSERT_EQUAL(maps_read(fd, &maps), 0);
	printf("%zu mappings read in %.1f ms ", maps.n, (double)(clock_now() - t0) / 1e6);
	CU_ASSERT(maps.n > 59000);
	munmap(p, n * 4096);
	close(fd);
	maps_done(&maps);
	CU_ASSERT_EQUAL(maps.n, 0);
}

static const struct suite_test tests[] = {
	{ "recorded text", test_recorded },
	{ "broken text", test_broken },
	{ "flipped bytes", test_flipped },
	{ "our own", test_ourselves },
	{ "a process that has gone", test_gone },
	{ "in binary as in text", test_query },
	{ "60,000 mappings", test_many },
};

SUITE_MAIN("maps", tests)
