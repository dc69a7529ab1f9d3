/* SPDX-License-Identifier: MIT */
/* Watchable: the table of mapping kinds and modes, line by line. */

#include <string.h>

#include "compat/uffd.h"
#include "suite.h"
#include "trace/record.h"
#include "watch/watchable.h"

#define ALL_FEATURES UINT64_C(0x1ffff)
#define W WATCH_MODE_WRITE
#define M WATCH_MODE_MISSING
#define I WATCH_MODE_MINOR
#define RW (RECORD_PROT_READ | RECORD_PROT_WRITE)
#define RWS (RW | RECORD_PROT_SHARED)

static const struct watch_filter all_modes = { .modes = W | M | I };

static struct map_entry entry(const char *name, uint32_t prot, uint64_t ino, uint32_t major)
{
	return (struct map_entry){
		.lo = 0x10000, .hi = 0x20000, .prot = prot, .ino = ino, .dev_major = major,
		.name = name, .name_len = (uint32_t)strlen(name),
	};
}

static const struct row {
	const char *name;
	uint32_t prot, major;
	uint64_t ino;
	enum vma_kind kind;
	uint32_t modes;
	bool arm;
	enum vma_why why;
} rows[] = {
	{ "", RW, 0, 0, VMA_KIND_ANON, W | M, true, WHY_NONE },
	{ "[anon:glibc: malloc]", RW, 0, 0, VMA_KIND_ANON, W | M, true, WHY_NONE },
	{ "[heap]", RW, 0, 0, VMA_KIND_HEAP, W | M, true, WHY_NONE },
	{ "[stack]", RW, 0, 0, VMA_KIND_STACK, W | M, true, WHY_NONE },
	{ "", 0, 0, 0, VMA_KIND_ANON, W | M, false, WHY_NOT_WRITABLE },
	{ "/memfd:x (deleted)", RWS, 0, 5, VMA_KIND_SHMEM, W | M | I, true, WHY_NONE },
	{ "/memfd:x (deleted)", RW, 0, 5, VMA_KIND_SHMEM, W, true, WHY_NONE },
	{ "/dev/zero (deleted)", RWS, 0, 5, VMA_KIND_SHMEM, W | M | I, true, WHY_NONE },
	{ "/dev/zero", RW, 0, 5, VMA_KIND_ANON, W | M, true, WHY_NONE },
	{ "/memfd:x (deleted)", RWS, 8, 5, VMA_KIND_FILE, 0, false, WHY_FILE_BACKED },
	{ "/SYSV00000000 (deleted)", RWS, 8, 5, VMA_KIND_FILE, 0, false, WHY_FILE_BACKED },
	{ "/secretmem", RWS, 8, 5, VMA_KIND_FILE, 0, false, WHY_FILE_BACKED },
	{ "/anon_hugepage (deleted)", RW, 8, 5, VMA_KIND_FILE, 0, false, WHY_FILE_BACKED },
	{ "/dev/shm/PostgreSQL.1", RWS, 0, 5, VMA_KIND_SHMEM, W | M | I, true, WHY_NONE },
	{ "/anon_hugepage (deleted)", RW, 0, 5, VMA_KIND_HUGETLB, W | M, true, WHY_NONE },
	{ "/anon_hugepage (deleted)", RWS, 0, 5, VMA_KIND_HUGETLB, W | M | I, true, WHY_NONE },
	{ "/run/user/1/x", RWS, 0, 5, VMA_KIND_SHMEM, W | M | I, true, WHY_NONE },
	{ "/usr/lib/libc.so", RW, 8, 5, VMA_KIND_FILE, 0, false, WHY_FILE_BACKED },
	{ "/usr/lib/libc.so", 1, 8, 5, VMA_KIND_FILE, 0, false, WHY_NOT_WRITABLE },
	{ "/tmp/[heap]", RW, 8, 5, VMA_KIND_FILE, 0, false, WHY_FILE_BACKED },
	{ "/SYSV00000000 (deleted)", RWS, 0, 5, VMA_KIND_SHMEM, 0, false, WHY_SYSV_SHM },
	{ "/secretmem", RWS, 0, 5, VMA_KIND_SHMEM, 0, false, WHY_SECRET },
	{ "[vdso]", 5, 0, 0, VMA_KIND_SPECIAL, 0, false, WHY_SPECIAL_MAPPING },
	{ "[vvar]", 1, 0, 0, VMA_KIND_SPECIAL, 0, false, WHY_SPECIAL_MAPPING },
	{ "[vvar_vclock]", 1, 0, 0, VMA_KIND_SPECIAL, 0, false, WHY_SPECIAL_MAPPING },
	{ "[vsyscall]", 4, 0, 0, VMA_KIND_SPECIAL, 0, false, WHY_SPECIAL_MAPPING },
	{ "anon_inode:[perf_event]", RWS, 0, 5, VMA_KIND_SPECIAL, 0, false, WHY_SPECIAL_MAPPING },
	{ "anon_inode:[io_uring]", RWS, 0, 5, VMA_KIND_SPECIAL, 0, false, WHY_SPECIAL_MAPPING },
	{ "/dev/nvidia0", RWS, 0, 5, VMA_KIND_SPECIAL, 0, false, WHY_SPECIAL_MAPPING },
};

static void test_table(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct map_entry m = entry(r->name, r->prot, r->ino, r->major);
		struct watch_verdict v = watchable(&m, map_kind(&m), &all_modes, ALL_FEATURES);

		if (map_kind(&m) != r->kind || v.modes != r->modes || v.arm != r->arm ||
		    v.why != r->why)
			printf("\n%s: kind %d modes %u arm %d why %d ", r->name, map_kind(&m),
			       v.modes, v.arm, v.why);
		CU_ASSERT_EQUAL(map_kind(&m), r->kind);
		CU_ASSERT_EQUAL(v.modes, r->modes);
		CU_ASSERT_EQUAL(v.arm, r->arm);
		CU_ASSERT_EQUAL(v.why, r->why);
	}
}

static void test_features(void)
{
	struct watch_filter f = { .modes = W };
	struct map_entry anon = entry("", RW, 0, 0), mem = entry("/memfd:x", RWS, 5, 0);
	uint64_t no_empty = ALL_FEATURES & ~(uint64_t)UFFD_FEATURE_WP_UNPOPULATED;
	uint64_t no_shmem = ALL_FEATURES & ~(uint64_t)UFFD_FEATURE_WP_HUGETLBFS_SHMEM;

	CU_ASSERT_EQUAL(watchable(&anon, map_kind(&anon), &f, ALL_FEATURES).modes, W);
	CU_ASSERT_EQUAL(watchable(&anon, map_kind(&anon), &f, no_empty).modes, W | M);
	CU_ASSERT_EQUAL(watchable(&mem, map_kind(&mem), &f, no_shmem).modes, 0);
	CU_ASSERT_EQUAL(watchable(&mem, map_kind(&mem), &f, no_shmem).why, WHY_NO_FEATURE);
	f.modes = I;
	CU_ASSERT_EQUAL(watchable(&anon, map_kind(&anon), &f, ALL_FEATURES).why, WHY_MODE);
	CU_ASSERT_EQUAL(watchable(&mem, map_kind(&mem), &f, ALL_FEATURES).modes, I);
	CU_ASSERT(!watchable(&mem, map_kind(&mem), &f, ALL_FEATURES).arm);
}

static void test_filters(void)
{
	static const char *const heap[] = { "heap" }, *const so[] = { "*.so" };
	static const char *const mem[] = { "shmem", "/memfd:a*" };
	const struct range low = { 0, 0x10001 }, high = { 0x20000, 0x30000 };
	struct watch_filter f = { .modes = W, .globs = heap, .nr_globs = 1 };
	struct map_entry h = entry("[heap]", RW, 0, 0), a = entry("", RW, 0, 0);
	struct map_entry v = entry("[vdso]", RW, 0, 0);
	struct map_entry l = entry("/usr/lib/x.so", RW, 5, 8), x = entry("/memfd:ab", RWS, 5, 0);

	CU_ASSERT(watchable(&h, map_kind(&h), &f, ALL_FEATURES).arm);
	CU_ASSERT_EQUAL(watchable(&a, map_kind(&a), &f, ALL_FEATURES).why, WHY_FILTERED);
	CU_ASSERT_EQUAL(watchable(&v, map_kind(&v), &f, ALL_FEATURES).why, WHY_FILTERED);
	f.globs = so;
	CU_ASSERT_EQUAL(watchable(&l, map_kind(&l), &f, ALL_FEATURES).why, WHY_FILE_BACKED);
	CU_ASSERT_EQUAL(watchable(&h, map_kind(&h), &f, ALL_FEATURES).why, WHY_FILTERED);
	f.globs = mem + 1;
	CU_ASSERT(watchable(&x, map_kind(&x), &f, ALL_FEATURES).arm);
	f = (struct watch_filter){ .modes = W, .ranges = &low, .nr_ranges = 1 };
	CU_ASSERT(watchable(&a, map_kind(&a), &f, ALL_FEATURES).arm);
	CU_ASSERT_EQUAL(watchable(&v, map_kind(&v), &f, ALL_FEATURES).why, WHY_SPECIAL_MAPPING);
	f.ranges = &high;
	CU_ASSERT_EQUAL(watchable(&a, map_kind(&a), &f, ALL_FEATURES).why, WHY_FILTERED);
}

/* Whatever is a mapping of memory, and whatever may be done with it. */
static void test_async(void)
{
	struct watch_filter f = { .modes = W, .async = true };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct map_entry m = entry(rows[i].name, rows[i].prot, rows[i].ino, rows[i].major);
		struct watch_verdict v = watchable(&m, map_kind(&m), &f, ALL_FEATURES);
		bool memory = rows[i].kind != VMA_KIND_SPECIAL;

		CU_ASSERT_EQUAL(v.modes, memory ? W : 0);
		CU_ASSERT_EQUAL(v.arm, memory);
		CU_ASSERT_EQUAL(v.why, memory ? WHY_NONE : WHY_SPECIAL_MAPPING);
	}
}

static const struct suite_test tests[] = {
	{ "kinds and modes", test_table },
	{ "what the kernel lacks", test_features },
	{ "-a and -m", test_filters },
	{ "where nobody waits", test_async },
};

SUITE_MAIN("watchable", tests)
