/* SPDX-License-Identifier: MIT */
/*
 * Random: a self-checking target.  See random.h.
 *
 *	random [--seed N] [--threads N] [--ops N | --seconds S] [--rate N] [--memory MIB]
 *	       [--depth N] [--only OP,...] [--without OP,...] [--heavy] [--wait]
 *	       [--truth DIR] [--list]
 *
 * --list names the acts that this machine can do; --only, --without choose among them.
 * Its last line sums up, and is the same for a seed and --ops however it is watched:
 *	seed=N ops=N writes=N pages=N mismatches=0 syscall_errors=0 canary_errors=0
 *	eintr=0 digest=HEX
 * Status 0: nothing was wrong.
 */

#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DATA_BYTES ((size_t)8 << 20)

struct options opt = { .seed = 1, .ops = 2000, .threads = 4, .memory_mib = 8, .depth = 2 };
struct region common = { .fd = -1 };

static uint64_t started;

/* If there is a pool of huge pages. */
#define HUGETLB "hugetlb"

/* How often, in shares: usually, and with --heavy. */
static struct act {
	const char *name;
	void (*run)(struct worker *w);
	unsigned int share, heavy;
} acts[] = {
	{ "scattered", store_scattered, 300, 60 }, { "sweep", store_sweep, 120, 60 },
	{ "across", store_across, 60, 20 }, { "string", store_string, 40, 20 },
	{ "locked", store_locked, 60, 20 }, { "vector", store_vector, 60, 20 },
	{ "canary", store_canary, 60, 40 }, { "common", store_common, 60, 40 },
	{ "read", kernel_read, 30, 20 }, { "vectors", kernel_vectors, 20, 10 },
	{ "pipe", kernel_pipe, 20, 10 }, { "socket", kernel_socket, 20, 10 },
	{ "process_vm", kernel_process_vm, 15, 10 }, { "answers", kernel_answers, 30, 20 },
	{ "populate", kernel_populate, 5, 10 },
	{ "stack", memory_stack, 20, 10 }, { "alias", memory_alias, 20, 20 },
	{ "huge", memory_huge, 4, 10 }, { HUGETLB, memory_hugetlb, 10, 10 },
	{ "handover", memory_handover, 20, 30 },
	{ "map", layout_map, 6, 60 }, { "unmap", layout_unmap, 5, 50 },
	{ "replace", layout_replace, 3, 40 }, { "reuse", layout_reuse, 3, 40 },
	{ "grow", layout_grow, 4, 40 }, { "move", layout_move, 4, 60 },
	{ "leave", layout_leave, 2, 20 }, { "protect", layout_protect, 6, 40 },
	{ "brk", layout_brk, 4, 40 }, { "down", layout_down, 2, 10 },
	{ "advise", advice_any, 6, 40 }, { "drop", advice_drop, 8, 60 },
	{ "guard", advice_guard, 2, 10 },
	{ "fork", process_fork, 2, 4 }, { "kill", process_kill, 1, 2 },
	{ "vfork", process_vfork, 2, 4 }, { "exec", process_exec, 1, 2 },
	{ "spawn", process_spawn, 1, 2 }, { "thread", process_thread, 3, 6 },
	{ "signal", signal_raised, 5, 10 }, { "timer", signal_timer, 2, 5 },
	{ "sleep", process_sleep, 5, 5 }, { "verify", region_verify_all, 2, 4 },
};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

void die(const char *what)
{
	fprintf(stderr, "random: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* splitmix64 (Steele, Lea and Flood, 2014). */
uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a * UINT64_C(0x9e3779b97f4a7c15) + b + UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t random_next(struct worker *w)
{
	w->random = mix(w->random, 1);
	return w->random;
}

static void (*pick(struct worker *w))(struct worker *)
{
	unsigned int sum = 0, i;
	uint64_t n;

	for (i = 0; i < ACTS; i++)
		sum += opt.heavy ? acts[i].heavy : acts[i].share;
	n = random_below(w, sum);
	for (i = 0;; i++) {
		unsigned int share = opt.heavy ? acts[i].heavy : acts[i].share;

		if (n < share)
			return acts[i].run;
		n -= share;
	}
}

static void pace(const struct worker *w)
{
	uint64_t due = started + (opt.rate ? w->done * 1000000000u / opt.rate : 0);
	uint64_t now = now_ns();
	struct timespec ts = { (time_t)((due - now) / 1000000000u),
			       (long)((due - now) % 1000000000u) };

	if (due > now)
		nanosleep(&ts, NULL);
}

void work(struct worker *w, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++, w->done++) {
		if (opt.seconds && now_ns() - started > opt.seconds * UINT64_C(1000000000))
			break;
		pick(w)(w);
		if (opt.rate)
			pace(w);
	}
}

static void *worker_main(void *arg)
{
	unsigned char room[(STACK_PAGES + 1) * PAGE];
	struct worker *w = arg;
	uint64_t now;

	w->truth = truth_open(opt.truth, w->birth);
	if (opt.small)
		truth_note(w->truth, TRUTH_START, now_ns(), NULL, 0, opt.execs, 0);
	/* Everybody's, so told by one: the first. */
	if (!w->nr)
		truth_note(w->truth, TRUTH_AREA, started, common.at, common.pages * PAGE,
			   PROT_READ | PROT_WRITE, TRUTH_KIND_SHARED);
	if (pipe2(w->pipe, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_DGRAM, 0, w->pair))
		die("pipes");
	regions_start(w);
	region_stack_begin(w, room);
	work(w, opt.seconds ? UINT64_MAX : opt.ops);
	region_verify_all(w);
	memory_verify(w);
	region_stack_end(w);
	now = now_ns();
	truth_note(w->truth, w->nr ? TRUTH_THREAD_END : TRUTH_EXIT, now, NULL, 0, 0, 0);
	truth_flush(w->truth);
	return NULL;
}

/* Known bytes, to be read again and again. */
static int data_file(void)
{
	char path[] = "./random.XXXXXX";
	int fd = mkstemp(path);
	uint64_t block[512];

	if (fd < 0 || unlink(path))
		die(path);
	for (size_t i = 0; i < DATA_BYTES / sizeof(block); i++) {
		for (size_t k = 0; k < 512; k++)
			block[k] = mix(i, k);
		if (write(fd, block, sizeof(block)) != sizeof(block))
			die(path);
	}
	return fd;
}

/* With a position of its own. */
static int opened_again(int fd)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, O_RDONLY | O_CLOEXEC);
	if (r < 0)
		die(path);
	return r;
}

static void common_start(void)
{
	size_t pages = 256;
	void *at = (void *)(uintptr_t)(WINDOW - STRIDE);

	at = mmap(at, pages * PAGE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (at == MAP_FAILED)
		die("the common memory");
	common = (struct region){ .kind = REGION_COMMON, .at = at, .pages = pages, .fd = -1 };
}

static uint64_t common_mismatches(void)
{
	uint64_t n = 0, word;

	for (size_t off = 0; off < common.pages * PAGE; off += 8) {
		memcpy(&word, common.at + off, 8);
		n += word && word != mix(opt.seed, off);
	}
	return n;
}

static int sum_up(struct worker *const *w)
{
	struct worker s = { .mismatches = common_mismatches() };
	uint64_t digest = opt.seed;

	for (unsigned int i = 0; i < opt.threads; i++) {
		s.done += w[i]->done;
		s.writes += w[i]->writes;
		s.pages += w[i]->pages;
		s.mismatches += w[i]->mismatches;
		s.syscall_errors += w[i]->syscall_errors;
		s.canary_errors += w[i]->canary_errors;
		s.eintr += w[i]->eintr;
		digest = mix(digest, w[i]->children);
		for (unsigned int k = 0; k < REGIONS; k++)
			if (w[i]->r[k].kind != REGION_NONE)
				digest = mix(digest, region_digest(&w[i]->r[k]));
	}
	if (!opt.small)
		printf("seed=%" PRIu64 " ops=%" PRIu64 " writes=%" PRIu64 " pages=%" PRIu64
		       " mismatches=%" PRIu64 " syscall_errors=%" PRIu64 " canary_errors=%" PRIu64
		       " eintr=%" PRIu64 " digest=%016" PRIx64 "\n", opt.seed, s.done, s.writes,
		       s.pages, s.mismatches, s.syscall_errors, s.canary_errors, s.eintr, digest);
	return s.mismatches || s.syscall_errors || s.canary_errors || s.eintr;
}

static bool there(const struct act *a)
{
	return a->share || a->heavy;
}

static void without_what_is_not_there(void)
{
	for (size_t i = 0; i < ACTS; i++)
		if (!strcmp(acts[i].name, HUGETLB) && !memory_hugetlb_there())
			acts[i].share = acts[i].heavy = 0;
}

static _Noreturn void list_acts(void)
{
	for (size_t i = 0; i < ACTS; i++)
		if (there(&acts[i]))
			puts(acts[i].name);
	exit(0);
}

/* Shares of the acts named become, or alone stay, what they are. */
static bool choose(const char *list, bool only)
{
	bool named[ACTS] = { false };

	for (const char *s = list; *s; s += strcspn(s, ","), s += *s == ',') {
		size_t len = strcspn(s, ","), i = 0;

		while (i < ACTS && (strlen(acts[i].name) != len || strncmp(acts[i].name, s, len)))
			i++;
		if (i == ACTS || !there(&acts[i])) {
			fprintf(stderr, "random: no %.*s here\n", (int)len, s);
			return false;
		}
		named[i] = true;
	}
	for (size_t i = 0; i < ACTS; i++)
		if (named[i] != only)
			acts[i].share = acts[i].heavy = 0;
	return true;
}

static bool parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", 1, NULL, 's' }, { "threads", 1, NULL, 't' }, { "ops", 1, NULL, 'n' },
		{ "seconds", 1, NULL, 'S' }, { "rate", 1, NULL, 'r' }, { "memory", 1, NULL, 'm' },
		{ "depth", 1, NULL, 'd' }, { "only", 1, NULL, 'o' }, { "without", 1, NULL, 'w' },
		{ "heavy", 0, NULL, 'h' }, { "wait", 0, NULL, 'W' }, { "truth", 1, NULL, 'T' },
		{ "small", 0, NULL, 'x' }, { "list", 0, NULL, 'l' }, { 0 },
	};
	const char *only = NULL, *without = NULL;
	bool list = false;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;

		switch (c) {
		case 's': opt.seed = n; break;
		case 't': opt.threads = (unsigned int)n; break;
		case 'n': opt.ops = n; break;
		case 'S': opt.seconds = (unsigned int)n; break;
		case 'r': opt.rate = n; break;
		case 'm': opt.memory_mib = (unsigned int)n; break;
		case 'd': opt.depth = (unsigned int)n; break;
		case 'T': opt.truth = optarg; break;
		case 'h': opt.heavy = true; break;
		case 'W': opt.wait = true; break;
		case 'x':
			opt.small = true;
			opt.execs = 1;
			opt.depth = 0;
			break;
		case 'o': only = optarg; break;
		case 'w': without = optarg; break;
		case 'l': list = true; break;
		default:
			return false;
		}
	}
	without_what_is_not_there();
	if (list)
		list_acts();
	if ((only && !choose(only, true)) || (without && !choose(without, false)))
		return false;
	return optind == argc && opt.threads && opt.threads <= THREADS_MAX && opt.memory_mib;
}

/* Somebody shall attach first. */
static void wait_for_start(void)
{
	sigset_t set;
	int nr;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	printf("ready pid=%d\n", getpid());
	fflush(stdout);
	if (opt.wait)
		sigwait(&set, &nr);
}

int main(int argc, char **argv)
{
	struct worker *w[THREADS_MAX];
	pthread_t t[THREADS_MAX];
	uint32_t birth = truth_birth(now_ns());
	sigset_t set;
	int data;

	if (!parse(argc, argv)) {
		fprintf(stderr, "random: see the head of tests/judge/random.c\n");
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);	/* for sigwait() and sigtimedwait() */
	/*
	 * A SIGCHLD that comes while the first thread has all signals blocked (in
	 * pthread_create(3), say) is not ignored but given to another thread, and what
	 * that one sleeps in says EINTR.
	 */
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	data = data_file();
	if (!opt.small)
		wait_for_start();
	started = now_ns();
	common_start();
	for (unsigned int i = 0; i < opt.threads; i++) {
		w[i] = hidden(sizeof(*w[i]));
		w[i]->nr = i;
		w[i]->birth = birth;
		w[i]->random = mix(opt.seed, i);
		w[i]->depth = opt.depth;
		w[i]->data = opened_again(data);
	}
	for (unsigned int i = 1; i < opt.threads; i++)
		if (pthread_create(&t[i], NULL, worker_main, w[i]))
			die("threads");
	worker_main(w[0]);
	for (unsigned int i = 1; i < opt.threads; i++)
		pthread_join(t[i], NULL);
	return sum_up(w);
}
