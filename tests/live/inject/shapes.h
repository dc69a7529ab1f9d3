/* SPDX-License-Identifier: MIT */
/*
 * Shapes: what the targets of the injector's live tests do.
 *
 * Each runs in a fork of its own and ends when shared->stop is set, after having looked
 * whether all is as it was.
 */
#ifndef LIVE_INJECT_SHAPES_H
#define LIVE_INJECT_SHAPES_H

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <ucontext.h>

#include "canary.h"
#include "case.h"

static inline void shape_bad(struct shared *s, int what)
{
	int zero = 0;

	atomic_compare_exchange_strong(&s->what, &zero, what);
	atomic_fetch_add(&s->bad, 1);
}

/* ---- spinning ---- */

struct spinner {
	struct shared *s;
	unsigned int seed;
};

/* Registers, control words, signal mask and alternate stack of a thread at work. */
static inline void *spin(void *arg)
{
	struct spinner *sp = arg;
	stack_t alt = { .ss_sp = malloc(65536), .ss_size = 65536 }, alt_now, alt_before;
	unsigned int mxcsr = 0x1fc0, mxcsr_now;
	unsigned short cw = 0x0f7f, cw_now;
	sigset_t mask, now;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1 + (int)(sp->seed & 1));
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	sigaltstack(&alt, &alt_before);
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(cw));
	atomic_fetch_add(&sp->s->ready, 1);
	while (!atomic_load(&sp->s->stop)) {
		int r = canary_round(sp->seed++, 200000);

		if (r)
			shape_bad(sp->s, r);
		__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr_now), "=m"(cw_now));
		if (mxcsr_now != mxcsr || cw_now != cw)
			shape_bad(sp->s, 200);
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		if (memcmp(&now, &mask, 8))
			shape_bad(sp->s, 201);
		sigaltstack(NULL, &alt_now);
		if (alt_now.ss_sp != alt.ss_sp || alt_now.ss_flags)
			shape_bad(sp->s, 202);
		atomic_fetch_add(&sp->s->rounds, 1);
	}
	sigaltstack(&alt_before, NULL);
	free(alt.ss_sp);
	return NULL;
}

/* arg threads, the first of which is the process's own. */
static inline void shape_spin(struct shared *s, long arg)
{
	struct spinner sp[64];
	pthread_t th[64];

	for (long i = 0; i < arg; i++)
		sp[i] = (struct spinner){ s, (unsigned int)i };
	for (long i = 1; i < arg; i++)
		if (pthread_create(&th[i], NULL, spin, &sp[i]))
			shape_bad(s, 299);
	spin(&sp[0]);
	for (long i = 1; i < arg; i++)
		pthread_join(th[i], NULL);
	_exit(s->bad != 0);
}

/* ---- blocked in a call ---- */

enum blocked {
	BLOCKED_NANOSLEEP, BLOCKED_CLOCK_NANOSLEEP, BLOCKED_POLL, BLOCKED_PPOLL, BLOCKED_SELECT,
	BLOCKED_FUTEX, BLOCKED_FUTEX_TIMED, BLOCKED_READ, BLOCKED_ACCEPT, BLOCKED_PAUSE,
	BLOCKED_WAIT, BLOCKED_SIGSUSPEND, BLOCKED_MSGRCV, BLOCKED_EPOLL, BLOCKED_EPOLL_PWAIT,
	BLOCKED_RECV, BLOCKED_RECV_TIMED, BLOCKED_READ_TIMED, BLOCKED_SIGTIMEDWAIT, BLOCKED_SEMOP,
	BLOCKED_SEMTIMEDOP, BLOCKED_NR,
};

static const char *const blocked_names[BLOCKED_NR] = {
	"nanosleep", "clock_nanosleep", "poll", "ppoll", "select", "futex", "futex-timed", "read",
	"accept", "pause", "wait4", "sigsuspend", "msgrcv", "epoll_wait", "epoll_pwait", "recv",
	"recv-SO_RCVTIMEO", "read-SO_RCVTIMEO", "sigtimedwait", "semop", "semtimedop",
};

#define LONG_S 1000

struct blocked_fds {
	int pipe[2], pair[2], listener, epoll, sem, msg;
	struct sockaddr_un name;
};

static inline void blocked_open(struct blocked_fds *b)
{
	struct timeval tv = { LONG_S, 0 };
	struct epoll_event ev = { .events = EPOLLIN };

	if (pipe(b->pipe) || socketpair(AF_UNIX, SOCK_STREAM, 0, b->pair))
		abort();
	b->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	b->name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (bind(b->listener, (struct sockaddr *)&b->name, sizeof(sa_family_t)) ||
	    listen(b->listener, 1))
		abort();
	b->epoll = epoll_create1(0);
	epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->pipe[0], &ev);
	setsockopt(b->pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	/* A namespace of its own, so that nothing stays behind when it is killed. */
	unshare(CLONE_NEWIPC);
	b->sem = semget(IPC_PRIVATE, 1, 0600);
	b->msg = msgget(IPC_PRIVATE, 0600);
}

/* The call, with a time-out of s seconds where it has one.  Its result, or -errno. */
static inline long blocked_call(enum blocked which, struct blocked_fds *b,
				const struct timespec *ts)
{
	static const int zero;
	struct timeval tv = { ts->tv_sec, ts->tv_nsec / 1000 };
	struct pollfd p = { .fd = b->pipe[0], .events = POLLIN };
	struct sembuf down = { 0, -1, 0 };
	struct epoll_event ev;
	struct timespec t = *ts, at;
	struct { long type; char text[8]; } m;
	sigset_t none, usr2;
	char byte;
	fd_set in;
	long r;

	sigemptyset(&none);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	FD_ZERO(&in);
	FD_SET(b->pipe[0], &in);
	switch (which) {
	case BLOCKED_NANOSLEEP:
		r = nanosleep(&t, NULL);
		break;
	case BLOCKED_CLOCK_NANOSLEEP:
		clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_sec += t.tv_sec;
		at.tv_nsec += t.tv_nsec;
		if (at.tv_nsec >= 1000000000) {
			at.tv_sec++;
			at.tv_nsec -= 1000000000;
		}
		errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		r = errno ? -1 : 0;
		break;
	case BLOCKED_POLL:
		r = poll(&p, 1, (int)(ts->tv_sec * 1000 + ts->tv_nsec / 1000000));
		break;
	case BLOCKED_PPOLL:
		r = ppoll(&p, 1, &t, &none);
		break;
	case BLOCKED_SELECT:
		r = select(b->pipe[0] + 1, &in, NULL, NULL, &tv);
		break;
	case BLOCKED_FUTEX:
		r = syscall(SYS_futex, &zero, FUTEX_WAIT_PRIVATE, 0, NULL);
		break;
	case BLOCKED_FUTEX_TIMED:
		r = syscall(SYS_futex, &zero, FUTEX_WAIT_PRIVATE, 0, &t);
		if (r < 0 && errno == ETIMEDOUT)
			r = 0;
		break;
	case BLOCKED_READ:
		r = read(b->pipe[0], &byte, 1);
		break;
	case BLOCKED_ACCEPT:
		r = accept(b->listener, NULL, NULL);
		break;
	case BLOCKED_PAUSE:
		r = pause();
		break;
	case BLOCKED_WAIT:
		r = waitpid(-1, NULL, 0);
		break;
	case BLOCKED_SIGSUSPEND:
		r = sigsuspend(&none);
		break;
	case BLOCKED_MSGRCV:
		r = msgrcv(b->msg, &m, sizeof(m.text), 0, 0);
		break;
	case BLOCKED_EPOLL:
		r = epoll_wait(b->epoll, &ev, 1, LONG_S * 1000);
		break;
	case BLOCKED_EPOLL_PWAIT:
		r = epoll_pwait(b->epoll, &ev, 1, LONG_S * 1000, &none);
		break;
	case BLOCKED_RECV:
		r = recv(b->pair[1], &byte, 1, 0);
		break;
	case BLOCKED_RECV_TIMED:
		r = recv(b->pair[0], &byte, 1, 0);
		break;
	case BLOCKED_READ_TIMED:
		r = read(b->pair[0], &byte, 1);
		break;
	case BLOCKED_SIGTIMEDWAIT:
		r = sigtimedwait(&usr2, NULL, &t);
		break;
	case BLOCKED_SEMOP:
		r = semop(b->sem, &down, 1);
		break;
	default:
		r = semtimedop(b->sem, &down, 1, &t);
		break;
	}
	return r < 0 ? -errno : r;
}

struct blocked_thread {
	struct shared *s;
	struct blocked_fds *fds;
	enum blocked which;
};

static inline void *blocked_thread(void *arg)
{
	static const struct timespec ts = { LONG_S, 0 };
	struct blocked_thread *b = arg;
	long r;

	atomic_fetch_add(&b->s->ready, 1);
	r = blocked_call(b->which, b->fds, &ts);
	atomic_store(&b->s->what, (int)r);
	atomic_fetch_add(&b->s->returned, 1);
	return NULL;
}

static inline void on_nothing(int sig)
{
	(void)sig;
}

/* SIGUSR2 is blocked everywhere and waited for; a child for wait4, which never ends. */
static inline void blocked_signals(enum blocked which)
{
	struct sigaction sa = { .sa_handler = on_nothing };
	sigset_t usr2;

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	if ((which == BLOCKED_WAIT || which == BLOCKED_NR) && !fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
}

/* One thread in one call. */
static inline void shape_blocked(struct shared *s, long which)
{
	struct blocked_fds fds;
	struct blocked_thread b = { s, &fds, (enum blocked)which };

	blocked_open(&fds);
	blocked_signals(b.which);
	blocked_thread(&b);
	while (!atomic_load(&s->stop))
		pause_ms(1);
}

/* A thread for every call, and the first one joins them: all that a process can sleep in. */
static inline void shape_blocked_all(struct shared *s, long without_futex)
{
	static struct blocked_fds fds;
	static struct blocked_thread b[BLOCKED_NR];
	pthread_t th[BLOCKED_NR];

	blocked_open(&fds);
	blocked_signals(BLOCKED_NR);
	for (int i = 0; i < BLOCKED_NR; i++) {
		b[i] = (struct blocked_thread){ s, &fds, (enum blocked)i };
		if (without_futex && i == BLOCKED_FUTEX)
			b[i].which = BLOCKED_EPOLL;
		pthread_create(&th[i], NULL, blocked_thread, &b[i]);
	}
	b[0] = (struct blocked_thread){ s, &fds, without_futex ? BLOCKED_EPOLL : BLOCKED_READ };
	blocked_thread(&b[0]);
}

/* A time-out of 400 ms, measured by the target itself: microseconds in count[0]. */
static inline void shape_timed(struct shared *s, long which)
{
	static const struct timespec ts = { 0, 400000000 };
	struct blocked_fds fds;
	uint64_t t0;
	long r;

	blocked_open(&fds);
	blocked_signals(BLOCKED_READ);
	t0 = clock_now();
	atomic_fetch_add(&s->ready, 1);
	r = blocked_call((enum blocked)which, &fds, &ts);
	atomic_store(&s->count[0], (long)((clock_now() - t0) / NSEC_PER_USEC));
	if (r)
		shape_bad(s, (int)r);
	atomic_store(&s->returned, 1);
	while (!atomic_load(&s->stop))
		pause_ms(1);
}

/* Sleeps in short calls; arg - 1 more threads do so too. */
static inline void *doze(void *arg)
{
	struct shared *s = arg;

	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		struct timespec t = { 0, 20000000 };

		if (nanosleep(&t, NULL) < 0)
			shape_bad(s, errno);
		atomic_fetch_add(&s->rounds, 1);
	}
	return NULL;
}

static inline void shape_doze(struct shared *s, long arg)
{
	pthread_attr_t attr;
	pthread_t th;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (long i = 1; i < arg; i++)
		if (pthread_create(&th, &attr, doze, s))
			shape_bad(s, 299);
	doze(s);
	_exit(s->bad != 0);
}

/* It cannot be stopped for two seconds. */
static inline void shape_vfork(struct shared *s, long arg)
{
	pid_t child;

	(void)arg;
	atomic_fetch_add(&s->ready, 1);
	child = vfork();
	if (!child) {
		struct timespec t = { 2, 0 };

		nanosleep(&t, NULL);
		_exit(3);
	}
	waitpid(child, NULL, 0);
	doze(s);
	_exit(s->bad != 0);
}

/* Every descriptor in use; count[0] says how many to give up. */
static inline void shape_fd_full(struct shared *s, long arg)
{
	struct rlimit limit = { 64, 64 };
	int last = -1, fd;
	long given = 0;

	(void)arg;
	if (setgid(65534) || setuid(65534))	/* so that the device must be lent, too */
		_exit(77);
	setrlimit(RLIMIT_NOFILE, &limit);
	while ((fd = dup(1)) >= 0)
		last = fd;
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		for (; given < atomic_load(&s->count[0]); given++)
			close(last--);
		pause_ms(5);
	}
	_exit(s->bad != 0);
}

#endif
