/* SPDX-License-Identifier: MIT */
/*
 * young: makes memory of many kinds and writes to it at once, and again a while later.
 *
 *	young [-n ROUNDS]
 *
 * Waits for SIGUSR1 first.  Prints a line for each mapping it makes:
 *	KIND TID FIRST LATER	the addresses written at once, and later
 * Exits 0 if everything could be made.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096
#define SIZE (64 * PAGE)
#define WHILE 60000	/* us: the kernel's news travel in one thousandth of it */

static void use(const char *kind, volatile char *p)
{
	p[8] = 1;
	usleep(WHILE);
	p[5 * PAGE + 24] = 2;
	printf("%s %ld 0x%jx 0x%jx\n", kind, (long)syscall(SYS_gettid),
	       (uintmax_t)(uintptr_t)(p + 8), (uintmax_t)(uintptr_t)(p + 5 * PAGE + 24));
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
	sigwait(&set, &signal_nr);
	for (int i = 0; i < rounds; i++)
		if (!use_map("anon", MAP_PRIVATE) || !use_map("shared", MAP_SHARED) ||
		    !use_memfd() || !use_brk() || !use_protected() || !use_thread())
			return 1;
	return 0;
}
