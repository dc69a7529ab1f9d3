/* SPDX-License-Identifier: MIT */
/* Keeper: who lives, who takes whose place.  See keeper.h. */

#include "restore/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compat/sys.h"
#include "restore/keeper-parts.h"

/* Deaths without progress between them: the next one waits longer. */
#define PAUSE_FIRST (20 * NSEC_PER_MSEC)
#define PAUSE_MOST (5 * NSEC_PER_SEC)

struct keeper {
	const struct keeper_setup *setup;
	struct roster_shared *s;
	struct keeper_fds at_start;
	uint64_t pause;			/* before the next one begins */
	bool again;
	bool kill;			/* still to be tried */
};

__attribute__((format(printf, 3, 4)))
static void say(const struct keeper *k, enum pager_tone tone, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->setup->say(k->setup->arg, tone, text);
}

/*
 * A fork(2) that shares the table.  The kernel writes the descriptor of the new process
 * into the roster before that runs, so that it is known even if we are killed meanwhile.
 * The number that libc has noted for this thread is set in the child as fork(2) would,
 * where the kernel says where it is.
 */
static pid_t clone_here(struct roster_process *p)
{
	unsigned long flags = CLONE_FILES | CLONE_PIDFD | SIGCHLD;
	int *tid = NULL;

	if (!prctl(PR_GET_TID_ADDRESS, &tid) && tid)
		flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#if defined(__x86_64__)
	return (pid_t)syscall(SYS_clone, flags, NULL, &p->pidfd, tid, 0);
#else
	return (pid_t)syscall(SYS_clone, flags, NULL, &p->pidfd, 0, tid);
#endif
}

static void forget(struct roster_process *p)
{
	int was = p->pidfd;

	if (was >= 0)
		waitid(P_PIDFD, (id_t)was, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
	p->pidfd = -1;
	close_fd(&was);
}

/* 0 in the new process, 1 here; -errno. */
static int start(struct roster_process *p)
{
	pid_t pid = clone_here(p);
	int r = pid < 0 ? -errno : !!pid;

	if (r < 0)
		p->pidfd = -1;
	return r;
}

_Noreturn static void be_pager(const struct keeper *k)
{
	int status;

	prctl(PR_SET_NAME, "pagetap-pager");
	status = k->setup->pager(k->setup->arg, k->again);
	if (status >= 0) {
		k->s->status = status;
		k->s->end = ROSTER_STATUS;
	}
	_exit(status < 0 ? 1 : status);
}

static int start_pager(struct keeper *k)
{
	uint64_t one = 1;
	int r;

	/* What the last one had been told, it may not have done. */
	if (k->again && k->s->told && write(k->setup->asked, &one, sizeof(one)) < 0)
		return -errno;
	r = start(&k->s->pager);
	if (!r)
		be_pager(k);
	return r < 0 ? r : 0;
}

/* Until the first keeper has gone; in a session of its own, which no key reaches. */
static void be_second(const struct keeper *k)
{
	struct pollfd p = { .fd = k->s->keeper.pidfd, .events = POLLIN };

	prctl(PR_SET_NAME, "pagetap-keeper");
	setsid();
	while (poll(&p, 1, -1) <= 0)
		;
}

/* True: this is the second one, and the first one is dead. */
static bool start_second(struct keeper *k)
{
	if (start(&k->s->next))
		return false;
	be_second(k);
	return true;
}

static bool over(const struct keeper *k)
{
	return k->s->end != ROSTER_GOES_ON;
}

static bool ended(const struct roster_process *p)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	return p->pidfd < 0 || poll(&pfd, 1, 0) > 0;
}

/* Of a child: why; of another's nobody knows. */
static void describe(const struct roster_process *p, char *buf, size_t size)
{
	siginfo_t si = { 0 };

	if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | WNOWAIT | WNOHANG) < 0 || !si.si_pid)
		snprintf(buf, size, "the pager died");
	else if (si.si_code == CLD_EXITED)
		snprintf(buf, size, "the pager ended with status %d", si.si_status);
	else
		snprintf(buf, size, "the pager was killed by signal %d", si.si_status);
}

/* How long until the next one: not at all after one that got on. */
static void pause_after(struct keeper *k)
{
	if (atomic_exchange(&k->s->progress, false))
		k->pause = 0;
	else
		k->pause = k->pause ? 2 * k->pause : PAUSE_FIRST;
	if (k->pause > PAUSE_MOST)
		k->pause = PAUSE_MOST;
}

/* True: all is over, with this exit status. */
static bool after_death(struct keeper *k, int *ret_status)
{
	unsigned int left = 0;
	char words[80];

	describe(&k->s->pager, words, sizeof(words));
	forget(&k->s->pager);
	k->s->deaths++;
	*ret_status = 1;
	keeper_sweep(k->setup, &k->at_start);
	if (k->kill && roster_serves(k->setup->roster)) {
		if (keeper_kill(k->setup, &left)) {
			say(k, PAGER_ERROR, "%s; what was restored has been killed with it", words);
			return true;
		}
		say(k, PAGER_ERROR, "%s; what was restored has been killed with it, but for %u "
		    "processes that cannot be found: started again for those", words, left);
		k->kill = false;
	} else {
		pause_after(k);
		say(k, PAGER_WARNING, "%s; started again, from what is still missing", words);
	}
	k->again = true;
	return false;
}

static void tell_pager(struct keeper *k)
{
	uint64_t one = 1;
	char bytes[256];

	if (read(k->setup->signals, bytes, sizeof(bytes)) <= 0)
		return;
	k->s->told = true;
	if (write(k->setup->asked, &one, sizeof(one)) < 0)
		return;
}

/* A pager and a second keeper, if there are none.  True: this is a new first keeper. */
static bool replace(struct keeper *k)
{
	struct timespec wait = {
		.tv_sec = (time_t)(k->pause / NSEC_PER_SEC),
		.tv_nsec = (long)(k->pause % NSEC_PER_SEC),
	};

	if (k->s->next.pidfd < 0 && start_second(k))
		return true;
	if (k->s->pager.pidfd < 0) {
		if (k->pause)
			nanosleep(&wait, NULL);
		if (start_pager(k) < 0)
			pause_after(k);
	}
	return false;
}

static void wait_for_news(struct keeper *k)
{
	struct pollfd p[] = {
		{ .fd = k->setup->signals, .events = POLLIN },
		{ .fd = k->s->pager.pidfd, .events = POLLIN },
		{ .fd = k->s->next.pidfd, .events = POLLIN },
	};
	/* Where one could not be started it is tried again. */
	bool whole = p[1].fd >= 0 && p[2].fd >= 0;

	poll(p, 3, whole ? -1 : (int)(PAUSE_FIRST / NSEC_PER_MSEC));
	if (p[0].revents)
		tell_pager(k);
	if (p[2].fd >= 0 && p[2].revents)
		forget(&k->s->next);
}

/*
 * The first keeper is dead, and this is it now.  What has a number but no descriptor was
 * about to be cloned; that is seen to before anything else gets that number.  False: there
 * is nothing to keep.
 */
static bool succeed(struct keeper *k)
{
	struct roster_process *p = &k->s->pager;

	if (p->pidfd >= 0 && fcntl(p->pidfd, F_GETFD) < 0)
		p->pidfd = -1;
	forget(&k->s->next);
	forget(&k->s->keeper);
	k->s->keeper.pidfd = sys_pidfd_open(getpid(), 0);
	k->again = true;
	if (over(k))
		return true;
	if (k->s->keeper.pidfd < 0 || (!roster_serves(k->setup->roster) && !k->s->resumed_at))
		return false;
	say(k, PAGER_WARNING, "the keeper of the pager died: process %d is in its place",
	    getpid());
	return true;
}

/* The first keeper's work, until the pager has ended. */
static int keep(struct keeper *k)
{
	int status = 1;

	for (;;) {
		if (replace(k) && !succeed(k))
			return status;
		wait_for_news(k);
		if (k->s->pager.pidfd < 0 || !ended(&k->s->pager))
			continue;
		if (k->s->end == ROSTER_STATUS)
			return k->s->status;
		if (over(k))
			return k->s->end == ROSTER_COMPLETE ? 0 : 1;
		if (after_death(k, &status))
			return status;
	}
}

static void stop(struct roster_process *p)
{
	if (p->pidfd < 0)
		return;
	sys_pidfd_send_signal(p->pidfd, SIGKILL);
	waitid(P_PIDFD, (id_t)p->pidfd, &(siginfo_t){ 0 }, WEXITED);
	forget(p);
}

int keeper_run(const struct keeper_setup *setup, int *ret_status)
{
	struct keeper k = {
		.setup = setup, .s = roster_shared(setup->roster), .kill = setup->kill,
	};
	int r = keeper_fds_note(&k.at_start);

	if (!r) {
		k.s->keeper.pidfd = sys_pidfd_open(getpid(), 0);
		r = k.s->keeper.pidfd < 0 ? k.s->keeper.pidfd : 0;
	}
	if (!r)
		*ret_status = keep(&k);
	/* The last of them closes the userfaultfds, so none may be left. */
	stop(&k.s->pager);
	stop(&k.s->next);
	forget(&k.s->keeper);
	keeper_fds_free(&k.at_start);
	return r;
}
