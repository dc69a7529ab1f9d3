/* SPDX-License-Identifier: MIT */
/* Choose: which thread of a process to stop. */

#include "choose.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "facts.h"
#include "procfile.h"

struct call_rank {
	long nr;
	enum choose_rank rank;
};

/* signal(7); measured on Linux 6.18 for those that have a time-out. */
static const struct call_rank ranks[] = {
#ifdef SYS_pause
	{ SYS_pause, CHOOSE_RESTARTS },
#endif
	{ SYS_rt_sigsuspend, CHOOSE_RESTARTS },
	{ SYS_wait4, CHOOSE_RESTARTS },
	{ SYS_waitid, CHOOSE_RESTARTS },
	{ SYS_read, CHOOSE_RESTARTS },
	{ SYS_readv, CHOOSE_RESTARTS },
	{ SYS_write, CHOOSE_RESTARTS },
	{ SYS_writev, CHOOSE_RESTARTS },
	{ SYS_accept, CHOOSE_RESTARTS },
	{ SYS_accept4, CHOOSE_RESTARTS },
	{ SYS_flock, CHOOSE_RESTARTS },
	{ SYS_fcntl, CHOOSE_RESTARTS },
	{ SYS_msgrcv, CHOOSE_RESTARTS },
	{ SYS_msgsnd, CHOOSE_RESTARTS },
	{ SYS_mq_timedreceive, CHOOSE_RESTARTS },
	{ SYS_splice, CHOOSE_RESTARTS },
	{ SYS_nanosleep, CHOOSE_RESTART_BLOCK },
	{ SYS_clock_nanosleep, CHOOSE_RESTART_BLOCK },
#ifdef SYS_poll
	{ SYS_poll, CHOOSE_RESTART_BLOCK },
	{ SYS_select, CHOOSE_RESTART_BLOCK },
#endif
	{ SYS_ppoll, CHOOSE_RESTART_BLOCK },
	{ SYS_pselect6, CHOOSE_RESTART_BLOCK },
	{ SYS_restart_syscall, CHOOSE_RESTART_BLOCK },
#ifdef SYS_epoll_wait
	{ SYS_epoll_wait, CHOOSE_REISSUE },
#endif
	{ SYS_epoll_pwait, CHOOSE_REISSUE },
#ifdef SYS_epoll_pwait2
	{ SYS_epoll_pwait2, CHOOSE_REISSUE },
#endif
	{ SYS_rt_sigtimedwait, CHOOSE_REISSUE },
	{ SYS_semop, CHOOSE_REISSUE },
	{ SYS_semtimedop, CHOOSE_REISSUE },
	{ SYS_recvfrom, CHOOSE_REISSUE },
	{ SYS_recvmsg, CHOOSE_REISSUE },
	{ SYS_recvmmsg, CHOOSE_REISSUE },
	{ SYS_sendto, CHOOSE_REISSUE },
	{ SYS_sendmsg, CHOOSE_REISSUE },
	{ SYS_io_getevents, CHOOSE_REISSUE },
	{ SYS_io_pgetevents, CHOOSE_REISSUE },
};

static enum choose_rank rank_futex(const uint64_t arg[6])
{
	unsigned int op = arg[1] & (unsigned int)FUTEX_CMD_MASK;
	bool timed = arg[3] != 0;

	if (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET)
		return timed ? CHOOSE_RESTART_BLOCK : CHOOSE_RESTARTS;
	return CHOOSE_RESTARTS;
}

static enum choose_rank rank_call(long nr, const uint64_t arg[6])
{
	if (nr == SYS_futex)
		return rank_futex(arg);
	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++)
		if (ranks[i].nr == nr)
			return ranks[i].rank;
	return CHOOSE_UNKNOWN;
}

/* "NR 0xA0 ... 0xA5 0xSP 0xPC", "-1 0xSP 0xPC" or "running". */
enum choose_rank choose_rank(char state, const char *call, uint64_t *ret_sp)
{
	uint64_t nr, word[8] = { 0 };
	bool blocked = *call == '-';
	int n = 0;

	*ret_sp = 0;
	if (state == 'Z' || state == 'X' || state == 'x' || state == 't')
		return CHOOSE_NEVER;
	if (!procfile_number(call + blocked, 10, &nr, &call))
		return state == 'D' ? CHOOSE_UNINTERRUPTIBLE : CHOOSE_RUNNING;
	while (n < 8 && !strncmp(call, " 0x", 3) &&
	       procfile_number(call + 3, 16, &word[n], &call))
		n++;
	if (n >= 2)
		*ret_sp = word[n - 2];
	if (state == 'D')
		return CHOOSE_UNINTERRUPTIBLE;
	if (blocked)			/* in a page fault, or stopped in user code */
		return CHOOSE_RUNNING;
	return n == 8 ? rank_call((long)nr, word) : CHOOSE_UNKNOWN;
}

bool choose_may_reissue(long nr)
{
	static const long also[] = { SYS_read,	SYS_readv,  SYS_write,
				     SYS_writev, SYS_accept, SYS_accept4 };

	for (size_t i = 0; i < sizeof(also) / sizeof(also[0]); i++)
		if (also[i] == nr)
			return true;
	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++)
		if (ranks[i].nr == nr)
			return ranks[i].rank == CHOOSE_REISSUE;
	return false;
}

/* All that set current->restart_block.fn in Linux 6.18. */
bool choose_has_restart_block(long nr)
{
#ifdef SYS_poll
	if (nr == SYS_poll)
		return true;
#endif
	return nr == SYS_nanosleep || nr == SYS_clock_nanosleep || nr == SYS_futex;
}

static bool is_poor_stack(const struct memory *m, uint64_t sp)
{
	struct mapping at, below;

	if (!sp)
		return false;		/* running: not known before it stops */
	if (memory_mapping_at(m, sp, &at) < 0)
		return true;
	if (at.is_stack)
		return false;
	return memory_mapping_at(m, at.range.lo - 1, &below) < 0 || below.readable ||
	       below.writable;
}

static int look_at(int taskdir, const struct memory *m, pid_t tid, struct choose_thread *ret)
{
	char path[32], call[256], text[4096];
	struct facts f = { 0 };
	const char *seccomp;
	uint64_t sp, v = 0;

	snprintf(path, sizeof(path), "%d/stat", tid);
	if (procfile_read(taskdir, path, text, sizeof(text)) < 0 || facts_parse_stat(text, &f) < 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "%d/syscall", tid);
	if (procfile_read(taskdir, path, call, sizeof(call)) < 0)
		call[0] = '\0';
	ret->tid = tid;
	ret->rank = choose_rank(f.state, call, &sp);
	if (ret->rank == CHOOSE_NEVER)
		return -ESRCH;
	ret->poor_stack = is_poor_stack(m, sp);
	snprintf(path, sizeof(path), "%d/status", tid);
	if (procfile_read(taskdir, path, text, sizeof(text)) < 0)
		return -ESRCH;
	seccomp = procfile_value(text, "Seccomp");
	if (seccomp)
		procfile_number(seccomp, 10, &v, NULL);
	ret->seccomp = (int)v;
	return 0;
}

static bool better(const struct choose_thread *a, const struct choose_thread *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return !a->poor_stack && b->poor_stack;
}

static void insert(struct choose *c, const struct choose_thread *t)
{
	unsigned int i;

	if (c->n < CHOOSE_MAX)
		i = c->n++;
	else if (better(t, &c->threads[CHOOSE_MAX - 1]))
		i = CHOOSE_MAX - 1;
	else
		return;
	for (; i > 0 && better(t, &c->threads[i - 1]); i--)
		c->threads[i] = c->threads[i - 1];
	c->threads[i] = *t;
}

int choose_threads(int procfd, pid_t pid, const struct memory *m, struct choose *ret)
{
	_close_ int dir = openat(procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procfile_numbers tids;
	struct choose_thread t;
	int tid;

	ret->pid = pid;
	ret->n = ret->seen = 0;
	if (dir < 0)
		return -errno;
	procfile_numbers_init(&tids, dir);
	while (ret->seen < CHOOSE_LOOK_AT && procfile_numbers_next(&tids, &tid) > 0) {
		if (look_at(dir, m, tid, &t) < 0)
			continue;
		insert(ret, &t);
		ret->seen++;
		if (ret->threads[0].rank == CHOOSE_RESTARTS && !ret->threads[0].poor_stack)
			break;
	}
	return ret->n ? 0 : -ESRCH;
}
