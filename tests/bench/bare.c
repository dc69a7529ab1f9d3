/* SPDX-License-Identifier: MIT */
/*
 * Bare: what the kernel's own means cost when nothing is made of what they tell.
 *
 *	bare sync PID FD LO HI CPU	answer each write fault, one ioctl, no record
 *	bare async PID FD LO HI CPU	write protection that the kernel lifts itself
 *	bare who PID FD LO HI CPU TID...	that, and a perf sample with call chain each
 *
 * FD is the number that a userfaultfd has in process PID; LO and HI are the mapping;
 * CPU is where to run, -1 for anywhere; TID... are the threads that write.  Says
 * `ready`, then obeys lines: `scan` collects and protects again what was written, and
 * says `scan NS PAGES RUNS`, the time that of the processor.  At the end of its input it
 * says `end SEEN LOST`.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "bare.h"
#include "watch/perf.h"

#define CPUS_MAX 64
#define EVENTS_MAX 1024
#define RING_BYTES (8u << 20)

static uint64_t lo, hi;
static int uffd, pagemap;
static _Atomic uint64_t seen;

static struct perf_ring rings[CPUS_MAX];
static int events[EVENTS_MAX];
static int ncpus, nevents;

static void adopt(pid_t pid, int number, uint64_t features)
{
	struct uffdio_register reg = {
		.range = { .start = lo, .len = hi - lo },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	uffd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (uffd < 0)
		give_up("pidfd_getfd");
	close(pidfd);
	shake_hands(uffd, features);
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		give_up("UFFDIO_REGISTER");
}

static void protect(uint64_t start, uint64_t len, uint64_t mode)
{
	struct uffdio_writeprotect wp = { .range = { .start = start, .len = len }, .mode = mode };

	if (ioctl(uffd, UFFDIO_WRITEPROTECT, &wp))
		give_up("UFFDIO_WRITEPROTECT");
}

static void *answer_faults(void *arg)
{
	struct uffd_msg msgs[16];
	ssize_t n;

	while ((n = read(uffd, msgs, sizeof(msgs))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(msgs[0]); i++)
			protect(msgs[i].arg.pagefault.address & ~(uint64_t)(PAGE - 1), PAGE, 0);
		atomic_fetch_add(&seen, (size_t)n / sizeof(msgs[0]));
	}
	give_up("read");
	return arg;
}

static void count_sample(void *arg, const void *record, size_t len)
{
	const struct perf_event_header *h = record;

	(void)len;
	if (h->type == PERF_RECORD_SAMPLE)
		++*(uint64_t *)arg;
}

static void *drain(void *arg)
{
	struct pollfd fds[CPUS_MAX];

	for (int c = 0; c < ncpus; c++)
		fds[c] = (struct pollfd){ .fd = rings[c].fd, .events = POLLIN };
	for (;;) {
		uint64_t n = 0;

		poll(fds, (nfds_t)ncpus, -1);
		for (int c = 0; c < ncpus; c++)
			perf_ring_read(&rings[c], count_sample, &n);
		atomic_fetch_add(&seen, n);
	}
	return arg;
}

static void open_rings(char **tids, int n)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS, .sample_period = 1,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
			       PERF_SAMPLE_ADDR | PERF_SAMPLE_CALLCHAIN,
		.read_format = PERF_FORMAT_LOST, .exclude_callchain_kernel = 1,
		.watermark = 1, .wakeup_watermark = RING_BYTES / 4,
		.use_clockid = 1, .clockid = CLOCK_MONOTONIC,
	};

	ncpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 1 || ncpus > CPUS_MAX || n * ncpus > EVENTS_MAX)
		give_up("too many threads or CPUs");
	for (int c = 0; c < ncpus; c++) {
		if (perf_ring_open(&rings[c], c, RING_BYTES, RING_BYTES / 4))
			give_up("perf ring");
		for (int i = 0; i < n; i++) {
			int fd = perf_event_for(&attr, (pid_t)strtol(tids[i], NULL, 10), c);

			if (fd < 0 || perf_event_to_ring(fd, &rings[c]))
				give_up("perf event");
			events[nevents++] = fd;
		}
	}
}

static void obey_lines(void)
{
	uint64_t pages, runs, begin, lost = 0;
	char line[32];

	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		begin = cpu_now(CLOCK_THREAD_CPUTIME_ID);
		pages = scan(pagemap, (struct range){ lo, hi }, &runs);
		printf("scan %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		       cpu_now(CLOCK_THREAD_CPUTIME_ID) - begin, pages, runs);
		fflush(stdout);
	}
	for (int i = 0; i < nevents; i++)
		lost += perf_event_lost(events[i]);
	printf("end %" PRIu64 " %" PRIu64 "\n", atomic_load(&seen), lost);
}

static void go_to(int cpu)
{
	cpu_set_t cpus;

	if (cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET((size_t)cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		give_up("sched_setaffinity");
}

int main(int argc, char **argv)
{
	bool sync, who;
	pthread_t t;
	pid_t pid;

	if (argc < 7)
		return 2;
	sync = !strcmp(argv[1], "sync");
	who = !strcmp(argv[1], "who");
	pid = (pid_t)strtol(argv[2], NULL, 10);
	lo = strtoul(argv[4], NULL, 0);
	hi = strtoul(argv[5], NULL, 0);
	go_to((int)strtol(argv[6], NULL, 10));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pagemap = open_pagemap(pid);
	adopt(pid, (int)strtol(argv[3], NULL, 10),
	      sync ? UFFD_FEATURE_PAGEFAULT_FLAG_WP
		   : UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
	if (who)
		open_rings(argv + 7, argc - 7);
	/* Served before the first page is protected. */
	if ((sync || who) && pthread_create(&t, NULL, sync ? answer_faults : drain, NULL))
		give_up("thread");
	protect(lo, hi - lo, UFFDIO_WRITEPROTECT_MODE_WP);
	obey_lines();
	return 0;
}
