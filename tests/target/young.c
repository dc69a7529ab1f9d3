/* SPDX-License-Identifier: MIT */
/*
 * young: makes memory of many kinds and writes to it at once, and again once writes to it
 * are told of: a page that userfaultfd protects has bit 57 in pagemap(5).
 *
 *	young [-n ROUNDS]
 *
 * Waits for SIGUSR1 first.  Prints a line for each mapping it makes:
 *	KIND TID FIRST LATER BEFORE AFTER	the addresses written at once, and later; the
 *					times around the first write, CLOCK_MONOTONIC ns
 * Exits 0 if everything could be made.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define SIZE (64 * PAGE)
#define WHILE 60000	/* us: the kernel's news travel in one thousandth of it */
#define PATIENCE 15000	/* ms: a machine may have much else to do */
#define PM_UFFD_WP (UINT64_C(1) << 57)

static int pagemap;

static bool is_protected(const volatile char *p)
{
	uint64_t entry = 0;
	const off_t at = (off_t)((uintptr_t)p / PAGE * sizeof(entry));

	return pread(pagemap, &entry, sizeof(entry), at) == sizeof(entry) && entry & PM_UFFD_WP;
}

static uintmax_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uintmax_t)ts.tv_sec * 1000000000 + (uintmax_t)ts.tv_nsec;
}

static void use(const char *kind, volatile char *p)
{
	uintmax_t before = now(), after;

	p[8] = 1;
	after = now();
	for (int i = 0; i < PATIENCE && !is_protected(p + 5 * PAGE); i++)
		usleep(1000);
	p[5 * PAGE + 24] = 2;
	printf("%s %ld 0x%jx 0x%jx %ju %ju\n", kind, (long)syscall(SYS_gettid),
	       (uintmax_t)(uintptr_t)(p + 8), (uintmax_t)(uintptr_t)(p + 5 * PAGE + 24), before,
	       after);
	fflush(stdout);
}

static bool use_map(const char *kind, int flags)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	use(kind, p);
	munmap(p, SIZE);
	return true;
}

static bool use_memfd(void)
{
	int fd = memfd_create("young", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, SIZE))
		return false;
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return false;
	use("memfd", p);
	munmap(p, SIZE);
	return true;
}

static bool use_brk(void)
{
	char *p = sbrk(SIZE);

	if (p == (void *)-1)
		return false;
	use("brk", (char *)(((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1)));
	return true;
}

/* No access at first: it becomes memory by mprotect. */
static bool use_protected(void)
{
	char *p = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	usleep(WHILE);
	if (mprotect(p, SIZE, PROT_READ | PROT_WRITE))
		return false;
	use("mprotect", p);
	munmap(p, SIZE);
	return true;
}

static void *on_stack(void *arg)
{
	char room[16 * PAGE];

	(void)arg;
	use("thread", (char *)(((uintptr_t)room + PAGE - 1) & ~(uintptr_t)(PAGE - 1)));
	return NULL;
}

static bool use_thread(void)
{
	pthread_t t;

	return !pthread_create(&t, NULL, on_stack, NULL) && !pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	int rounds = 5, opt, signal_nr;
	sigset_t set;

	while ((opt = getopt(argc, argv, "n:")) != -1) {
		if (opt != 'n')
			return 2;
		rounds = (int)strtol(optarg, NULL, 10);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	puts("ready");
	fflush(stdout);
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return 1;
	sigwait(&set, &signal_nr);
	for (int i = 0; i < rounds; i++)
		if (!use_map("anon", MAP_PRIVATE) || !use_map("shared", MAP_SHARED) ||
		    !use_memfd() || !use_brk() || !use_protected() || !use_thread())
			return 1;
	return 0;
}
