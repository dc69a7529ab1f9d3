/* SPDX-License-Identifier: MIT */
/*
 * Epochs: writes known pages, round by round, and says which; for the async engine.
 *
 *	fact {"is":"round","kind":...,"begin":NS,"end":NS,"page":N,"n":N,"pages":[...]}
 *	fact {"is":"lost", ...}		written, and then dropped: told, or a gap
 *
 * Times are CLOCK_MONOTONIC.  It knows nothing of pagetap.
 */

#include <sys/ipc.h>
#include <sys/shm.h>
#include <time.h>

#include "memory.h"

#define PAGES 64
#define WRITES 5
#define ROUNDS 4

struct place {
	const char *kind;
	char *p;
	unsigned int step;	/* pages that are one, as huge ones are */
	bool text;		/* not writable but for an instant */
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void rest(void)
{
	usleep(170000);
}

static unsigned int nth(unsigned int round, unsigned int i)
{
	return (i * 11 + round * 7 + 3) % PAGES;
}

static void say(const char *is, const struct place *at, uint64_t begin, unsigned int round)
{
	printf("fact {\"is\":\"%s\",\"kind\":\"%s\",\"begin\":%" PRIu64 ",\"end\":%" PRIu64
	       ",\"page\":%" PRIu64 ",\"n\":%u,\"step\":%u,\"pages\":[", is, at->kind, begin, now(),
	       page_of(at->p), PAGES * at->step, at->step);
	for (unsigned int i = 0; i < WRITES; i++)
		printf("%s%" PRIu64, i ? "," : "",
		       page_of(at->p) + (uint64_t)nth(round, i) * at->step);
	puts("]}");
}

/* Some pages are written, all of them are read. */
static void touch(const struct place *at, unsigned int round)
{
	size_t len = (size_t)PAGES * at->step * PAGE;
	uint64_t begin = now();

	if (at->text)
		must(!mprotect(at->p, len, PROT_READ | PROT_WRITE), "mprotect");
	for (unsigned int i = 0; i < WRITES; i++)
		((volatile char *)at_page(at->p, nth(round, i) * at->step))[round] = 'w';
	if (at->text)
		must(!mprotect(at->p, len, PROT_READ | PROT_EXEC), "mprotect");
	for (unsigned int i = 0; i < PAGES; i++)
		(void)*(volatile char *)at_page(at->p, i * at->step);
	say("round", at, begin, round);
}

static char *map_file(int prot, int flags)
{
	char name[] = "/var/tmp/epochs-XXXXXX";
	int fd = mkstemp(name);
	char *p;

	must(fd >= 0 && !unlink(name) && !ftruncate(fd, PAGES * PAGE), "a file");
	for (unsigned int i = 0; i < PAGES; i++)
		must(pwrite(fd, "x", 1, (off_t)i * (off_t)PAGE) == 1, "pwrite");
	p = mmap(NULL, PAGES * PAGE, prot, flags, fd, 0);
	must(p != MAP_FAILED, "mapping a file");
	close(fd);
	return p;
}

static char *map_memfd(int flags)
{
	int fd = memfd_create("epochs", MFD_CLOEXEC);
	char *p;

	must(fd >= 0 && !ftruncate(fd, PAGES * PAGE), "memfd");
	p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	must(p != MAP_FAILED, "mapping a memfd");
	close(fd);
	return p;
}

static char *map_sysv(void)
{
	int id = shmget(IPC_PRIVATE, PAGES * PAGE, IPC_CREAT | 0600);
	char *p = id < 0 ? (char *)-1 : shmat(id, NULL, 0);

	must(p != (char *)-1 && !shmctl(id, IPC_RMID, NULL), "shmat");
	return p;
}

static void rounds(const struct place *places, unsigned int n)
{
	for (unsigned int r = 0; r < ROUNDS; r++) {
		for (unsigned int i = 0; i < n; i++)
			touch(&places[i], r);
		rest();
	}
}

static void kinds_case(void)
{
	static char data[PAGES * PAGE] __attribute__((aligned(4096))) = "data";
	const int rw = PROT_READ | PROT_WRITE;
	struct place places[] = {
		{ "anon", map_anon(PAGES), 1, false },
		{ "filled", map_anon(PAGES), 1, false },
		{ "shared", map_alone(PAGES * PAGE, rw, MAP_SHARED | MAP_ANONYMOUS), 1, false },
		{ "memfd-shared", map_memfd(MAP_SHARED), 1, false },
		{ "memfd-private", map_memfd(MAP_PRIVATE), 1, false },
		{ "file-shared", map_file(rw, MAP_SHARED), 1, false },
		{ "file-private", map_file(rw, MAP_PRIVATE), 1, false },
		{ "text", map_file(PROT_READ | PROT_EXEC, MAP_PRIVATE), 1, true },
		{ "data", data, 1, false },
		{ "sysv", map_sysv(), 1, false },
	};

	fill(places[1].p, PAGES);
	gate();
	rest();
	rounds(places, sizeof(places) / sizeof(places[0]));
}

static void anon_case(void)
{
	struct place at = { "anon", map_anon(PAGES), 1, false };

	gate();
	usleep(500000);
	rounds(&at, 1);
}

static void hugetlb_case(void)
{
	struct place at = { "hugetlb", NULL, HUGE / PAGE, false };

	at.p = mmap(NULL, (size_t)PAGES * HUGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (at.p == MAP_FAILED)
		skip_case("no-hugepages", "no %u huge pages: %s", PAGES, strerror(errno));
	gate();
	rest();
	rounds(&at, 1);
}

/* What is dropped, unmapped or replaced is told or declared; what moved is told. */
static void layout_case(void)
{
	struct place dropped = { "dropped", map_anon(PAGES), 1, false };
	struct place holes = { "dropped-shared", map_memfd(MAP_SHARED), 1, false };
	struct place gone = { "gone", map_anon(PAGES), 1, false };
	struct place moved = { "moved", map_anon(PAGES), 1, false };
	char *to = map_alone(PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	uint64_t begin;

	gate();
	rest();
	for (unsigned int r = 0; r < 2; r++) {
		begin = now();
		touch(&dropped, r);
		must(!madvise(dropped.p, PAGES * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
		say("lost", &dropped, begin, r);
		must(!madvise(holes.p, PAGES * PAGE, MADV_REMOVE), "MADV_REMOVE");
		rest();
		touch(&dropped, r + 2);
		touch(&holes, r);
		rest();
	}
	touch(&gone, 0);
	must(!munmap(gone.p, PAGES * PAGE), "munmap");
	touch(&moved, 0);
	rest();
	must(mremap(moved.p, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to,
	     "mremap");
	moved.p = to;
	touch(&moved, 1);
	rest();
	touch(&moved, 2);
	rest();
}

static void fork_case(void)
{
	struct place at = { "fork", map_anon(PAGES), 1, false };
	pid_t child;
	int status;

	fill(at.p, PAGES);
	gate();
	rest();
	touch(&at, 0);
	rest();
	child = fork();
	must(child >= 0, "fork");
	printf("says %s\n", child ? "parent" : "child");
	if (!child) {
		printf("child %d\n", getpid());
		at.kind = "child";
		rest();
		touch(&at, 1);
		rest();
		touch(&at, 2);
		rest();
		fflush(stdout);
		_exit(0);
	}
	touch(&at, 3);
	must(waitpid(child, &status, 0) == child && !status, "waitpid");
}

static void reserve_case(void)
{
	struct place at = { "reserve", NULL, 1, false };
	char *p = mmap(NULL, (size_t)100 << 30, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *q = mmap(NULL, (size_t)100 << 30, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(p != MAP_FAILED && q != MAP_FAILED, "100 GiB");
	/* As the reserve of a heap may be, which is mapped twice. */
	p = mmap(NULL, (size_t)1 << 30, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0);
	must(p != MAP_FAILED, "1 GiB, shared");
	at.p = q + ((size_t)50 << 30);
	gate();
	rest();
	rounds(&at, 1);
}

/*
 * Page tables that were there before, and such that come later: of both only what was
 * written is told, though all of it is read, dropped or moved away meanwhile.
 */
static void tables_case(void)
{
	const size_t table = PAGE / 8 * PAGE;
	char *p = map_alone(5 * table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	char *first = (char *)(((uintptr_t)p + table - 1) / table * table);
	struct place old = { "old-table", first, 1, false };
	struct place young = { "young-table", first + table, 1, false };
	struct place moved = { "moved-table", first + 2 * table, 1, false };

	must(!madvise(p, 5 * table, MADV_NOHUGEPAGE), "MADV_NOHUGEPAGE");
	*old.p = *moved.p = 1;
	gate();
	rest();
	for (unsigned int r = 0; r < 2; r++) {
		touch(&old, r);
		touch(&young, r);
		touch(&moved, r);
		rest();
	}
	must(!madvise(old.p, PAGES * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	rest();
	must(mremap(moved.p, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) !=
	     MAP_FAILED, "mremap");
	rest();
	for (unsigned int r = 0; r < 2; r++) {
		touch(&old, r + 2);
		touch(&young, r + 2);
		touch(&moved, r + 2);
		rest();
	}
}

/* More runs of pages at once than the queue of the recording has room for. */
static void burst_case(void)
{
	const size_t n = 65536, step = 4;
	char *p = map_anon(n * step);
	uint64_t begin;

	must(!madvise(p, n * step * PAGE, MADV_NOHUGEPAGE), "MADV_NOHUGEPAGE");
	for (size_t i = 0; i < n; i++)
		p[i * step * PAGE] = 1;
	gate();
	rest();
	begin = now();
	for (size_t i = 0; i < n; i++)
		p[i * 40503 % n * step * PAGE]++;
	printf("burst %" PRIu64 " %zu %zu %" PRIu64 " %" PRIu64 "\n", page_of(p), n, step, begin,
	       now());
	/* Until a slow reader has got it. */
	usleep(1500000);
}

static const struct memory_case cases[] = {
	{ "anon", anon_case },
	{ "kinds", kinds_case },
	{ "hugetlb", hugetlb_case },
	{ "layout", layout_case },
	{ "fork", fork_case },
	{ "reserve", reserve_case },
	{ "tables", tables_case },
	{ "burst", burst_case },
};

MEMORY_MAIN(cases)
