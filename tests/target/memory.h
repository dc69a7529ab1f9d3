/* SPDX-License-Identifier: MIT */
/*
 * Memory: the frame of small targets that each do one thing to their memory.
 *
 *	memory-KIND CASE [GATE]
 *
 * A case sets up what it needs, calls gate(), and does its one thing; it ends with
 * status 0 only if its memory is as it should be.  What it prints:
 *
 *	says WORDS	the same whether it is watched or not
 *	fact JSON	what a trace of it must tell; see tests/live/memory-facts.jq
 *	SKIP ID WORDS	this machine cannot do that
 *
 * It knows nothing of pagetap.
 */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

#define HUGE (2u << 20)

struct memory_case {
	const char *name;
	void (*run)(void);
};

static struct target memory_target;

static inline void gate(void)
{
	target_ready(&memory_target);
}

/* Time for a watcher, if there is one, to notice what has changed. */
static inline void settle(void)
{
	usleep(400000);
}

static inline pid_t self(void)
{
	return (pid_t)syscall(SYS_gettid);
}

__attribute__((format(printf, 2, 3))) static inline void must(bool ok, const char *fmt, ...)
{
	va_list ap;
	int error = errno;

	if (ok)
		return;
	fputs("wrong: ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (errno %d)\n", error);
	fflush(stdout);
	_exit(1);
}

__attribute__((format(printf, 2, 3), noreturn)) static inline void
skip_case(const char *id, const char *fmt, ...)
{
	va_list ap;

	printf("SKIP %s ", id);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	_exit(77);
}

static inline void *at_page(void *p, unsigned int n)
{
	return (char *)p + (size_t)n * PAGE;
}

/* Anonymous private memory that a neighbour does not merge with. */
static inline char *map_alone(size_t len, int prot, int flags)
{
	size_t all = len + 2 * HUGE;
	char *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)p + 2 * HUGE - 1) & ~(uintptr_t)(HUGE - 1));

	must(p != MAP_FAILED, "reserving %zu bytes", all);
	must(mmap(at, len, prot, flags | MAP_FIXED, -1, 0) == at, "mapping %zu bytes", len);
	return at;
}

static inline char *map_anon(unsigned int pages)
{
	return map_alone((size_t)pages * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS);
}

/* Each page begins with its own number. */
static inline void fill(void *p, unsigned int pages)
{
	for (unsigned int i = 0; i < pages; i++)
		*(volatile uint64_t *)at_page(p, i) = mix(i);
}

static inline void check_filled(void *p, unsigned int pages, const char *what)
{
	for (unsigned int i = 0; i < pages; i++)
		must(*(volatile uint64_t *)at_page(p, i) == mix(i), "%s: page %u", what, i);
}

static inline uint64_t page_of(const void *p)
{
	return (uintptr_t)p / PAGE;
}

/* ---- what a trace must tell ---- */

/* Each of n pages was written while it was covered: told once.  tid 0: by any thread. */
static inline void fact_wrote(const void *p, unsigned int n, pid_t tid)
{
	printf("fact {\"is\":\"wrote\",\"page\":%" PRIu64 ",\"n\":%u,\"tid\":%d}\n", page_of(p), n,
	       tid);
}

/* Nobody who is watched wrote there. */
static inline void fact_quiet(const void *p, unsigned int n)
{
	printf("fact {\"is\":\"quiet\",\"page\":%" PRIu64 ",\"n\":%u}\n", page_of(p), n);
}

/* Each of n pages was written: told, or declared as a gap, at some time. */
static inline void fact_declared(const void *p, unsigned int n)
{
	printf("fact {\"is\":\"declared\",\"page\":%" PRIu64 ",\"n\":%u}\n", page_of(p), n);
}

/* The mapping there is not watched, for this reason. */
static inline void fact_why(const void *p, const char *why)
{
	printf("fact {\"is\":\"why\",\"page\":%" PRIu64 ",\"n\":1,\"why\":\"%s\"}\n", page_of(p),
	       why);
}

/* A layout event of this kind names each of n pages. */
static inline void fact_event(const void *p, unsigned int n, const char *ev)
{
	printf("fact {\"is\":\"event\",\"page\":%" PRIu64 ",\"n\":%u,\"ev\":\"%s\"}\n", page_of(p),
	       n, ev);
}

/* A child was forked; no process may be told of that is not one. */
static inline void fact_child(pid_t pid)
{
	printf("fact {\"is\":\"child\",\"page\":0,\"n\":0,\"pid\":%d}\n", pid);
}

/* Write to n pages as their owner, and tell. */
static inline void write_pages(void *p, unsigned int n, uint64_t salt)
{
	for (unsigned int i = 0; i < n; i++)
		*(volatile uint64_t *)((char *)at_page(p, i) + 8) = mix(salt + i);
}

static inline void check_written(void *p, unsigned int n, uint64_t salt, const char *what)
{
	for (unsigned int i = 0; i < n; i++)
		must(*(volatile uint64_t *)((char *)at_page(p, i) + 8) == mix(salt + i),
		     "%s: page %u", what, i);
}

static inline int memory_main(const struct memory_case *cases, size_t n, int argc, char **argv)
{
	alarm(60);
	setvbuf(stdout, NULL, _IOLBF, 0);
	memory_target.gate = argc > 2 ? argv[2] : NULL;
	for (size_t i = 0; argc > 1 && i < n; i++) {
		if (strcmp(cases[i].name, argv[1]))
			continue;
		cases[i].run();
		puts("ok");
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		puts(cases[i].name);
	return 2;
}

#define MEMORY_MAIN(cases)                                                              \
	int main(int argc, char **argv)                                                 \
	{                                                                               \
		return memory_main(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv); \
	}

#endif
