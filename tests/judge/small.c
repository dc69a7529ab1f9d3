/* SPDX-License-Identifier: MIT */
/*
 * Small: a target that tells the truth, with few kinds of operation.
 *
 *	small [--seed N] [--threads N] [--ops N] [--rate N] [--depth N] [--truth DIR]
 *
 * Each thread works in regions of its own, at places of its own, by its own stream of
 * random numbers, with a shadow of what must be there; so the digest at the end
 * depends on the seed and the number of operations only.  --rate paces it, operations
 * a second and thread.  The last line is
 *
 *	seed=N ops=N writes=N pages=N mismatches=N ... digest=HEX
 */

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "truth-file.h"

#define PAGE UINT64_C(4096)
#define REGIONS 4
#define REGION_PAGES 512
#define ROUNDS 4
#define LOG_ENTRIES 512
#define WINDOW UINT64_C(0x200000000000)

static struct {
	uint64_t seed, ops, rate;
	unsigned int threads, depth;
	const char *truth;
	int source;			/* a file of known bytes, for kernel writes */
} opt = { .seed = 1, .ops = 2000, .threads = 2, .depth = 1 };

static uint32_t birth;

/* The end of a thread's life is told, so this is not in the memory that is judged. */
static __thread struct {
	int fd;
	unsigned int n;
	struct truth_entry v[LOG_ENTRIES];
} told = { .fd = -1 };

struct region {
	unsigned char *p, *shadow;
	bool mapped;
};

struct worker {
	pthread_t thread;
	unsigned int number;
	uint64_t state, writes, mismatches, errors, digest;
	struct region r[REGIONS];
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
static uint64_t next(struct worker *w)
{
	uint64_t z = w->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void tell_flush(void)
{
	ssize_t len = (ssize_t)(told.n * sizeof(told.v[0]));

	if (told.fd >= 0 && told.n && write(told.fd, told.v, (size_t)len) != len)
		abort();
	told.n = 0;
}

static void tell(enum truth_op op, unsigned int flags, uint64_t t0, const void *addr,
		 uint64_t len, uint64_t aux, uint64_t aux2)
{
	if (told.fd < 0)
		return;
	told.v[told.n++] = (struct truth_entry){
		.t0 = t0, .t1 = now(), .addr = (uintptr_t)addr, .len = len, .aux = aux,
		.aux2 = aux2, .op = (uint16_t)op, .flags = (uint16_t)flags,
		.who = (uint32_t)gettid(),
	};
	if (told.n == LOG_ENTRIES)
		tell_flush();
}

static void tell_open(void)
{
	if (!opt.truth)
		return;
	told.n = 0;
	told.fd = truth_file_make(opt.truth, birth, 0, now());
	if (told.fd < 0) {
		perror(opt.truth);
		abort();
	}
}

static void tell_close(enum truth_op last)
{
	tell(last, 0, now(), NULL, 0, 0, 0);
	tell_flush();
	if (told.fd >= 0)
		close(told.fd);
	told.fd = -1;
}

static void failed(struct worker *w, long number)
{
	w->errors++;
	tell(TRUTH_SYSCALL_ERROR, 0, now(), NULL, 0, (uint64_t)errno, (uint64_t)number);
}

static void map_here(struct region *r, uint64_t first, uint64_t n, bool over)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (over ? MAP_FIXED : MAP_FIXED_NOREPLACE);
	unsigned char *at = r->p + first * PAGE;
	uint64_t t0;

	/* Before it, so that the thread does not wait between mapping and writing. */
	memset(r->shadow + first * PAGE, 0, n * PAGE);
	t0 = now();
	if (mmap(at, n * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0) != at)
		abort();
	tell(over ? TRUTH_REPLACE : TRUTH_AREA, TRUTH_KIND_ANON, t0, at, n * PAGE,
	     PROT_READ | PROT_WRITE, 0);
}

static void op_store(struct worker *w, struct region *r)
{
	uint64_t at = next(w) % (REGION_PAGES * PAGE - 64), len = 1 + next(w) % 16, t0;
	unsigned char bytes[16];

	for (uint64_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)next(w);
	memcpy(r->shadow + at, bytes, len);
	t0 = now();
	memcpy(r->p + at, bytes, len);
	tell(TRUTH_WRITE, 0, t0, r->p + at, len, 0, 0);
	w->writes++;
}

/* A sweep is told a page at a time: the thread may wait at each. */
static void op_sweep(struct worker *w, struct region *r)
{
	uint64_t first = next(w) % (REGION_PAGES - 8), n = 1 + next(w) % 8, value = next(w);

	for (uint64_t p = first; p < first + n; p++) {
		uint64_t t0 = now();

		memset(r->p + p * PAGE, (int)(value & 0xff), PAGE);
		tell(TRUTH_WRITE, 0, t0, r->p + p * PAGE, PAGE, 0, 0);
		memset(r->shadow + p * PAGE, (int)(value & 0xff), PAGE);
		w->writes++;
	}
}

static void op_read(struct worker *w, struct region *r)
{
	uint64_t at = next(w) % (REGION_PAGES * PAGE - 600), len = 1 + next(w) % 512;
	off_t from = (off_t)(next(w) % 2048);
	uint64_t t0 = now();
	ssize_t n = pread(opt.source, r->p + at, len, from);

	if (n < 0) {
		failed(w, 17);
		return;
	}
	tell(TRUTH_KWRITE, 0, t0, r->p + at, (uint64_t)n, 0, 0);
	if (pread(opt.source, r->shadow + at, (size_t)n, from) != n)
		abort();
	w->writes++;
}

static void op_drop(struct worker *w, struct region *r)
{
	uint64_t first = next(w) % (REGION_PAGES - 8), n = 1 + next(w) % 8;
	bool lazily = next(w) & 1;
	int advice = lazily ? MADV_FREE : MADV_DONTNEED;
	uint64_t t0 = now();

	if (madvise(r->p + first * PAGE, n * PAGE, advice) < 0) {
		failed(w, 28);
		return;
	}
	tell(TRUTH_ADVISE, (unsigned int)advice, t0, r->p + first * PAGE, n * PAGE, 0, 0);
	memset(r->shadow + first * PAGE, 0, n * PAGE);
	/* Old or zero, as the kernel likes: so it is written. */
	for (uint64_t p = first; lazily && p < first + n; p++) {
		t0 = now();
		memset(r->p + p * PAGE, 0, PAGE);
		tell(TRUTH_WRITE, 0, t0, r->p + p * PAGE, PAGE, 0, 0);
		w->writes++;
	}
}

/* New memory is used at once: it is written before anybody can watch it. */
static void op_map_anew(struct worker *w, struct region *r)
{
	uint64_t first = next(w) % REGION_PAGES, n = 1 + next(w) % (REGION_PAGES - first), t0;
	bool over = next(w) & 1;

	if (!over) {
		t0 = now();
		if (munmap(r->p + first * PAGE, n * PAGE) < 0)
			abort();
		tell(TRUTH_UNMAP, 0, t0, r->p + first * PAGE, n * PAGE, 0, 0);
	}
	map_here(r, first, n, over);
	for (uint64_t p = first; p < first + n && p < first + 4; p++) {
		t0 = now();
		r->p[p * PAGE] = 1;
		tell(TRUTH_WRITE, 0, t0, r->p + p * PAGE, 1, 0, 0);
		r->shadow[p * PAGE] = 1;
		w->writes++;
	}
}

/*
 * Between two homes of the region, in pieces: watching may keep neighbours apart that
 * mremap(2) would take at once only if they were one mapping.
 */
static void op_move(struct worker *w, struct region *r)
{
	uint64_t to = (uintptr_t)r->p ^ (UINT64_C(1) << 33), piece = 64 << (next(w) % 4);

	for (uint64_t p = 0; p < REGION_PAGES; p += piece) {
		unsigned char *from = r->p + p * PAGE;
		uint64_t t0 = now();
		void *at = mremap(from, piece * PAGE, piece * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				  to + p * PAGE);

		if (at == MAP_FAILED) {
			/* Several mappings: page by page then. */
			if (piece == 1)
				abort();
			piece = 1;
			p -= piece;
			continue;
		}
		tell(TRUTH_REMAP, MREMAP_MAYMOVE | MREMAP_FIXED, t0, from, piece * PAGE,
		     to + p * PAGE, piece * PAGE);
	}
	r->p = (unsigned char *)to;
}

static void verify(struct worker *w)
{
	for (unsigned int i = 0; i < REGIONS; i++) {
		uint64_t t0 = now();

		for (uint64_t p = 0; p < REGION_PAGES; p++)
			w->mismatches += !!memcmp(w->r[i].p + p * PAGE, w->r[i].shadow + p * PAGE,
						  PAGE);
		tell(TRUTH_READ, 0, t0, w->r[i].p, REGION_PAGES * PAGE, 0, 0);
	}
}

static void digest(struct worker *w)
{
	for (unsigned int i = 0; i < REGIONS; i++) {
		uint64_t t0 = now();

		for (uint64_t at = 0; at < REGION_PAGES * PAGE; at += 8) {
			uint64_t v;

			memcpy(&v, w->r[i].p + at, 8);
			w->digest = (w->digest ^ v) * UINT64_C(0x100000001b3);
		}
		tell(TRUTH_READ, 0, t0, w->r[i].p, REGION_PAGES * PAGE, 0, 0);
	}
}

static void work(struct worker *w, uint64_t ops, unsigned int depth);

static void op_fork(struct worker *w, unsigned int depth)
{
	uint64_t seed = next(w), t0;
	int status = 0;
	pid_t child;

	tell_flush();
	t0 = now();
	child = fork();
	if (!child) {
		told.fd = -1;
		birth = truth_birth(now());
		tell_open();
		tell(TRUTH_CHILD, 0, now(), NULL, 0, (uint64_t)getppid(), 0);
		verify(w);
		w->state = seed;
		work(w, 200, depth - 1);
		verify(w);
		digest(w);
		tell_close(TRUTH_EXIT);
		_exit(w->mismatches || w->errors ? 255 : (int)(w->digest % 255));
	}
	tell(TRUTH_FORK, 0, t0, NULL, 0, child < 0 ? 0 : (uint64_t)child, 0);
	if (child < 0)
		failed(w, 57);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 255)
		w->mismatches++;
	w->digest = (w->digest ^ (uint64_t)WEXITSTATUS(status)) * UINT64_C(0x100000001b3);
}

static void pace(uint64_t *due)
{
	struct timespec t;

	if (!opt.rate)
		return;
	*due += UINT64_C(1000000000) / opt.rate;
	if (*due < now() + 1000000)
		return;
	t.tv_sec = (time_t)(*due / 1000000000);
	t.tv_nsec = (long)(*due % 1000000000);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void work(struct worker *w, uint64_t ops, unsigned int depth)
{
	uint64_t due = now();

	for (uint64_t i = 0; i < ops; i++) {
		struct region *r = &w->r[next(w) % REGIONS];
		uint64_t dice = next(w) % 4096;

		if (dice < 8)
			op_drop(w, r);
		else if (dice < 12)
			op_map_anew(w, r);
		else if (dice < 14)
			op_move(w, r);
		else if (dice < 16 && depth)
			op_fork(w, depth);
		else if (dice < 100)
			op_sweep(w, r);
		else if (dice < 700)
			op_read(w, r);
		else
			op_store(w, r);
		pace(&due);
	}
}

static void *run(void *arg)
{
	struct worker *w = arg;

	tell_open();
	for (unsigned int i = 0; i < REGIONS; i++) {
		if (!w->r[i].mapped)
			map_here(&w->r[i], 0, REGION_PAGES, false);
		w->r[i].mapped = true;
	}
	work(w, opt.ops / ROUNDS, opt.depth);
	verify(w);
	tell_close(TRUTH_THREAD_END);
	return NULL;
}

static void *memory(uint64_t len)
{
	void *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		abort();
	return m;
}

static void set_up(struct worker *w, unsigned int number)
{
	w->number = number;
	w->state = opt.seed * UINT64_C(1000003) + number;
	w->digest = UINT64_C(0xcbf29ce484222325);
	for (unsigned int i = 0; i < REGIONS; i++) {
		uint64_t at = WINDOW + ((uint64_t)number << 40) + ((uint64_t)i << 35);

		w->r[i].p = (unsigned char *)at;
		w->r[i].shadow = memory(REGION_PAGES * PAGE);
	}
}

static int source(void)
{
	int fd = memfd_create("source", MFD_CLOEXEC);
	unsigned char bytes[4096];

	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + (i >> 8));
	if (fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
		abort();
	return fd;
}

static bool parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ "ops", required_argument, NULL, 'o' },
		{ "rate", required_argument, NULL, 'r' },
		{ "depth", required_argument, NULL, 'd' },
		{ "truth", required_argument, NULL, 'T' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 's':
			opt.seed = n;
			break;
		case 't':
			opt.threads = (unsigned int)n;
			break;
		case 'o':
			opt.ops = n;
			break;
		case 'r':
			opt.rate = n;
			break;
		case 'd':
			opt.depth = (unsigned int)n;
			break;
		case 'T':
			opt.truth = optarg;
			break;
		default:
			return false;
		}
	}
	return optind == argc && opt.threads && opt.threads <= 64;
}

int main(int argc, char **argv)
{
	struct worker *w, sum = { .digest = UINT64_C(0xcbf29ce484222325) };

	if (!parse(argc, argv))
		return 2;
	birth = truth_birth(now());
	opt.source = source();
	tell_open();
	w = memory(opt.threads * sizeof(*w));
	for (unsigned int i = 0; i < opt.threads; i++)
		set_up(&w[i], i);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int i = 0; i < opt.threads; i++)
			if (pthread_create(&w[i].thread, NULL, run, &w[i]))
				abort();
		for (unsigned int i = 0; i < opt.threads; i++)
			pthread_join(w[i].thread, NULL);
	}
	for (unsigned int i = 0; i < opt.threads; i++) {
		digest(&w[i]);
		sum.writes += w[i].writes;
		sum.mismatches += w[i].mismatches;
		sum.errors += w[i].errors;
		sum.digest = (sum.digest ^ w[i].digest) * UINT64_C(0x100000001b3);
	}
	tell_close(TRUTH_EXIT);
	printf("seed=%llu ops=%llu writes=%llu pages=%u mismatches=%llu syscall_errors=%llu "
	       "canary_errors=0 eintr=0 digest=%016llx\n", (unsigned long long)opt.seed,
	       (unsigned long long)opt.ops, (unsigned long long)sum.writes,
	       opt.threads * REGIONS * REGION_PAGES, (unsigned long long)sum.mismatches,
	       (unsigned long long)sum.errors, (unsigned long long)sum.digest);
	return sum.mismatches || sum.errors;
}
