/* SPDX-License-Identifier: MIT */
/*
 * Bare copy: how quickly the kernel puts the pages of a file into another process, when
 * nothing is written down, and nobody looks whether it was right.
 *
 *	bare-copy FILE fill THREADS	all of it, into a process that sleeps: NS
 *	bare-copy FILE walk THREADS	into one that touches all pages once, in no order,
 *					and is answered page by page on its own CPU, while
 *					THREADS fill on the others: NS WAITS P50 P99 MAX
 *	bare-copy FILE ask PAGES	the same, nothing fills, and so many pages come with
 *					each answer, over a TCP connection of this machine
 *
 * A touch of more than SLOW waited; times in nanoseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "compat/uffd.h"

#define PAGE UINT64_C(4096)
#define CHUNK_FILL (64 * PAGE)
#define CHUNK_WALK (4 * PAGE)
#define SLOW 5000u
#define PRIME UINT64_C(7368787)
#define THREADS_MAX 16
#define NUMBER 100	/* of the userfaultfd, there */

struct shared {
	_Atomic uint32_t ready, go, done;
	uint64_t ns;
	uint32_t waits[];
};

static struct shared *shared;
static char *region, *file;
static uint64_t bytes, chunk;
static _Atomic uint64_t cursor;
static int uffd;

static void give_up(const char *what)
{
	fprintf(stderr, "bare-copy: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* How far it went. */
static uint64_t copy(uint64_t at, uint64_t len)
{
	struct uffdio_copy c = {
		.dst = (uintptr_t)region + at, .src = (uintptr_t)file + at, .len = len,
	};

	if (!ioctl(uffd, UFFDIO_COPY, &c))
		return len;
	if (errno != EEXIST && errno != EAGAIN)
		give_up("UFFDIO_COPY");
	return c.copy > 0 ? (uint64_t)c.copy : PAGE;	/* that one is there */
}

static void *fill(void *arg)
{
	uint64_t at;

	if (arg)
		run_on(*(const int *)arg);
	while ((at = atomic_fetch_add(&cursor, chunk)) < bytes) {
		uint64_t end = at + chunk < bytes ? at + chunk : bytes;

		while (at < end)
			at += copy(at, end - at);
	}
	return NULL;
}

static void *answer(void *arg)
{
	struct uffd_msg msg;
	struct uffdio_range r = { .len = PAGE };

	run_on(0);
	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		r.start = msg.arg.pagefault.address & ~(PAGE - 1);
		copy(r.start - (uintptr_t)region, PAGE);
		ioctl(uffd, UFFDIO_WAKE, &r);
	}
	return arg;
}

/* A connection to ourselves; both ends. */
static void connect_ends(int ends[2])
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);
	const int on = 1;

	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &len) ||
	    connect(ends[0], (struct sockaddr *)&at, len))
		give_up("connect");
	ends[1] = accept(listener, NULL, NULL);
	for (int i = 0; i < 2; i++)
		setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void *give(void *arg)
{
	uint64_t at;

	run_on(1 % (int)sysconf(_SC_NPROCESSORS_ONLN));
	while (recv(*(const int *)arg, &at, sizeof(at), MSG_WAITALL) == sizeof(at))
		if (send(*(const int *)arg, file + at, chunk, 0) < 0)
			give_up("send");
	return NULL;
}

/* As many as come with one answer; what is there already is not owed. */
static void *answer_from_afar(void *arg)
{
	static uint8_t got[THREADS_MAX * PAGE];
	int ends[2];
	pthread_t giver;
	struct uffd_msg msg;

	(void)arg;
	connect_ends(ends);
	if (pthread_create(&giver, NULL, give, &ends[1]))
		give_up("pthread_create");
	run_on(0);
	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		uint64_t at = msg.arg.pagefault.address - (uintptr_t)region;
		struct uffdio_copy c = { .src = (uintptr_t)got, .len = chunk };

		at -= at % chunk;
		c.dst = (uintptr_t)region + at;
		if (send(ends[0], &at, sizeof(at), 0) < 0)
			give_up("send");
		for (uint64_t n = 0; n < chunk;) {
			ssize_t r = recv(ends[0], got + n, chunk - n, MSG_DONTWAIT);

			n += r > 0 ? (uint64_t)r : 0;
		}
		if (ioctl(uffd, UFFDIO_COPY, &c) && errno != EEXIST)
			give_up("UFFDIO_COPY");
	}
	return NULL;
}

/* The other process. */
static void touch_all(void)
{
	uint64_t npages = bytes / PAGE, begun = clock_now();
	uint32_t n = 0;

	for (uint64_t k = 0; k < npages; k++) {
		uint64_t from = clock_now(), took;

		(void)*(volatile char *)(region + k * PRIME % npages * PAGE);
		took = clock_now() - from;
		if (took > SLOW)
			shared->waits[n++] = (uint32_t)took;
	}
	shared->ns = clock_now() - begun;
	shared->done = n + 1;
}

static void be_the_process(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)region, .len = bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on(0);
	madvise(shared->waits, bytes / PAGE * sizeof(uint32_t), MADV_POPULATE_WRITE);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    dup2(fd, NUMBER) < 0)
		give_up("userfaultfd");
	atomic_store(&shared->ready, 1);
	while (!atomic_load(&shared->go))
		usleep(100);
	touch_all();
	for (;;)
		pause();
}

static pid_t start(void)
{
	pid_t pid;
	int pidfd;

	region = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = mmap(NULL, sizeof(*shared) + bytes / PAGE * sizeof(uint32_t),
		      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED || shared == MAP_FAILED)
		give_up("mmap");
	pid = fork();
	if (!pid)
		be_the_process();
	while (!atomic_load(&shared->ready) && !waitpid(pid, NULL, WNOHANG))
		usleep(100);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	uffd = (int)syscall(SYS_pidfd_getfd, pidfd, NUMBER, 0);
	if (uffd < 0)
		give_up("pidfd_getfd");
	close(pidfd);
	return pid;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void tell_walk(void)
{
	uint32_t n = shared->done - 1;

	qsort(shared->waits, n, sizeof(shared->waits[0]), by_value);
	if (!n)
		shared->waits[0] = 0;
	printf("%" PRIu64 " %u %u %u %u\n", shared->ns, n, shared->waits[n / 2],
	       shared->waits[n * 99ull / 100], shared->waits[n ? n - 1 : 0]);
}

int main(int argc, char **argv)
{
	int fd = argc == 4 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1, threads;
	bool ask = argc == 4 && !strcmp(argv[2], "ask");
	bool walk = ask || (argc == 4 && !strcmp(argv[2], "walk"));
	int ncpus = (int)sysconf(_SC_NPROCESSORS_ONLN), cpus[THREADS_MAX];
	pthread_t thread[THREADS_MAX], answers;
	struct stat st;
	uint64_t from;
	pid_t pid;

	if (fd < 0 || fstat(fd, &st))
		return 2;
	alarm(120);
	threads = (int)strtol(argv[3], NULL, 10);
	if (threads < ask || threads > THREADS_MAX)
		return 2;
	chunk = ask ? (uint64_t)threads * PAGE : walk ? CHUNK_WALK : CHUNK_FILL;
	threads = ask ? 0 : threads;
	bytes = (uint64_t)st.st_size & ~((ask ? chunk : PAGE) - 1);
	file = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (file == MAP_FAILED)
		give_up("mmap");
	pid = start();
	from = clock_now();
	if (walk && pthread_create(&answers, NULL, ask ? answer_from_afar : answer, NULL))
		return 1;
	for (int i = 0; i < threads; i++) {
		cpus[i] = ncpus > 1 ? 1 + i % (ncpus - 1) : 0;
		if (pthread_create(&thread[i], NULL, fill, walk ? &cpus[i] : NULL))
			return 1;
	}
	if (walk)
		atomic_store(&shared->go, 1);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	if (!walk)
		printf("%" PRIu64 "\n", clock_now() - from);
	while (walk && !atomic_load(&shared->done))
		usleep(1000);
	if (walk)
		tell_walk();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
