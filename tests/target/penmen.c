/* SPDX-License-Identifier: MIT */
/*
 * Penmen: threads that each write pages of their own, by a function of their own, and
 * say of every write who it was, where, from where and when.
 *
 *	penmen rounds N MS	N rounds of known writes and reads, MS apart
 *	penmen storm PAGES MS	every page once, from deep in a chain of calls, in MS
 *	penmen guests N MS	reads N pages that others will write, and lets a vfork() child
 *				and a thread of io_uring write a page each; at the next line
 *				it goes on, for MS
 *	penmen poke PID ADDR N	writes N pages of a process by process_vm_writev(2), and N more
 *				through /proc/PID/mem
 *
 * Begins when a line comes by stdin.  Knows nothing of who may be watching.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define EACH ((size_t)64)	/* pages a thread writes in a round */
#define THREADS 5
#define DEPTH 24

/* Whoever asks for its frame has one, so that frame pointers lead through it. */
#define HAVE_A_FRAME (*(void *volatile *)&frame_of_somebody = __builtin_frame_address(0))
static void *frame_of_somebody;

static unsigned char *memory, *shared;
static int zeros;
static volatile unsigned char sink;

void hand_plain(unsigned char *p);
void hand_copy(unsigned char *p);
void hand_call(unsigned char *p);
void hand_shared(unsigned char *p);
void pen_plain(unsigned char *p);
void pen_copy(unsigned char *p);
void pen_call(unsigned char *p);
void pen_shared(unsigned char *p);
void hand_stray(unsigned char *p);
void pen_stray(unsigned char *p);

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

__attribute__((noinline)) void pen_plain(unsigned char *p)
{
	HAVE_A_FRAME;
	*(volatile unsigned char *)p += 1;
	HAVE_A_FRAME;	/* still */
}

__attribute__((noinline)) void pen_copy(unsigned char *p)
{
	static const unsigned char word[8] = "written";

	HAVE_A_FRAME;
	for (size_t i = 0; i < sizeof(word); i++)
		((volatile unsigned char *)p)[i] = word[i];
	HAVE_A_FRAME;
}

/* The kernel writes. */
__attribute__((noinline)) void pen_call(unsigned char *p)
{
	HAVE_A_FRAME;
	if (read(zeros, p, 16) != 16)
		_exit(1);
}

__attribute__((noinline)) void pen_shared(unsigned char *p)
{
	HAVE_A_FRAME;
	*(volatile unsigned char *)(shared + (p - memory)) += 1;
	HAVE_A_FRAME;
}

/* Each is called by a function that stays on the stack. */
#define HAND(name)                                                                        \
	__attribute__((noinline)) void hand_##name(unsigned char *p)                      \
	{                                                                                 \
		HAVE_A_FRAME;                                                             \
		pen_##name(p);                                                            \
		HAVE_A_FRAME;                                                             \
	}
HAND(plain)
HAND(copy)
HAND(call)
HAND(shared)

/*
 * Code without frame pointers has anything in that register.  Here it is a frame that
 * returns to data: the chain leads through no function of ours, and not astray.
 */
__attribute__((noinline)) void pen_stray(unsigned char *p)
{
#ifdef __x86_64__
	static const void *const frame[2] = { NULL, &frame_of_somebody };

	const void *other = frame;

	__asm__ volatile("xchg %%rbp, %0\n\tincb (%1)\n\txchg %%rbp, %0"
			 : "+a"(other) : "D"(p) : "memory", "cc");
#else
	*(volatile unsigned char *)p += 1;
#endif
}
HAND(stray)

static const struct penman {
	const char *name;
	void (*write)(unsigned char *p);
} penmen[THREADS] = {
	{ "plain", hand_plain }, { "copy", hand_copy }, { "call", hand_call },
	{ "shared", hand_shared }, { "stray", hand_stray },
};

static struct task {
	pthread_t thread;
	unsigned int nr, round;
} tasks[THREADS];

static void *work(void *arg)
{
	const struct task *t = arg;
	const struct penman *m = &penmen[t->nr];

	pthread_setname_np(pthread_self(), m->name);
	for (size_t i = 0; i < EACH; i++) {
		/* Anywhere in its page, and as far from others as the next page. */
		size_t at = (t->nr * EACH + i) * PAGE + (t->round * 97 + i * 13) % 4000;
		unsigned char *p = memory + at;
		uint64_t t0 = now();

		m->write(p);
		printf("wrote %d %#" PRIx64 " %s %" PRIu64 " %" PRIu64 "\n", gettid(),
		       (uint64_t)(uintptr_t)(m->write == hand_shared ? shared + at : p), m->name,
		       t0, now());
	}
	/* What another thread may write, and pages that nobody does. */
	for (size_t i = 0; i < 2 * THREADS * EACH; i++)
		sink = memory[i * PAGE] + shared[i * PAGE];
	return NULL;
}

static void pause_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static void rounds(unsigned int n, long ms)
{
	for (unsigned int r = 0; r < n; r++) {
		for (unsigned int i = 0; i < THREADS; i++) {
			tasks[i].nr = i;
			tasks[i].round = r;
			if (pthread_create(&tasks[i].thread, NULL, work, &tasks[i]))
				exit(1);
			pthread_join(tasks[i].thread, NULL);
		}
		fflush(stdout);
		pause_ms(ms);
	}
}

__attribute__((noinline)) void pen_deep(unsigned char *p, unsigned int depth);
__attribute__((noinline)) void pen_deep(unsigned char *p, unsigned int depth)
{
	HAVE_A_FRAME;
	if (depth)
		pen_deep(p, depth - 1);
	else
		*(volatile unsigned char *)p = 1;
	HAVE_A_FRAME;
}

/* Still its parent's memory, and another process. */
static void by_vfork(volatile unsigned char *p)
{
	pid_t pid = vfork();

	if (!pid) {
		*p = 1;
		_exit(0);
	}
	printf("vfork %d %p\n", pid, (void *)(uintptr_t)p);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		exit(1);
}

/*
 * io_uring(7) without a library: one request, read /dev/zero, never by us (IOSQE_ASYNC)
 * but by a thread that the kernel makes for it in this process.
 */
static void by_io_uring(unsigned char *p)
{
	struct io_uring_params par = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 1, &par);
	size_t ring = par.sq_off.array + sizeof(uint32_t);
	struct io_uring_sqe *sqe;
	unsigned char *sq;

	if (fd < 0) {
		printf("io_uring no\n");
		return;
	}
	sq = mmap(NULL, ring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		  IORING_OFF_SQ_RING);
	sqe = mmap(NULL, sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		   IORING_OFF_SQES);
	if (sq == MAP_FAILED || sqe == MAP_FAILED)
		exit(1);
	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = zeros,
		.addr = (uintptr_t)p, .len = 8,
	};
	__atomic_store_n((uint32_t *)(void *)(sq + par.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		exit(1);
	printf("io_uring %d %p\n", gettid(), (void *)p);
	munmap(sq, ring);
	munmap(sqe, sizeof(*sqe));
	close(fd);
}

static void guests(size_t n, long ms)
{
	char line[16];

	by_vfork(memory);
	by_io_uring(memory + PAGE);
	for (size_t i = 0; i < 2 * n; i++)
		sink = shared[i * PAGE];
	printf("reads %d %p\n", gettid(), (void *)shared);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
	pause_ms(ms);
}

static int poke(pid_t pid, uintptr_t at, size_t n)
{
	char path[32], word[] = "guest";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < 2 * n; i++, at += PAGE) {
		struct iovec mine = { word, sizeof(word) }, its = { (void *)at, sizeof(word) };

		if ((i < n ? process_vm_writev(pid, &mine, 1, &its, 1, 0) :
			     pwrite(fd, word, sizeof(word), (off_t)at)) != sizeof(word)) {
			perror("poke");
			return 1;
		}
	}
	close(fd);
	return 0;
}

static void obey(char **argv)
{
	size_t n = strtoul(argv[2], NULL, 10);
	long ms = strtol(argv[3], NULL, 10);

	if (!strcmp(argv[1], "rounds")) {
		rounds((unsigned int)n, ms);
	} else if (!strcmp(argv[1], "guests")) {
		guests(n, ms);
	} else {
		for (size_t i = 0; i < n; i++)
			pen_deep(memory + i * PAGE, DEPTH);
		printf("done\n");
		fflush(stdout);
		pause_ms(ms);
	}
}

int main(int argc, char **argv)
{
	size_t pages = argc > 2 && !strcmp(argv[1], "storm") ? strtoul(argv[2], NULL, 10) :
							       2 * THREADS * EACH;
	char line[16];
	int fd = memfd_create("penmen", MFD_CLOEXEC);

	if (argc == 5 && !strcmp(argv[1], "poke"))
		return poke((pid_t)strtol(argv[2], NULL, 10), strtoul(argv[3], NULL, 0),
			    strtoul(argv[4], NULL, 10));
	if (argc != 4 || fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)))
		return 2;
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	shared = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (memory == MAP_FAILED || shared == MAP_FAILED || zeros < 0)
		return 2;
	printf("ready pid=%d memory=%p shared=%p pages=%zu\n", getpid(), (void *)memory,
	       (void *)shared, pages);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 2;
	obey(argv);
	printf("ok\n");
	return 0;
}
