/* SPDX-License-Identifier: MIT */
/*
 * First-write: what the first write to each page costs - unwatched, watched by
 * pagetap, and caught by the program itself with mprotect(2) and SIGSEGV.
 *
 *	first-write PAGETAP PAGES ROUNDS
 *
 * One process writes to populated pages in random order and reads the clock around
 * it; the three ways take turns, so that what else the machine does hits them
 * alike.  Prints one JSON object: medians of ROUNDS rounds, nanoseconds a page.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define PAGE 4096u

static unsigned char *memory;
static uint32_t *order;
static size_t npages;

static void give_up(const char *what)
{
	perror(what);
	_exit(1);
}

/* The way of a program that watches itself. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);

	(void)sig;
	(void)context;
	if (mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
		_exit(1);
}

static uint64_t write_all(void)
{
	uint64_t begin = clock_now();

	for (size_t i = 0; i < npages; i++)
		*(volatile uint32_t *)(memory + (size_t)order[i] * PAGE) += 1;
	return (clock_now() - begin) / npages;
}

/* Commands: 'w' write to all, 'p' protect first, 'q' end.  Answers with ns a page. */
static void target(int commands, int answers)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	uint64_t ns;
	char c;

	/* Whatever happens to whoever commands, this process ends. */
	alarm(300);
	sigaction(SIGSEGV, &sa, NULL);
	while (read(commands, &c, 1) == 1 && c != 'q') {
		if (c == 'p' && mprotect(memory, npages * PAGE, PROT_READ))
			give_up("mprotect");
		ns = write_all();
		if (write(answers, &ns, sizeof(ns)) != sizeof(ns))
			give_up("write");
	}
	_exit(0);
}

static uint64_t ask(int commands, int answers, char what)
{
	uint64_t ns = 0;

	if (write(commands, &what, 1) != 1 || read(answers, &ns, sizeof(ns)) != sizeof(ns))
		give_up("target");
	return ns;
}

/* Is every page's mapping write-protectable now?  proc_pid_smaps(5), flag uw. */
static bool watched(pid_t pid)
{
	char line[512], path[64];
	unsigned long lo, hi;
	bool here = false, found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			here = lo <= (uintptr_t)memory && hi > (uintptr_t)memory;
		else if (here && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, " uw") != NULL;
	}
	if (f)
		fclose(f);
	return found;
}

/* Start the recording and wait until it says that it is attached. */
static pid_t watch(const char *pagetap, pid_t pid)
{
	char number[16], line[512];
	bool attached = false;
	int err[2];
	pid_t p;
	FILE *f;

	snprintf(number, sizeof(number), "%d", pid);
	if (pipe2(err, O_CLOEXEC))
		give_up("pipe");
	p = fork();
	if (!p) {
		dup2(err[1], 2);
		execl(pagetap, "pagetap", "record", "-p", number, "-o", "/dev/null",
		      "--color", "never", (char *)NULL);
		_exit(127);
	}
	close(err[1]);
	f = fdopen(err[0], "r");
	while (!attached && f && fgets(line, sizeof(line), f))
		attached = strstr(line, "attached to") != NULL;
	if (!attached || !watched(pid)) {
		fprintf(stderr, "first-write: pagetap did not attach\n");
		_exit(1);
	}
	/* It says little more than fits into the pipe. */
	return p;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static void prepare(void)
{
	uint64_t state = 1;

	memory = mmap(NULL, npages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	order = malloc(npages * sizeof(*order));
	if (memory == MAP_FAILED || !order)
		give_up("memory");
	madvise(memory, npages * PAGE, MADV_NOHUGEPAGE);
	memset(memory, 1, npages * PAGE);
	for (size_t i = 0; i < npages; i++) {
		size_t j;

		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		j = (size_t)(state >> 33) % (i + 1);
		order[i] = order[j];
		order[j] = (uint32_t)i;
	}
}

int main(int argc, char **argv)
{
	int commands[2], answers[2], status;
	uint64_t *free_ns, *watched_ns, *again_ns, *self_ns;
	size_t rounds;
	pid_t pid, p;

	if (argc != 4)
		return 2;
	npages = strtoul(argv[2], NULL, 10);
	rounds = strtoul(argv[3], NULL, 10);
	free_ns = calloc(rounds * 4, sizeof(uint64_t));
	if (!npages || !rounds || !free_ns)
		return 2;
	if (pipe2(commands, O_CLOEXEC) || pipe2(answers, O_CLOEXEC))
		return 2;
	watched_ns = free_ns + rounds;
	again_ns = watched_ns + rounds;
	self_ns = again_ns + rounds;
	prepare();
	pid = fork();
	if (!pid) {
		close(commands[1]);
		target(commands[0], answers[1]);
	}
	alarm(280);
	/* Copied after the fork, once, so that no round pays for it. */
	ask(commands[1], answers[0], 'w');
	for (size_t i = 0; i < rounds; i++) {
		free_ns[i] = ask(commands[1], answers[0], 'w');
		self_ns[i] = ask(commands[1], answers[0], 'p');
		p = watch(argv[1], pid);
		watched_ns[i] = ask(commands[1], answers[0], 'w');
		again_ns[i] = ask(commands[1], answers[0], 'w');
		kill(p, SIGINT);
		if (waitpid(p, &status, 0) != p || !WIFEXITED(status) || WEXITSTATUS(status)) {
			fprintf(stderr, "first-write: pagetap ended with %#x\n",
				(unsigned int)status);
			return 1;
		}
	}
	if (write(commands[1], "q", 1) != 1)
		return 1;
	waitpid(pid, &status, 0);
	printf("{\"bench\":\"first-write\",\"pages\":%zu,\"rounds\":%zu,\"untraced_ns\":%" PRIu64
	       ",\"pagetap_sync_ns\":%" PRIu64 ",\"pagetap_second_write_ns\":%" PRIu64
	       ",\"mprotect_sigsegv_ns\":%" PRIu64 "}\n",
	       npages, rounds, median(free_ns, rounds), median(watched_ns, rounds),
	       median(again_ns, rounds), median(self_ns, rounds));
	return 0;
}
