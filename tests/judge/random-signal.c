/* SPDX-License-Identifier: MIT */
/* Random, signals: handlers that write to judged memory, wherever the thread is then. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* A handler on a stack of its own stores into judged memory. */

static __thread uint64_t *handler_at, handler_value;

static void on_signal(int nr)
{
	(void)nr;
	*(volatile uint64_t *)handler_at = handler_value;
}

void signal_raised(struct worker *w)
{
	static __thread char stack[64 * 1024];
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct sigaction act = {
		.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART,
	};
	struct region *r = region_pick(w);
	size_t off = random_below(w, r->pages * PAGE / 8) * 8;
	uint64_t t0;

	handler_at = (uint64_t *)(void *)(r->at + off);
	handler_value = random_next(w);
	if (sigaltstack(&alt, NULL) || sigaction(SIGUSR2, &act, NULL))
		die("sigaction");
	t0 = now_ns();
	raise(SIGUSR2);
	wrote(w, handler_at, 8, t0);
	memcpy(r->shadow + off, &handler_value, 8);
}

/*
 * A timer strikes while the thread stores, or waits for a page; its handler, on the
 * thread's own stack, stores into memory that nothing else writes to, and takes notes:
 * the truth itself may be what it has interrupted.
 */

#define TIMED_PAGES ((size_t)16)
#define STRIKES_MAX 4
#define STRIKE_NS 150000

static __thread struct {
	unsigned char *at;
	volatile unsigned int n;
	unsigned int wanted;
	struct { size_t off; uint64_t t0, t1; } note[STRIKES_MAX];
} strikes;

static void on_timer(int nr)
{
	unsigned int n = strikes.n;
	int saved = errno;
	size_t off;

	(void)nr;
	if (n < strikes.wanted) {
		off = strikes.note[n].off;
		strikes.note[n].t0 = now_ns();
		*(volatile uint64_t *)(void *)(strikes.at + off) = mix(opt.seed, off);
		strikes.note[n].t1 = now_ns();
		strikes.n = n + 1;
	}
	errno = saved;
}

static void timed_memory(struct worker *w)
{
	uint64_t t0 = now_ns();
	void *at = region_place(w, &w->r[REGIONS]);

	if (w->timed)
		return;
	w->timed = mmap(at, TIMED_PAGES * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (w->timed != at)
		die("memory for timers");
	truth_note(w->truth, TRUTH_AREA, t0, at, TIMED_PAGES * PAGE, PROT_READ | PROT_WRITE,
		   TRUTH_KIND_ANON);
}

static void tell_strikes(struct worker *w)
{
	uint64_t word;

	for (unsigned int i = 0; i < strikes.n; i++) {
		unsigned char *at = strikes.at + strikes.note[i].off;

		w->writes++;
		w->pages++;
		if (w->truth)
			truth_tell(w->truth, (struct truth_entry){
				.t0 = strikes.note[i].t0, .t1 = strikes.note[i].t1,
				.addr = (uint64_t)(uintptr_t)at, .len = 8, .op = TRUTH_WRITE,
				.who = (uint32_t)syscall(SYS_gettid),
			});
		memcpy(&word, at, 8);
		w->mismatches += word != mix(opt.seed, strikes.note[i].off);
	}
}

void signal_timer(struct worker *w)
{
	const struct sigaction act = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	const struct itimerspec often = { { 0, STRIKE_NS }, { 0, STRIKE_NS } };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2 };
	uint64_t until = now_ns() + UINT64_C(20000000000);
	timer_t timer;

	timed_memory(w);
	strikes.at = w->timed;
	strikes.n = 0;
	strikes.wanted = 1 + (unsigned int)random_below(w, STRIKES_MAX);
	for (unsigned int i = 0; i < STRIKES_MAX; i++)
		strikes.note[i].off = random_below(w, TIMED_PAGES * PAGE / 8) * 8;
	ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	if (sigaction(ev.sigev_signo, &act, NULL) || timer_create(CLOCK_MONOTONIC, &ev, &timer) ||
	    timer_settime(timer, 0, &often, NULL))
		die("a timer");
	/* As many stores as the seed says, however long they take. */
	for (int i = 0; i < 4; i++)
		store_scattered(w);
	while (strikes.n < strikes.wanted && now_ns() < until)
		sched_yield();
	timer_delete(timer);
	w->mismatches += strikes.n != strikes.wanted;
	tell_strikes(w);
}
