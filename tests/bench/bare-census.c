/* SPDX-License-Identifier: MIT */
/*
 * Bare census: what the kernel's own means cost a running program, with nothing made of
 * what they tell.  The limit of what `pagetap record --engine async` can be.
 *
 *	bare-census MS PID
 *
 * Borrows a userfaultfd from PID, protects its private anonymous memory as WP_ASYNC has
 * it, and each MS milliseconds collects and protects again what was written, 32 MiB a
 * call.  Ends at SIGINT, and says `passes N PAGES NS`, the time that of the processor.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#include "bare.h"
#include "pagetap/inject.h"

#define MAPPINGS 4096u

static struct range mappings[MAPPINGS];
static unsigned int nmappings;
static int uffd, pagemap;
static volatile sig_atomic_t over;

static void end(int sig)
{
	(void)sig;
	over = 1;
}

static void adopt(pid_t pid)
{
	struct pagetap_loan loan = { .size = sizeof(loan) };
	struct pagetap_failure f = { 0 };

	if (pagetap_borrow(pid, NULL, &loan, &f) < 0) {
		errno = f.error;
		give_up(f.text);
	}
	uffd = loan.uffd;
	shake_hands(uffd, UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
}

static void register_all(pid_t pid)
{
	char path[64], line[512], prot[8];
	unsigned long inode;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		give_up(path);
	while (nmappings < MAPPINGS && fgets(line, sizeof(line), f)) {
		struct range r;
		struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %lu", &r.lo, &r.hi, prot,
			   &inode) != 4 || inode || strcmp(prot, "rw-p"))
			continue;
		reg.range = (struct uffdio_range){ r.lo, r.hi - r.lo };
		if (!ioctl(uffd, UFFDIO_REGISTER, &reg))
			mappings[nmappings++] = r;
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	uint64_t epoch, due = clock_now(), begin = 0, pages = 0, passes = 0, runs;
	struct sigaction sa = { .sa_handler = end };
	pid_t pid;

	if (argc != 3)
		return 2;
	epoch = strtoul(argv[1], NULL, 10) * NSEC_PER_MSEC;
	pid = (pid_t)strtol(argv[2], NULL, 10);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGINT, &sa, NULL);
	pagemap = open_pagemap(pid);
	adopt(pid);
	register_all(pid);
	for (; !over; due += epoch) {
		uint64_t now = clock_now(), found = 0;

		if (now < due)
			poll(NULL, 0, (int)((due - now) / NSEC_PER_MSEC));
		for (unsigned int i = 0; i < nmappings; i++)
			found += scan(pagemap, mappings[i], &runs);
		/* The first finds everything. */
		if (!begin)
			begin = cpu_now(CLOCK_PROCESS_CPUTIME_ID);
		else
			passes++;
		pages += passes ? found : 0;
	}
	printf("passes %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", passes, pages,
	       cpu_now(CLOCK_PROCESS_CPUTIME_ID) - begin);
	return 0;
}
