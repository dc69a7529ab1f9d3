/* SPDX-License-Identifier: MIT */
/* Filesystem: the text of mountinfo, our own mounts, and memory that is mounted nowhere. */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "suite.h"
#include "watch/filesystem.h"
#include "watch/watchable.h"

static const char text[] =
	"22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n"
	"23 22 0:21 / /dev rw,nosuid shared:8 - devtmpfs udev rw,size=8k,mode=755\n"
	"24 23 0:22 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw\n"
	"25 22 0:35 / / rw,relatime - overlay overlay rw,lowerdir=/a\\040-\\040tmpfs:/b\n"
	"26 22 0:36 /@home /home/-\\040- rw shared:3 master:2 - btrfs /dev/sda1 rw,subvol=/@home\n"
	"27 23 0:37 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M\n"
	"28 23 0:38 / /mnt/huge rw - hugetlbfs none rw,pagesize=1024M,size=4G\n"
	"29 23 0:39 / /mnt/small rw - hugetlbfs none rw,pagesize=64K\n"
	"30 23 0:40 / /mnt/bare rw - hugetlbfs none rw\n"
	"31 22 0:41 / /t rw - tmpfs.x none rw\n";

static const struct row {
	uint32_t minor;
	enum vma_kind kind;
	uint64_t block;
} rows[] = {
	{ 21, VMA_KIND_SHMEM, 0 },
	{ 22, VMA_KIND_SHMEM, 0 },
	{ 35, VMA_KIND_FILE, 0 },
	{ 36, VMA_KIND_FILE, 0 },
	{ 37, VMA_KIND_HUGETLB, UINT64_C(2) << 20 },
	{ 38, VMA_KIND_HUGETLB, UINT64_C(1) << 30 },
	{ 39, VMA_KIND_HUGETLB, 65536 },
	{ 40, VMA_KIND_HUGETLB, 0 },
	{ 41, VMA_KIND_FILE, 0 },
};

static void test_text(void)
{
	struct filesystem fs;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(filesystem_find(text, sizeof(text) - 1, 0, rows[i].minor,
						      &fs), 0);
		CU_ASSERT_EQUAL(filesystem_kind(&fs), rows[i].kind);
		CU_ASSERT_EQUAL(fs.block, rows[i].block);
	}
	CU_ASSERT_EQUAL_FATAL(filesystem_find(text, sizeof(text) - 1, 259, 2, &fs), 0);
	CU_ASSERT_EQUAL(filesystem_kind(&fs), VMA_KIND_FILE);
	CU_ASSERT_EQUAL(filesystem_find(text, sizeof(text) - 1, 0, 2, &fs), -ENOENT);
	CU_ASSERT_EQUAL(filesystem_find(text, sizeof(text) - 1, 259, 22, &fs), -ENOENT);
	CU_ASSERT_EQUAL(filesystem_find("", 0, 0, 22, &fs), -ENOENT);
}

/* Cut anywhere, it says the same or nothing; nor do lines longer than any change it. */
static void test_cut_and_long(void)
{
	static char buf[20000];
	struct filesystem fs;
	size_t n;

	for (size_t len = 0; len < sizeof(text) - 1; len++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			CU_ASSERT(filesystem_find(text, len, 0, rows[i].minor, &fs) == -ENOENT ||
				  (filesystem_kind(&fs) == rows[i].kind &&
				   fs.block == rows[i].block));
	/* %9000d: as many blanks. */
	n = (size_t)snprintf(buf, sizeof(buf),
			     "25 22 0:35 / / rw - overlay overlay rw,lowerdir=%9000d\n"
			     "24 23 0:22 / /dev/shm rw - tmpfs tmpfs rw\n", 1);
	CU_ASSERT_EQUAL_FATAL(filesystem_find(buf, n, 0, 35, &fs), 0);
	CU_ASSERT_EQUAL(filesystem_kind(&fs), VMA_KIND_FILE);
	CU_ASSERT_EQUAL_FATAL(filesystem_find(buf, n, 0, 22, &fs), 0);
	CU_ASSERT_EQUAL(filesystem_kind(&fs), VMA_KIND_SHMEM);
}

/* /proc is mounted wherever we are, and is no memory. */
static void test_own_mounts(void)
{
	struct filesystems known = { 0 };
	struct filesystem fs;
	struct stat st;
	int proc = open("/proc/self", O_PATH | O_DIRECTORY);

	CU_ASSERT_FATAL(proc >= 0 && !fstat(proc, &st));
	CU_ASSERT_EQUAL(major(st.st_dev), 0);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(filesystem_of(proc, 0, minor(st.st_dev), &known, &fs), 0);
		CU_ASSERT_EQUAL(filesystem_kind(&fs), VMA_KIND_FILE);
		CU_ASSERT_EQUAL(known.n, 1);
	}
	for (uint32_t i = 0; i < 9; i++)
		CU_ASSERT_EQUAL(filesystem_of(proc, 4095, i, &known, &fs), -ENOENT);
	CU_ASSERT_EQUAL(filesystem_of(proc, 0, minor(st.st_dev), &known, &fs), 0);
	CU_ASSERT_EQUAL(known.n, 11);
	CU_ASSERT_EQUAL(filesystem_of(-1, 1, 1, &known, &fs), -EBADF);
	close(proc);
}

/* A memfd is of a tmpfs that nobody sees mounted. */
static void test_memfd(void)
{
	struct filesystems known = { 0 };
	int proc = open("/proc/self", O_PATH | O_DIRECTORY), fd = memfd_create("x", 0);
	struct map_entry m = { .prot = 3, .name = "/memfd:x (deleted)", .name_len = 18 };
	struct filesystem fs;
	struct stat st;
	struct range r;
	char *at;

	CU_ASSERT_FATAL(fd >= 0 && !ftruncate(fd, 4096) && !fstat(fd, &st));
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(at != MAP_FAILED);
	m.lo = r.lo = (uintptr_t)at;
	m.hi = r.hi = r.lo + 4096;
	m.ino = st.st_ino;
	m.dev_minor = minor(st.st_dev);
	CU_ASSERT_EQUAL(filesystem_of(proc, 0, m.dev_minor, &known, &fs), -ENOENT);
	if (!filesystem_at(proc, r, &fs))
		CU_ASSERT_EQUAL(fs.type, TMPFS_MAGIC);
	CU_ASSERT_EQUAL(filesystem_look(proc, &m, &known), VMA_KIND_SHMEM);
	r.hi += 4096;
	CU_ASSERT(filesystem_at(proc, r, &fs) < 0);
	/* By its line alone it would be memory. */
	m.lo = m.hi;
	m.hi += 4096;
	fstat(proc, &st);
	m.dev_minor = minor(st.st_dev);
	CU_ASSERT_EQUAL(map_kind(&m), VMA_KIND_SHMEM);
	CU_ASSERT_EQUAL(filesystem_look(proc, &m, &known), VMA_KIND_FILE);
	munmap(at, 4096);
	close(fd);
	close(proc);
}

static const struct suite_test tests[] = {
	{ "of a text", test_text },
	{ "of a cut text and long lines", test_cut_and_long },
	{ "of our own mounts", test_own_mounts },
	{ "of a memfd", test_memfd },
};

SUITE_MAIN("filesystem", tests)
