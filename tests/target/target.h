/* SPDX-License-Identifier: MIT */
/*
 * Target: what the small self-checking programs share.  They know nothing of
 * pagetap; a wrong byte in their memory, an error or an EINTR from a system call
 * that should have none ends them with words and status 1.
 *
 * All take -s SEED (numbers drawn), -n N (amount of work, 0 = until SIGTERM),
 * -t THREADS, -T SECONDS (after which SIGALRM ends them, whatever they wait for),
 * -c FILE (rewritten with the work done so far) and -g FIFO (they begin when a
 * byte arrives).  When everything is set up they say `ready pid=PID`.
 */
#ifndef TESTS_TARGET_H
#define TESTS_TARGET_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
#define WORDS (PAGE / 8)

struct target {
	uint64_t seed, work;
	unsigned int threads, seconds, pages;
	const char *counter, *gate;
	bool flag;		/* -x: a program's own */
};

static volatile sig_atomic_t target_stopped;

__attribute__((format(printf, 1, 2), noreturn)) static inline void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("target: ", stdout);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

/* splitmix64: one step. */
static inline uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline uint64_t draw(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*state);
}

static inline void target_stop(int sig)
{
	(void)sig;
	target_stopped = 1;
}

static inline uint64_t target_number(const char *text)
{
	char *rest;
	uint64_t v = strtoull(text, &rest, 0);

	if (!*text || *rest)
		die("not a number: %s", text);
	return v;
}

static inline void target_options(struct target *t, int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = target_stop, .sa_flags = SA_RESTART };
	int c;

	while ((c = getopt(argc, argv, "s:n:t:T:p:c:g:x")) != -1) {
		switch (c) {
		case 's': t->seed = target_number(optarg); break;
		case 'n': t->work = target_number(optarg); break;
		case 't': t->threads = (unsigned int)target_number(optarg); break;
		case 'T': t->seconds = (unsigned int)target_number(optarg); break;
		case 'p': t->pages = (unsigned int)target_number(optarg); break;
		case 'c': t->counter = optarg; break;
		case 'g': t->gate = optarg; break;
		case 'x': t->flag = true; break;
		default: die("usage");
		}
	}
	if (!t->seconds)
		t->seconds = 120;
	alarm(t->seconds);
	if (sigaction(SIGTERM, &sa, NULL))
		die("sigaction: %s", strerror(errno));
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static inline void target_ready(const struct target *t)
{
	char byte;
	int fd;

	printf("ready pid=%d\n", getpid());
	fflush(stdout);
	if (!t->gate)
		return;
	fd = open(t->gate, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &byte, 1) != 1)
		die("gate %s: %s", t->gate, strerror(errno));
	close(fd);
}

/* One line, always of the same length, so that a reader never sees half of it. */
static inline void target_count(int fd, uint64_t n)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "%020" PRIu64 "\n", n);

	if (fd >= 0 && pwrite(fd, line, (size_t)len, 0) != len)
		die("counter: %s", strerror(errno));
}

static inline int target_counter(const struct target *t)
{
	int fd = -1;

	if (t->counter) {
		fd = open(t->counter, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			die("%s: %s", t->counter, strerror(errno));
		target_count(fd, 0);
	}
	return fd;
}

#endif
