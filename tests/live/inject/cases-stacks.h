/* SPDX-License-Identifier: MIT */
/* Cases about where the stack lies: coroutines, signal stacks, live data below it. */
#ifndef LIVE_INJECT_CASES_STACKS_H
#define LIVE_INJECT_CASES_STACKS_H

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "shapes.h"

/* ---- stacks ---- */

/* Somebody else's data lies right below the stack of a coroutine, as in Go's heap. */
#define COROUTINE_STACK 4096
#define BELOW 65536

struct coroutine {
	struct shared *s;
	ucontext_t back, there;
	unsigned char *block;
};

static struct coroutine *coroutine;	/* makecontext(3) passes only ints */

static inline bool below_is_whole(const unsigned char *block)
{
	for (size_t i = 0; i < BELOW; i++)
		if (((const volatile unsigned char *)block)[i] != (unsigned char)(i * 31 + 7))
			return false;
	return true;
}

static inline void in_coroutine(void)
{
	struct shared *s = coroutine->s;

	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		if (!below_is_whole(coroutine->block))
			shape_bad(s, 300);
		atomic_fetch_add(&s->rounds, 1);
	}
}

static inline void shape_coroutine(struct shared *s, long arg)
{
	/* canary_round() needs 4 KiB itself; this one runs on less */
	struct coroutine c = { .s = s };

	(void)arg;
	c.block = mmap(NULL, BELOW + COROUTINE_STACK, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < BELOW; i++)
		c.block[i] = (unsigned char)(i * 31 + 7);
	getcontext(&c.there);
	c.there.uc_stack.ss_sp = c.block + BELOW;
	c.there.uc_stack.ss_size = COROUTINE_STACK;
	c.there.uc_link = &c.back;
	makecontext(&c.there, in_coroutine, 0);
	coroutine = &c;
	swapcontext(&c.back, &c.there);
	_exit(s->bad != 0);
}

static inline const char *case_coroutine(long flags)
{
	struct target *t = target_start(shape_coroutine, 0, 1);
	struct attach a;
	const char *w;

	if (!t)
		return "target not ready";
	w = attach_times(t, (unsigned int)flags, 60);
	if (!w && attach(t->pid, (unsigned int)flags, &a) < 0)
		return say(&a);
	if (!w && a.loan.net)
		return "bytes below a stack pointer in the heap were taken for free";
	return w ? w : target_ends_well(t, 3000);
}

static struct shared *alt_shared;

static inline void spin_in_handler(int sig)
{
	(void)sig;
	atomic_fetch_add(&alt_shared->ready, 1);
	while (!atomic_load(&alt_shared->stop)) {
		int r = canary_round(3, 100000);

		if (r)
			shape_bad(alt_shared, r);
	}
}

static inline void shape_altstack(struct shared *s, long arg)
{
	stack_t alt = { .ss_size = 65536 };
	struct sigaction sa = { .sa_handler = spin_in_handler, .sa_flags = SA_ONSTACK };

	(void)arg;
	alt_shared = s;
	alt.ss_sp = malloc(alt.ss_size);
	sigaltstack(&alt, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	_exit(s->bad != 0);
}

static inline const char *case_altstack(long arg)
{
	struct target *t = target_start(shape_altstack, 0, 1);
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	w = attach_times(t, 0, 40);
	return w ? w : target_ends_well(t, 3000);
}

/*
 * The same on an array in a thread's own stack: below it, and far down where scratch
 * lies, is live data of another frame.
 */
static inline void *within_stack(void *arg)
{
	/* Down to some 50 KiB of the end, where only what is called from here lies. */
	unsigned char below[(8u << 20) - 57344];
	struct shared *s = arg;

	for (size_t i = 0; i < sizeof(below); i++)
		((volatile unsigned char *)below)[i] = (unsigned char)(i * 31 + 7);
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		unsigned long bad = 0;

		/* As if on the upper part of that array: 6 MiB above what is live. */
		__asm__ volatile("mov %%rsp, %%r12\n\tlea %c[up](%%rsp), %%rsp\n\t"
				 "mov %[n], %%ecx\n1:\tdec %%ecx\n\tjnz 1b\n\t"
				 "mov %%r12, %%rsp"
				 : : [up] "i"(6u << 20), [n] "i"(20000000)
				 : "rcx", "r12", "memory");
		for (size_t i = 0; i < sizeof(below); i++)
			bad |= ((volatile unsigned char *)below)[i] != (unsigned char)(i * 31 + 7);
		if (bad)
			shape_bad(s, 301);
		atomic_fetch_add(&s->rounds, 1);
	}
	return NULL;
}

static inline void shape_within_stack(struct shared *s, long arg)
{
	pthread_attr_t attr;
	pthread_t th;

	(void)arg;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 8u << 20);
	pthread_create(&th, &attr, within_stack, s);
	/* Uninteresting to choose: dead. */
	syscall(SYS_exit, 0);
}

static inline const char *case_within_stack(long arg)
{
	struct target *t = target_start(shape_within_stack, 0, 1);
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	w = attach_times(t, 0, 40);
	pause_ms(100);
	if (!w && t->shared->bad)
		w = "live data in its stack changed";
	return w;
}

#endif
