/* SPDX-License-Identifier: MIT */
/* ELF notes: files made by hand, broken ones, and the program that this is. */

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suite.h"
#include "trace/record.h"
#include "watch/build-id.h"
#include "watch/elf-notes.h"

/* A header, two program headers, and three notes, of which the last is the build id. */
struct file {
	Elf64_Ehdr head;
	Elf64_Phdr parts[2];
	struct {
		Elf64_Nhdr head;
		char name[8];
		uint32_t desc;
	} stranger;
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint32_t desc;
	} other, build;
};

#define NOTES offsetof(struct file, stranger)
#define NOTES_LEN (sizeof(struct file) - NOTES)

static struct file good(void)
{
	struct file f = {
		.head = { .e_phoff = offsetof(struct file, parts), .e_phnum = 2,
			  .e_phentsize = sizeof(Elf64_Phdr) },
		.parts = { { .p_type = PT_LOAD, .p_filesz = 99 },
			   { .p_type = PT_NOTE, .p_offset = NOTES, .p_filesz = NOTES_LEN } },
		.stranger = { { 6, 4, NT_GNU_BUILD_ID }, "Other", 1 },
		.other = { { 4, 4, NT_GNU_ABI_TAG }, "GNU", 2 },
		.build = { { 4, 3, NT_GNU_BUILD_ID }, "GNU", 0x00030201 },
	};

	memcpy(f.head.e_ident, ELFMAG, SELFMAG);
	f.head.e_ident[EI_CLASS] = ELFCLASS64;
	f.head.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB :
									      ELFDATA2MSB;
	return f;
}

static void test_good(void)
{
	struct file f = good();
	unsigned char id[ELF_BUILD_ID_MAX];
	struct range span[4];

	CU_ASSERT_EQUAL_FATAL(elf_notes(&f, sizeof(f), span, 4), 1);
	CU_ASSERT(span[0].lo == NOTES && range_len(span[0]) == NOTES_LEN);
	CU_ASSERT_EQUAL(elf_build_id((char *)&f + NOTES, NOTES_LEN, id), 3);
	CU_ASSERT(!memcmp(id, "\1\2\3", 3));
	CU_ASSERT_EQUAL(elf_notes(&f, sizeof(f), span, 0), 0);
	f.build.head.n_descsz = ELF_BUILD_ID_MAX + 1;
	CU_ASSERT_EQUAL(elf_build_id((char *)&f + NOTES, NOTES_LEN, id), 0);
	f.build.head.n_descsz = 0;
	CU_ASSERT_EQUAL(elf_build_id((char *)&f + NOTES, NOTES_LEN, id), 0);
}

static void test_narrow(void)
{
	struct {
		Elf32_Ehdr head;
		Elf32_Phdr part;
	} f = {
		.head = { .e_phoff = sizeof(Elf32_Ehdr), .e_phnum = 1,
			  .e_phentsize = sizeof(Elf32_Phdr) },
		.part = { .p_type = PT_NOTE, .p_offset = 100, .p_filesz = 36 },
	};
	struct file like = good();
	struct range span;

	memcpy(f.head.e_ident, like.head.e_ident, EI_NIDENT);
	f.head.e_ident[EI_CLASS] = ELFCLASS32;
	CU_ASSERT_EQUAL_FATAL(elf_notes(&f, sizeof(f), &span, 1), 1);
	CU_ASSERT(span.lo == 100 && span.hi == 136);
	f.head.e_phentsize++;
	CU_ASSERT_EQUAL(elf_notes(&f, sizeof(f), &span, 1), 0);
}

static void test_no_elf(void)
{
	struct file f = good();
	struct range span;

	f.head.e_ident[0]++;
	CU_ASSERT_EQUAL(elf_notes(&f, sizeof(f), &span, 1), 0);
	f = good();
	f.head.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
	CU_ASSERT_EQUAL(elf_notes(&f, sizeof(f), &span, 1), 0);
	f = good();
	f.head.e_phoff = UINT64_MAX - 8;
	CU_ASSERT_EQUAL(elf_notes(&f, sizeof(f), &span, 1), 0);
	f = good();
	f.parts[1].p_offset = UINT64_MAX;	/* a range that wraps */
	CU_ASSERT_EQUAL(elf_notes(&f, sizeof(f), &span, 1), 0);
}

/* However short, and whatever a byte of it says: nothing beyond is read (sanitizers). */
static void test_broken(void)
{
	unsigned char id[ELF_BUILD_ID_MAX];
	struct file f = good();
	struct range span[2];

	for (size_t len = 0; len <= sizeof(f); len++) {
		unsigned char *exact = malloc(len ? len : 1);

		CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
		memcpy(exact, &f, len);
		CU_ASSERT_EQUAL(elf_notes(exact, len, span, 2), len >= NOTES);
		if (len >= NOTES)
			CU_ASSERT_EQUAL(elf_build_id(exact + NOTES, len - NOTES, id),
					len >= sizeof(f) - 1 ? 3 : 0);
		for (size_t i = 0; i < len; i++) {
			exact[i] = 0xff;
			CU_ASSERT(elf_notes(exact, len, span, 2) <= 2);
			CU_ASSERT(elf_build_id(exact, len, id) <= sizeof(id));
			memcpy(exact, &f, len);
		}
		free(exact);
	}
}

static void ignore(void *arg, enum vma_op op, struct region *r)
{
	(void)arg;
	(void)op;
	(void)r;
}

/* From the memory of this process the same as the kernel says, if it does. */
static void test_own(void)
{
	unsigned char mine[MAPS_BUILD_ID_MAX], its[MAPS_BUILD_ID_MAX];
	int proc = open("/proc/self", O_RDONLY | O_DIRECTORY);
	int maps = open("/proc/self/maps", O_RDONLY), mem = open("/proc/self/mem", O_RDONLY);
	struct maps m = MAPS_NULL;
	struct layout l;
	struct region *g;
	uint32_t id = 1;
	unsigned int code = 0;
	size_t n;

	CU_ASSERT_FATAL(proc >= 0 && maps >= 0 && mem >= 0);
	layout_init(&l, 10000);
	CU_ASSERT_EQUAL_FATAL(maps_read(proc, &m), 0);
	CU_ASSERT_EQUAL_FATAL(layout_reconcile(&l, &m, true, &id, ignore, NULL), 0);
	for (g = layout_from(&l, 0); g; g = layout_next(&l, g)) {
		int64_t said;

		if (!g->ino || !(g->prot & RECORD_PROT_EXEC))
			continue;
		n = build_id_of(&l, -1, mem, g, mine);
		said = maps_build_id(maps, g->r.lo, its);
		CU_ASSERT(said < 0 || (n == (size_t)said && !memcmp(mine, its, n)));
		code += n > 0;
	}
	/* libc has one at least. */
	CU_ASSERT(code >= 1);
	g = layout_find(&l, (uint64_t)(uintptr_t)test_own);
	CU_ASSERT(g && !build_id_of(&l, -1, -1, g, mine));
	layout_done(&l);
	maps_done(&m);
	close(proc);
	close(maps);
	close(mem);
}

/* What is told of page 1 of a file at `at`, by the memory of this process. */
static size_t told_at(const void *at, unsigned char ret[MAPS_BUILD_ID_MAX])
{
	int proc = open("/proc/self", O_RDONLY | O_DIRECTORY);
	int mem = open("/proc/self/mem", O_RDONLY);
	struct maps m = MAPS_NULL;
	struct layout l;
	uint32_t id = 1;
	size_t n;

	layout_init(&l, 10000);
	CU_ASSERT_EQUAL_FATAL(maps_read(proc, &m), 0);
	CU_ASSERT_EQUAL_FATAL(layout_reconcile(&l, &m, true, &id, ignore, NULL), 0);
	n = build_id_of(&l, -1, mem, layout_find(&l, (uint64_t)(uintptr_t)at), ret);
	layout_done(&l);
	maps_done(&m);
	close(proc);
	close(mem);
	return n;
}

/* fd -1: nothing of a file. */
static void map_page(char *at, int fd, off_t off)
{
	const int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	CU_ASSERT_PTR_EQUAL_FATAL(mmap(at, 4096, PROT_READ, flags, fd, off), at);
}

/* Segments that a linker or a loader has put somewhere else than they are in the file. */
static void test_apart(void)
{
	const size_t page = 4096, far = (size_t)1 << 30, room = far + 8 * page;
	const struct file f = good();
	unsigned char id[MAPS_BUILD_ID_MAX];
	int fd = memfd_create("program", MFD_CLOEXEC), other = memfd_create("other", MFD_CLOEXEC);
	char *at = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CU_ASSERT_FATAL(fd >= 0 && other >= 0 && at != MAP_FAILED);
	CU_ASSERT_FATAL(!ftruncate(fd, 2 * (off_t)page) && !ftruncate(other, 2 * (off_t)page));
	CU_ASSERT_EQUAL(pwrite(fd, &f, sizeof(f), 0), (ssize_t)sizeof(f));
	/* Its code, where another file's beginning is a page below it. */
	map_page(at + 3 * page, other, 0);
	map_page(at + 4 * page, fd, (off_t)page);
	CU_ASSERT_EQUAL(told_at(at + 4 * page, id), 0);
	/* A beginning above it is not its own; one below is. */
	map_page(at + 6 * page, fd, 0);
	CU_ASSERT_EQUAL(told_at(at + 4 * page, id), 0);
	map_page(at + page, fd, 0);
	CU_ASSERT_EQUAL(told_at(at + 4 * page, id), 3);
	CU_ASSERT(!memcmp(id, "\1\2\3", 3));
	/* As far as is looked, and a page more. */
	map_page(at + 6 * page, -1, 0);
	map_page(at + far + page, fd, (off_t)page);
	CU_ASSERT_EQUAL(told_at(at + far + page, id), 3);
	map_page(at + far + 2 * page, fd, (off_t)page);
	map_page(at + far + page, -1, 0);
	CU_ASSERT_EQUAL(told_at(at + far + 2 * page, id), 0);
	munmap(at, room);
	close(fd);
	close(other);
}

static const struct suite_test tests[] = {
	{ "a good file", test_good },
	{ "32 bits", test_narrow },
	{ "no ELF file", test_no_elf },
	{ "broken ones", test_broken },
	{ "of this program, from its memory", test_own },
	{ "segments apart", test_apart },
};

SUITE_MAIN("elf-notes", tests)
