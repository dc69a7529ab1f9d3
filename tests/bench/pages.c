/* SPDX-License-Identifier: MIT */
/*
 * Pages: a process that writes to pages when it is told, and reads the clock around it.
 *
 *	pages MAPPED-MIB PAGES window|scattered random|sequential THREADS
 *
 * Maps MAPPED-MIB and populates PAGES of them: those at the start, or spread evenly.
 * Says `ready LO HI SYSCALL` (the mapping, and the address of a system call instruction
 * for a tracer), then obeys lines:
 *
 *	write N [FIRST]	each thread writes to its share of N pages, from the FIRST on
 *	protect N	the same, after mprotect(2): its own SIGSEGV handler lifts it
 *	traced N	mprotect(2) alone; who traces lifts it
 *	touch N		the same after madvise(MADV_DONTNEED): first touches
 *	pace N MS DEPTH	for MS milliseconds N pages a millisecond, round and round, by
 *			threads that are so many calls deep
 *	armed		how many of the pages have no write protection of a userfaultfd
 *	uffd		opens one and says its number
 *	close		closes it
 *
 * Each answer is one line: `ns WALL N`, wall nanoseconds from the first thread's start to
 * the last one's end, and for how many pages, because each thread stops after PASS_MAX;
 * `pages N`; `fd N`.  Ends at the end of its input.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define PAGE 4096u
#define THREADS_MAX 64
#define PASS_MAX (3 * NSEC_PER_SEC)
#define UFFD_WP_BIT (UINT64_C(1) << 57)

static unsigned char *memory;
static size_t mapped, npages;
static uint32_t stride;		/* from one page that is written to the next, 1 to 512 */
static uint32_t *order;		/* pages of the mapping, in the order they are written */
static int nthreads;

/* What the threads do next; between the barriers only they run. */
static pthread_barrier_t begin_barrier, end_barrier;
static size_t want_first, want_pages;
static unsigned int want_depth;		/* of calls with frame pointers */
static uint64_t begin_at[THREADS_MAX], end_at[THREADS_MAX];
static size_t done[THREADS_MAX];

#ifdef __x86_64__
extern const char traced_syscall[];
__asm__(".text\n.globl traced_syscall\ntraced_syscall: syscall\n int3\n");
#else
static const char traced_syscall[1];
#endif

static void give_up(const char *what)
{
	perror(what);
	_exit(1);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);

	(void)sig;
	(void)context;
	if (page < (uintptr_t)memory || page >= (uintptr_t)memory + mapped ||
	    mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
		_exit(1);
}

/* Whoever asks for its frame has one. */
#define HAVE_A_FRAME (*(void *volatile *)&frame_of_somebody = __builtin_frame_address(0))
static void *frame_of_somebody;

__attribute__((noinline)) static void write_share(int me)
{
	size_t lo = want_pages * (size_t)me / (size_t)nthreads;
	size_t hi = want_pages * ((size_t)me + 1) / (size_t)nthreads;

	HAVE_A_FRAME;
	begin_at[me] = clock_now();
	for (size_t i = lo; i < hi; i++) {
		size_t at = (want_first + i) % npages;

		/* Not read before: a first touch is one fault then, not two. */
		*(volatile uint32_t *)(memory + (size_t)order[at] * PAGE + 64) = (uint32_t)i;
		done[me]++;
		if (i % 64 == 63 && clock_now() - begin_at[me] > PASS_MAX)
			break;
	}
	end_at[me] = clock_now();
}

__attribute__((noinline)) static void write_from(int me, unsigned int depth)
{
	HAVE_A_FRAME;
	if (depth)
		write_from(me, depth - 1);
	else
		write_share(me);
	HAVE_A_FRAME;	/* not a jump */
}

static void *thread_main(void *arg)
{
	int me = (int)(intptr_t)arg;
	cpu_set_t cpus;

	/* Where who runs decides what a fault costs: so it is the same in every round. */
	CPU_ZERO(&cpus);
	CPU_SET((size_t)(me % (int)sysconf(_SC_NPROCESSORS_ONLN)), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	for (;;) {
		pthread_barrier_wait(&begin_barrier);
		write_from(me, want_depth);
		pthread_barrier_wait(&end_barrier);
	}
	return NULL;
}

static uint64_t write_pages(size_t first, size_t n, size_t *ret_pages)
{
	uint64_t begin = UINT64_MAX, end = 0;

	want_first = first;
	want_pages = n;
	pthread_barrier_wait(&begin_barrier);
	pthread_barrier_wait(&end_barrier);
	*ret_pages = 0;
	for (int i = 0; i < nthreads; i++) {
		*ret_pages += done[i];
		done[i] = 0;
		begin = begin_at[i] < begin ? begin_at[i] : begin;
		end = end_at[i] > end ? end_at[i] : end;
	}
	return end - begin;
}

/* Written pages of a steady writer: N each millisecond, none made up for later. */
static uint64_t write_paced(size_t n, uint64_t ms)
{
	uint64_t begin = clock_now(), next = begin, written = 0;
	size_t at = 0, pages;

	while (clock_now() - begin < ms * NSEC_PER_MSEC) {
		write_pages(at, n, &pages);
		at = (at + n) % npages;
		written += pages;
		next += NSEC_PER_MSEC;
		while (clock_now() < next)
			;
	}
	return written;
}

static size_t unarmed(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry[512];
	size_t open_pages = 0;

	if (fd < 0)
		give_up("pagemap");
	for (size_t p = 0; p < npages; p += 512 / stride) {
		size_t n = 512 / stride < npages - p ? 512 / stride : npages - p;
		off_t at = (off_t)(((uintptr_t)memory / PAGE + p * stride) * sizeof(entry[0]));

		if (pread(fd, entry, n * stride * sizeof(entry[0]), at) < 0)
			give_up("pagemap");
		for (size_t i = 0; i < n; i++)
			open_pages += !(entry[i * stride] & UFFD_WP_BIT);
	}
	close(fd);
	return open_pages;
}

static void prepare(bool scattered, bool random)
{
	uint64_t state = 1;

	stride = scattered ? (uint32_t)(mapped / PAGE / npages) : 1;
	memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	order = malloc(npages * sizeof(*order));
	if (memory == MAP_FAILED || !order || madvise(memory, mapped, MADV_NOHUGEPAGE))
		give_up("memory");
	/* Faster than one fault each; Linux 5.14, and without it the loop does it. */
	if (!scattered)
		madvise(memory, npages * PAGE, MADV_POPULATE_WRITE);
	for (size_t i = 0; i < npages; i++) {
		order[i] = (uint32_t)i * stride;
		memory[(size_t)order[i] * PAGE] = 1;
	}
	for (size_t i = npages; random && i-- > 1;) {
		uint32_t other;
		size_t j;

		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		j = (size_t)(state >> 33) % (i + 1);
		other = order[j];
		order[j] = order[i];
		order[i] = other;
	}
}

/* Should memory run out on this machine, then here. */
static void be_first_to_go(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1000", 4) != 4)
		give_up("oom_score_adj");
	close(fd);
}

static void start_threads(void)
{
	pthread_t t;

	if (pthread_barrier_init(&begin_barrier, NULL, (unsigned int)nthreads + 1) ||
	    pthread_barrier_init(&end_barrier, NULL, (unsigned int)nthreads + 1))
		give_up("barrier");
	for (int i = 0; i < nthreads; i++)
		if (pthread_create(&t, NULL, thread_main, (void *)(intptr_t)i))
			give_up("thread");
}

static void write_and_tell(size_t first, size_t n)
{
	size_t pages;
	uint64_t ns = write_pages(first, n, &pages);

	printf("ns %" PRIu64 " %zu\n", ns, pages);
}

static bool obey(const char *line)
{
	static int uffd = -1;
	size_t n = 0, more = 0;
	char word[16];

	want_depth = 0;
	if (sscanf(line, "%15s %zu %zu %u", word, &n, &more, &want_depth) < 1 || n > npages)
		return false;
	if (!strcmp(word, "write")) {
		write_and_tell(more, n);
	} else if (!strcmp(word, "protect") || !strcmp(word, "traced")) {
		signal(SIGSEGV, SIG_DFL);
		if (word[0] == 'p') {
			struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

			sigaction(SIGSEGV, &sa, NULL);
		}
		if (mprotect(memory, mapped, PROT_READ))
			give_up("mprotect");
		write_and_tell(0, n);
		if (mprotect(memory, mapped, PROT_READ | PROT_WRITE))
			give_up("mprotect");
	} else if (!strcmp(word, "touch")) {
		if (madvise(memory, mapped, MADV_DONTNEED))
			give_up("madvise");
		write_and_tell(0, n);
		/* All are there again for whoever comes next. */
		write_pages(0, npages, &n);
	} else if (!strcmp(word, "pace")) {
		printf("pages %" PRIu64 "\n", write_paced(n, more));
	} else if (!strcmp(word, "armed")) {
		printf("pages %zu\n", unarmed());
	} else if (!strcmp(word, "uffd")) {
		uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
		printf("fd %d\n", uffd);
	} else if (!strcmp(word, "close")) {
		close(uffd);
		printf("fd -1\n");
	} else {
		return false;
	}
	fflush(stdout);
	return true;
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc != 6)
		return 2;
	mapped = strtoul(argv[1], NULL, 10) << 20;
	npages = strtoul(argv[2], NULL, 10);
	nthreads = (int)strtol(argv[5], NULL, 10);
	if (!npages || npages * PAGE > mapped ||
	    mapped / PAGE / npages > 512 || nthreads < 1 || nthreads > THREADS_MAX)
		return 2;
	/* Nobody waits for ever on a userfaultfd that nobody serves. */
	alarm(800);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	be_first_to_go();
	prepare(!strcmp(argv[3], "scattered"), !strcmp(argv[4], "random"));
	start_threads();
	printf("ready %#" PRIxPTR " %#" PRIxPTR " %#" PRIxPTR "\n", (uintptr_t)memory,
	       (uintptr_t)memory + mapped, (uintptr_t)traced_syscall);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		if (!obey(line)) {
			fprintf(stderr, "pages: cannot do: %s", line);
			return 2;
		}
	return 0;
}
