/* SPDX-License-Identifier: MIT */
/* Random, processes: forks, execs, threads, and calls that sleep. */

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

extern char **environ;

/* What a child says of itself at its end. */
struct farewell {
	uint64_t digest, mismatches, syscall_errors, canary_errors, eintr, writes, pages;
};

/*
 * What the fork has made of our memory.  Shared mappings are let go: the parent goes
 * on writing to them.
 */
static void become_child(struct worker *w, pid_t parent)
{
	uint64_t t0 = now_ns();

	w->birth = truth_birth(t0);
	w->truth = truth_open(opt.truth, w->birth);
	truth_note(w->truth, TRUTH_CHILD, t0, NULL, 0, (uint64_t)parent, 0);
	w->depth--;
	w->mismatches = w->syscall_errors = w->canary_errors = w->eintr = 0;
	w->writes = w->pages = w->children = 0;
	region_stacks_of_others(w);
	for (unsigned int i = 0; i < REGIONS; i++) {
		struct region *r = &w->r[i];

		if (r->kind == REGION_NONE)
			continue;
		if (r->twin && region_unmap(w, r->twin, r->pages))
			r->twin = NULL;
		if (r->kind == REGION_SHARED || r->kind == REGION_MEMFD) {
			if (!r->no_fork)
				region_unmap(w, r->at, r->pages);
			region_forget(r);
		} else if (r->no_fork) {
			region_forget(r);
		} else if (r->wipe_on_fork) {
			memset(r->shadow, 0, r->pages * PAGE);
		}
	}
}

static uint64_t digest(const struct worker *w)
{
	uint64_t d = w->children;

	for (unsigned int i = 0; i < REGIONS; i++)
		if (w->r[i].kind != REGION_NONE)
			d = mix(d, region_digest(&w->r[i]));
	return d;
}

static _Noreturn void end_child(struct worker *w, int out)
{
	struct farewell f;
	uint64_t now = now_ns();

	region_verify_all(w);
	f = (struct farewell){
		digest(w), w->mismatches, w->syscall_errors, w->canary_errors, w->eintr,
		w->writes, w->pages,
	};
	truth_note(w->truth, TRUTH_EXIT, now, NULL, 0, 0, 0);
	truth_flush(w->truth);
	_exit(write(out, &f, sizeof(f)) != sizeof(f));
}

static pid_t told_fork(struct worker *w)
{
	pid_t self = getpid(), pid;
	uint64_t t0;

	truth_flush(w->truth);
	fflush(stdout);
	t0 = now_ns();
	pid = fork();
	if (!pid) {
		become_child(w, self);
		return 0;
	}
	truth_note(w->truth, TRUTH_FORK, t0, NULL, 0, pid < 0 ? 0 : (uint64_t)pid, 0);
	if (pid < 0)
		region_error(w, SYS_fork, errno);
	return pid;
}

static void await(struct worker *w, pid_t pid, int wanted)
{
	int status;
	pid_t r;

	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR && ++w->eintr);
	if (r == pid && status == wanted)
		return;
	w->mismatches++;
	fprintf(stderr, "random: child %d ended with status 0x%x\n", pid, status);
}

void process_fork(struct worker *w)
{
	struct farewell f = { 0 };
	uint64_t acts = 5 + random_below(w, 60);
	int p[2];
	pid_t pid;

	if (!w->depth)
		return;
	if (pipe2(p, 0))
		die("a pipe");
	pid = told_fork(w);
	if (!pid) {
		close(p[0]);
		region_verify_all(w);
		work(w, acts);
		end_child(w, p[1]);
	}
	close(p[1]);
	if (pid > 0) {
		if (read(p[0], &f, sizeof(f)) != sizeof(f))
			w->mismatches++;
		await(w, pid, 0);
		w->children = mix(w->children, f.digest);
		w->mismatches += f.mismatches;
		w->syscall_errors += f.syscall_errors;
		w->canary_errors += f.canary_errors;
		w->eintr += f.eintr;
		w->writes += f.writes;
		w->pages += f.pages;
	}
	close(p[0]);
}

/* A child that has written a little, and dies of SIGKILL. */
void process_kill(struct worker *w)
{
	int p[2];
	char c = 0;
	pid_t pid;

	if (!w->depth)
		return;
	if (pipe2(p, 0))
		die("a pipe");
	pid = told_fork(w);
	if (!pid) {
		store_scattered(w);
		store_sweep(w);
		truth_flush(w->truth);
		if (write(p[1], &c, 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	if (pid > 0) {
		if (read(p[0], &c, 1) != 1)
			w->mismatches++;
		kill(pid, SIGKILL);
		await(w, pid, SIGKILL);
	}
	close(p[0]);
	close(p[1]);
}

/* The child lives in our memory until it is gone; it may write there. */
void process_vfork(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t off = random_below(w, r->pages * PAGE / 8) * 8;
	uint64_t v = random_next(w), t0 = now_ns(), t1;
	volatile uint64_t *at = (uint64_t *)(void *)(r->at + off);
	bool run = random_below(w, 2);
	static char *const argv[] = { "true", NULL };
	pid_t pid = vfork();

	if (!pid) {
		*at = v;
		if (run)
			execve("/bin/true", argv, environ);
		_exit(run);
	}
	t1 = now_ns();
	if (pid < 0) {
		region_error(w, SYS_vfork, errno);
		return;
	}
	if (w->truth) {
		truth_tell(w->truth, (struct truth_entry){
			.t0 = t0, .t1 = t1, .op = TRUTH_VFORK, .aux = (uint64_t)pid,
			.who = (uint32_t)syscall(SYS_gettid) });
		truth_tell(w->truth, (struct truth_entry){
			.t0 = t0, .t1 = t1, .op = TRUTH_WRITE, .who = (uint32_t)pid,
			.addr = (uint64_t)(uintptr_t)at, .len = 8 });
	}
	w->writes++;
	w->pages++;
	memcpy(r->shadow + off, &v, 8);
	await(w, pid, 0);
}

/* Ourselves again, small: a new program that tells its own truth. */
void process_exec(struct worker *w)
{
	char seed[32];
	char *argv[] = { "random", "--small", "--seed", seed, "--threads", "1", "--ops", "60",
			 "--memory", "2", "--truth", (char *)(uintptr_t)opt.truth, NULL };
	pid_t pid;

	if (!w->depth)
		return;
	if (!opt.truth)
		argv[10] = NULL;
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)random_next(w));
	pid = told_fork(w);
	if (!pid) {
		truth_note(w->truth, TRUTH_EXEC, now_ns(), NULL, 0, 0, 0);
		truth_flush(w->truth);
		execv("/proc/self/exe", argv);
		_exit(99);
	}
	if (pid > 0)
		await(w, pid, 0);
}

void process_spawn(struct worker *w)
{
	static char *const argv[] = { "true", NULL };
	uint64_t t0 = now_ns();
	pid_t pid;
	int r = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);

	if (r) {
		region_error(w, SYS_vfork, r);
		return;
	}
	truth_note(w->truth, TRUTH_VFORK, t0, NULL, 0, (uint64_t)pid, 0);
	await(w, pid, 0);
}

/* A thread that writes in our place while we wait for it. */

struct helper {
	struct worker w;	/* a copy, with a truth of its own */
	pid_t tid;
};

static void *help(void *arg)
{
	struct helper *h = arg;
	uint64_t t0 = now_ns();

	h->tid = (pid_t)syscall(SYS_gettid);
	h->w.truth = truth_open(opt.truth, h->w.birth);
	for (int i = 0; i < 4; i++) {
		store_scattered(&h->w);
		kernel_pipe(&h->w);
	}
	truth_note(h->w.truth, TRUTH_THREAD_END, t0, NULL, 0, 0, 0);
	truth_close(h->w.truth);
	return NULL;
}

void process_thread(struct worker *w)
{
	struct helper *h = hidden(sizeof(*h));
	uint64_t t0 = now_ns();
	struct truth *mine = w->truth;
	pthread_t t;
	int r;

	h->w = *w;
	r = pthread_create(&t, NULL, help, h);
	if (r) {
		region_error(w, SYS_clone, r);
	} else {
		pthread_join(t, NULL);
		truth_note(mine, TRUTH_THREAD, t0, NULL, 0, (uint64_t)h->tid, 0);
		*w = h->w;
		w->truth = mine;
	}
	munmap(h, (sizeof(*h) + PAGE - 1) / PAGE * PAGE);
}

/* Nothing wakes these early: an EINTR would be somebody else's doing. */
void process_sleep(struct worker *w)
{
	const struct timespec ms = { 0, 1000000 };
	struct epoll_event ev;
	sigset_t set;
	int r = 0, word = 0, fd;

	switch (random_below(w, 4)) {
	case 0:
		r = nanosleep(&ms, NULL);
		break;
	case 1:
		fd = epoll_create1(EPOLL_CLOEXEC);
		r = epoll_wait(fd, &ev, 1, 1);
		if (r < 0 && errno == EINTR)
			w->eintr++;
		close(fd);
		return;
	case 2:
		r = (int)syscall(SYS_futex, &word, FUTEX_WAIT, 0, &ms, NULL, 0);
		break;
	default:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		r = sigtimedwait(&set, NULL, &ms);
		break;
	}
	if (r < 0 && errno == EINTR)
		w->eintr++;
}
