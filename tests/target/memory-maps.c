/* SPDX-License-Identifier: MIT */
/* Memory: what mappings are and become.  See memory.h. */

#include <alloca.h>
#include <linux/memfd.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "memory.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08	/* 6.11 */
#endif

static int memory_file(unsigned int pages, unsigned int flags)
{
	int fd = memfd_create("case", MFD_CLOEXEC | flags);

	must(fd >= 0 && !ftruncate(fd, (off_t)pages * PAGE), "memfd_create");
	return fd;
}

static char *map_file(int fd, unsigned int pages, int how)
{
	char *p = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE, how, fd, 0);

	must(p != MAP_FAILED, "mapping a file");
	return p;
}

static void check_zero(const char *p, unsigned int pages, const char *what)
{
	for (size_t i = 0; i < (size_t)pages * PAGE; i++)
		must(!((const volatile char *)p)[i], "%s: byte %zu is not zero", what, i);
}

/* Two mappings of one file; pages are taken out of it by either way. */
static void remove_case(void)
{
	int fd = memory_file(16, 0);
	char *a = map_file(fd, 16, MAP_SHARED), *b = map_file(fd, 16, MAP_SHARED);

	fill(a, 16);
	check_filled(b, 16, "the other mapping");
	gate();
	write_pages(a, 2, 1);
	must(!madvise(at_page(a, 4), 2 * PAGE, MADV_REMOVE), "MADV_REMOVE");
	check_zero(at_page(a, 4), 2, "removed");
	check_zero(at_page(b, 4), 2, "removed, through the other mapping");
	must(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * PAGE, 2 * PAGE),
	     "punching a hole");
	check_zero(at_page(a, 8), 2, "punched");
	check_zero(at_page(b, 8), 2, "punched, through the other mapping");
	settle();
	write_pages(at_page(a, 4), 2, 2);
	write_pages(at_page(b, 8), 2, 3);
	check_written(at_page(b, 4), 2, 2, "written after the removal");
	check_written(at_page(a, 8), 2, 3, "written after the hole");
	check_written(b, 2, 1, "written before");
	fact_wrote(a, 2, self());
	fact_event(at_page(a, 4), 2, "remove");
	fact_declared(at_page(a, 4), 2);
	fact_declared(at_page(b, 8), 2);
	fact_quiet(at_page(b, 0), 8);
	fact_quiet(at_page(a, 8), 8);
}

/* Each write is told at the address it was made at. */
static void alias_case(void)
{
	int fd = memory_file(8, 0);
	char *a = map_file(fd, 8, MAP_SHARED), *b = map_file(fd, 8, MAP_SHARED);

	fill(a, 8);
	gate();
	write_pages(a, 4, 1);
	write_pages(b, 2, 1);		/* pages that were written through a already */
	write_pages(at_page(b, 6), 2, 2);
	check_written(b, 4, 1, "through the other mapping");
	check_written(at_page(a, 6), 2, 2, "through the first mapping");
	fact_wrote(a, 4, self());
	fact_quiet(at_page(a, 4), 4);
	fact_wrote(b, 2, self());
	fact_quiet(at_page(b, 2), 4);
	fact_wrote(at_page(b, 6), 2, self());
}

/* What a child has of its parent's memory, by advice. */
static void advice_child(char *shared, char *gone, char *wiped)
{
	unsigned char there;

	check_filled(shared, 8, "in the child");
	must(mincore(gone, PAGE, &there) < 0 && errno == ENOMEM, "MADV_DONTFORK did not hold");
	check_zero(wiped, 8, "MADV_WIPEONFORK");
	write_pages(shared, 4, 7);
	write_pages(wiped, 4, 8);
	check_written(shared, 4, 7, "child");
	check_written(wiped, 4, 8, "child, wiped memory");
	/* Memory that is not armed in a child is found after some milliseconds. */
	settle();
	_exit(33);
}

static void forkadvice_case(void)
{
	char *shared = map_anon(8), *gone = map_anon(8), *wiped = map_anon(8);
	int status;
	pid_t pid;

	fill(shared, 8);
	fill(gone, 8);
	fill(wiped, 8);
	gate();
	must(!madvise(gone, 8 * PAGE, MADV_DONTFORK), "MADV_DONTFORK");
	must(!madvise(wiped, 8 * PAGE, MADV_WIPEONFORK), "MADV_WIPEONFORK");
	pid = fork();
	if (!pid)
		advice_child(shared, gone, wiped);
	must(waitpid(pid, &status, 0) == pid, "the child");
	must(WIFEXITED(status) && WEXITSTATUS(status) == 33, "the child ended with 0x%x", status);
	check_filled(shared, 8, "parent");
	check_filled(gone, 8, "parent, not forked");
	check_filled(wiped, 8, "parent, wiped in the child");
	write_pages(gone, 4, 1);
	write_pages(wiped, 4, 2);
	fact_wrote(gone, 4, self());
	printf("fact {\"is\":\"wrote\",\"page\":%" PRIu64 ",\"n\":4,\"tid\":%d,\"pid\":%d,"
	       "\"followed\":true}\n", page_of(shared), pid, pid);
	printf("fact {\"is\":\"declared\",\"page\":%" PRIu64 ",\"n\":4,\"pid\":%d,"
	       "\"followed\":true}\n", page_of(wiped), pid);
	fact_child(pid);
}

/* Stacks that grow need no call: what is new must be told or declared. */
__attribute__((noinline)) static void deep(unsigned int pages, uint64_t *ret_low)
{
	volatile char *p = alloca((size_t)pages * PAGE);

	for (unsigned int i = 0; i < pages; i++)
		p[(size_t)(pages - 1 - i) * PAGE] = (char)i;
	*ret_low = (uintptr_t)p / PAGE + 1;
	settle();
	for (unsigned int i = 0; i < pages; i++)
		must(p[(size_t)(pages - 1 - i) * PAGE] == (char)i, "stack page %u", i);
}

static void grows_case(void)
{
	uint64_t low;
	char *p = map_alone(600 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);

	must(!munmap(p, 590 * PAGE), "munmap");
	p = at_page(p, 590);
	must(mmap(p, 10 * PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0) == p, "mmap");
	fill(p, 10);
	gate();
	for (unsigned int i = 1; i <= 40; i++)
		*(volatile uint64_t *)(p - (size_t)i * PAGE) = mix(i);
	settle();
	for (unsigned int i = 1; i <= 40; i++)
		must(*(volatile uint64_t *)(p - (size_t)i * PAGE) == mix(i), "page %u", i);
	check_filled(p, 10, "where it began");
	deep(200, &low);
	fact_declared(p - 40 * PAGE, 40);
	/* Its first pages may have been stack before. */
	printf("fact {\"is\":\"declared\",\"page\":%" PRIu64 ",\"n\":150}\n", low);
	settle();
	for (unsigned int i = 1; i <= 40; i++)
		*(volatile uint64_t *)(p - (size_t)i * PAGE) = mix(i + 1);
}

/* A collector's write barrier: each first write of a round is caught and counted. */
static char *barrier;
static _Atomic unsigned int caught, strays;

static void on_barrier(int sig, siginfo_t *si, void *context)
{
	char *page = (char *)((uintptr_t)si->si_addr & ~(uintptr_t)(PAGE - 1));

	(void)sig;
	(void)context;
	if (page < barrier || page >= barrier + 32 * PAGE) {
		strays++;
		signal(SIGSEGV, SIG_DFL);
		return;
	}
	caught++;
	if (si->si_code != SEGV_ACCERR || mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		strays++;
}

static void segv_case(void)
{
	struct sigaction sa = { .sa_sigaction = on_barrier, .sa_flags = SA_SIGINFO | SA_RESTART };
	uint64_t seed = 5;

	barrier = map_anon(32);
	fill(barrier, 32);
	sigaction(SIGSEGV, &sa, NULL);
	gate();
	for (uint64_t round = 0; round < 300; round++) {
		must(!mprotect(barrier, 32 * PAGE, PROT_READ), "mprotect");
		for (unsigned int i = 0; i < 20; i++)
			write_pages(at_page(barrier, (unsigned int)(draw(&seed) % 32)), 1, round);
	}
	must(!mprotect(barrier, 32 * PAGE, PROT_READ | PROT_WRITE), "mprotect");
	check_filled(barrier, 32, "what was there");
	printf("says caught %u, strays %u\n", caught, strays);
	fact_declared(barrier, 32);
}

static void shm_case(void)
{
	int id = shmget(IPC_PRIVATE, 8 * PAGE, IPC_CREAT | 0600);
	char name[64], *sysv = id < 0 ? NULL : shmat(id, NULL, 0), *posix;
	int fd;

	must(sysv && sysv != (void *)-1 && !shmctl(id, IPC_RMID, NULL), "SysV shared memory");
	snprintf(name, sizeof(name), "/case-%d", getpid());
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	must(fd >= 0 && !shm_unlink(name) && !ftruncate(fd, 8 * PAGE), "POSIX shared memory");
	posix = map_file(fd, 8, MAP_SHARED);
	fill(sysv, 8);
	fill(posix, 8);
	gate();
	write_pages(sysv, 4, 1);
	write_pages(posix, 4, 2);
	check_written(sysv, 4, 1, "SysV");
	check_written(posix, 4, 2, "POSIX");
	check_filled(sysv, 8, "SysV");
	check_filled(posix, 8, "POSIX");
	must(!shmdt(sysv), "shmdt");
	fact_why(sysv, "sysv-shm");
	fact_wrote(posix, 4, self());
}

/* Seals hold, and are refused, as without a watcher. */
static void seal_case(void)
{
	int fd = memory_file(8, MFD_ALLOW_SEALING);
	char *p = map_file(fd, 8, MAP_SHARED), *q;

	fill(p, 8);
	gate();
	write_pages(p, 4, 1);
	printf("says write seal while mapped: %d\n",
	       fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 ? errno : 0);
	printf("says seal of later writes: %d\n",
	       fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 ? errno : 0);
	q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	printf("says a new writable mapping: %d\n", q == MAP_FAILED ? errno : 0);
	write_pages(at_page(p, 4), 2, 2);
	check_written(p, 4, 1, "before the seal");
	check_written(at_page(p, 4), 2, 2, "after the seal");
	fact_wrote(p, 6, self());
	must(!munmap(p, 8 * PAGE), "munmap");
	printf("says write seal when unmapped: %d\n",
	       fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 ? errno : 0);
	printf("says write: %d\n", write(fd, "x", 1) < 0 ? errno : 0);
}

/* Memory shared with a process that nobody watches: its writes are not ours. */
static void foreign_case(void)
{
	volatile uint64_t *flag;
	char *p = mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	must(p != MAP_FAILED, "mmap");
	fill(p, 9);
	flag = (volatile uint64_t *)at_page(p, 8);
	*flag = 0;
	pid = fork();
	if (!pid) {
		while (!*flag)
			usleep(1000);
		write_pages(p, 4, 1);
		_exit(0);
	}
	gate();
	write_pages(at_page(p, 4), 2, 2);
	*flag = 1;
	must(waitpid(pid, &status, 0) == pid, "the other process");
	must(!status, "the other process: 0x%x", status);
	check_written(p, 4, 1, "by the other process");
	check_written(at_page(p, 4), 2, 2, "by this one");
	check_filled(p, 8, "what was there");
	fact_quiet(p, 4);
	fact_wrote(at_page(p, 4), 2, self());
}

static void mlock_case(void)
{
	char *p = map_anon(64), *q;

	fill(p, 32);
	gate();
	must(!mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
	q = map_anon(64);
	settle();
	write_pages(p, 64, 1);
	write_pages(q, 64, 2);
	check_filled(p, 32, "locked");
	check_written(p, 64, 1, "locked");
	check_written(q, 64, 2, "mapped and locked");
	fact_declared(p, 64);
	fact_declared(q, 64);
	must(!munlockall(), "munlockall");
	write_pages(p, 64, 3);
	check_written(p, 64, 3, "unlocked");
}

/* What no userfaultfd can watch must be named. */
static void unwatchable_case(void)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);
	char *secret = MAP_FAILED, *dropped;

	if (fd >= 0 && !ftruncate(fd, 4 * PAGE))
		secret = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	dropped = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1,
		       0);
	gate();
	if (secret != MAP_FAILED) {
		write_pages(secret, 4, 1);
		check_written(secret, 4, 1, "secret-memory");
		fact_why(secret, "secret-memory");
	}
	if (dropped != MAP_FAILED) {
		write_pages(dropped, 4, 2);
		fact_why(dropped, "refused-by-kernel");
	}
	printf("says secret %d, droppable %d\n", secret != MAP_FAILED, dropped != MAP_FAILED);
}

/* A great range that is only reserved costs nothing. */
static uint64_t status_kib(const char *key)
{
	char line[256];
	uint64_t kib = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			kib = strtoull(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

static void sparse_case(void)
{
	size_t len = (size_t)100 << 30;
	char *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *live = map_anon(65536);
	uint64_t before, after;

	must(p != MAP_FAILED, "reserving 100 GiB");
	fill(live, 65536);
	before = status_kib("VmPTE:");
	gate();
	after = status_kib("VmPTE:");
	must(after < before + 16384, "page tables: %" PRIu64 " KiB, before %" PRIu64, after,
	     before);
	write_pages(live, 64, 1);
	check_filled(live, 65536, "what was there");
	check_written(live, 64, 1, "written");
	fact_wrote(live, 64, self());
	fact_why(p, "not-writable");
	/* A piece of it comes to life. */
	must(!mprotect(at_page(p, 1 << 20), 64 * PAGE, PROT_READ | PROT_WRITE), "mprotect");
	write_pages(at_page(p, 1 << 20), 64, 2);
	settle();
	check_written(at_page(p, 1 << 20), 64, 2, "in the reserve");
	fact_declared(at_page(p, 1 << 20), 64);
}

/*
 * Moved together with a neighbour that is newer: one mapping can be, and two cannot
 * (EFAULT).  Nothing may come of that but the error.
 */
struct halves {
	char *old, *to, *now;
	bool moved;
};

static void halves_new(struct halves *h)
{
	h->old = h->now = map_alone(16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	h->to = map_anon(24);
	must(!munmap(at_page(h->old, 8), 8 * PAGE), "munmap");
	must(!mprotect(h->old, 8 * PAGE, PROT_READ | PROT_WRITE), "mprotect");
	fill(h->old, 8);
}

static void neighbour(struct halves *h)
{
	void *at = at_page(h->old, 8);

	must(mmap(at, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		  -1, 0) == at, "a neighbour");
}

static void halves_move(struct halves *h)
{
	char *at = mremap(h->old, 16 * PAGE, 24 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, h->to);

	h->moved = at != MAP_FAILED;
	must(h->moved || errno == EFAULT, "mremap of both halves");
	if (h->moved)
		h->now = at;
	check_filled(h->now, 8, "the older half");
}

static void merge_case(void)
{
	struct halves at_once, settled, written;

	halves_new(&at_once);
	halves_new(&settled);
	halves_new(&written);
	gate();
	neighbour(&at_once);
	halves_move(&at_once);
	neighbour(&settled);
	neighbour(&written);
	write_pages(at_page(written.old, 8), 8, 1);
	settle();
	halves_move(&settled);
	halves_move(&written);
	check_written(at_page(written.now, 8), 8, 1, "the newer half");
	settle();
	write_pages(at_once.now, 16, 2);
	write_pages(settled.now, 16, 3);
	write_pages(written.now, 16, 4);
	check_written(at_once.now, 16, 2, "moved at once");
	check_written(settled.now, 16, 3, "moved later");
	check_written(written.now, 16, 4, "written, moved later");
	fact_declared(at_once.now, 16);
	fact_declared(settled.now, 16);
	/* What was told at the old place is not told again at the new one. */
	fact_declared(written.now, 8);
	fact_declared(at_page(written.old, 8), 8);
	printf("moved at once %d, later %d, written before %d\n", at_once.moved, settled.moved,
	       written.moved);
}

static const struct memory_case cases[] = {
	{ "remove", remove_case },
	{ "alias", alias_case },
	{ "forkadvice", forkadvice_case },
	{ "grows", grows_case },
	{ "segv", segv_case },
	{ "shm", shm_case },
	{ "seal", seal_case },
	{ "foreign", foreign_case },
	{ "mlock", mlock_case },
	{ "unwatchable", unwatchable_case },
	{ "sparse", sparse_case },
	{ "merge", merge_case },
};

MEMORY_MAIN(cases)
