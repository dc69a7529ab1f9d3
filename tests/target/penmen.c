/* SPDX-License-Identifier: MIT */
/*
 * Penmen: threads that each write pages of their own, by a function of their own, and
 * say of every write who it was, where, from where and when.
 *
 *	penmen rounds N MS	N rounds of known writes and reads, MS apart
 *	penmen storm PAGES MS	every page once, from deep in a chain of calls, in MS
 *
 * Begins when a line comes by stdin.  Knows nothing of who may be watching.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

int main(int argc, char **argv)
{
	size_t pages = argc > 2 && !strcmp(argv[1], "storm") ? strtoul(argv[2], NULL, 10) :
							       2 * THREADS * EACH;
	char line[16];
	int fd = memfd_create("penmen", MFD_CLOEXEC);

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
	if (!strcmp(argv[1], "rounds")) {
		rounds((unsigned int)strtoul(argv[2], NULL, 10), strtol(argv[3], NULL, 10));
	} else {
		for (size_t i = 0; i < pages; i++)
			pen_deep(memory + i * PAGE, DEPTH);
		printf("done\n");
		fflush(stdout);
		pause_ms(strtol(argv[3], NULL, 10));
	}
	printf("ok\n");
	return 0;
}
