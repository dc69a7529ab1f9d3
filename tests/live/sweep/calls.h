/* SPDX-License-Identifier: MIT */
/*
 * Calls: the n-th system call of pagetap and all its processes fails, by ptrace.
 *
 * Only calls that may fail in good faith, with an error that their manual pages name
 * (or that the kernel gives when it is short of memory).  The call is not made.
 */
#ifndef LIVE_SWEEP_CALLS_H
#define LIVE_SWEEP_CALLS_H

#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "trial.h"

#define MARK (-0x5eed)

struct call {
	long nr;
	const char *name;
	int errors[4];
};

static const struct call calls[] = {
	{ SYS_openat, "openat", { EMFILE, ENOMEM, EACCES, ENFILE } },
	{ SYS_read, "read", { EINTR, EIO, ENOMEM, EAGAIN } },
	{ SYS_pread64, "pread", { EIO, ENOMEM, EINTR } },
	{ SYS_readv, "readv", { EIO, EINTR } },
	{ SYS_write, "write", { EINTR, EIO, ENOSPC, EAGAIN } },
	{ SYS_pwrite64, "pwrite", { EIO, EINTR } },
	{ SYS_mmap, "mmap", { ENOMEM, EAGAIN } },
	{ SYS_mprotect, "mprotect", { ENOMEM } },
	{ SYS_mremap, "mremap", { ENOMEM } },
	{ SYS_madvise, "madvise", { EAGAIN, ENOMEM } },
	{ SYS_ioctl, "ioctl", { EAGAIN, ENOMEM, EINTR, EIO } },
	{ SYS_fcntl, "fcntl", { EMFILE, EINTR } },
	{ SYS_newfstatat, "newfstatat", { ENOMEM, EACCES, EIO } },
	{ SYS_fstat, "fstat", { ENOMEM, EIO } },
	{ SYS_statx, "statx", { ENOMEM, EACCES } },
	{ SYS_fstatfs, "fstatfs", { EIO, ENOMEM } },
	{ SYS_lseek, "lseek", { EIO } },
	{ SYS_ftruncate, "ftruncate", { EIO, EINTR } },
	{ SYS_rename, "rename", { EACCES, ENOSPC, EIO } },
	{ SYS_readlinkat, "readlinkat", { ENOMEM, EACCES } },
	{ SYS_readlink, "readlink", { ENOMEM, EACCES } },
	{ SYS_getdents64, "getdents64", { ENOMEM, EIO } },
	{ SYS_poll, "poll", { EINTR, ENOMEM } },
	{ SYS_ppoll, "ppoll", { EINTR, ENOMEM } },
	{ SYS_epoll_create1, "epoll_create1", { EMFILE, ENOMEM } },
	{ SYS_epoll_ctl, "epoll_ctl", { ENOMEM, ENOSPC } },
	{ SYS_epoll_wait, "epoll_wait", { EINTR } },
	{ SYS_epoll_pwait2, "epoll_pwait2", { EINTR, ENOSYS } },
	{ SYS_eventfd2, "eventfd2", { EMFILE, ENOMEM } },
	{ SYS_signalfd4, "signalfd4", { EMFILE, ENOMEM } },
	{ SYS_timerfd_create, "timerfd_create", { EMFILE, ENOMEM } },
	{ SYS_memfd_create, "memfd_create", { EMFILE, ENOMEM } },
	{ SYS_pipe2, "pipe2", { EMFILE } },
	{ SYS_socket, "socket", { EMFILE, ENOMEM, EPERM } },
	{ SYS_socketpair, "socketpair", { EMFILE, ENOMEM } },
	{ SYS_bind, "bind", { ENOMEM, EPERM } },
	{ SYS_getsockname, "getsockname", { ENOMEM } },
	{ SYS_setsockopt, "setsockopt", { ENOMEM, EPERM } },
	{ SYS_getsockopt, "getsockopt", { ENOMEM } },
	{ SYS_sendmsg, "sendmsg", { ENOBUFS, EINTR, ENOMEM, EAGAIN } },
	{ SYS_recvmsg, "recvmsg", { EINTR, ENOMEM, ENOBUFS, EAGAIN } },
	{ SYS_sendto, "sendto", { EINTR, ENOMEM } },
	{ SYS_recvfrom, "recvfrom", { EINTR, ENOMEM } },
	{ SYS_clone, "clone", { EAGAIN, ENOMEM } },
	{ SYS_clone3, "clone3", { EAGAIN, ENOMEM } },
	{ SYS_wait4, "wait4", { EINTR } },
	{ SYS_waitid, "waitid", { EINTR } },
	{ SYS_pidfd_open, "pidfd_open", { EMFILE, ENOMEM } },
	{ SYS_pidfd_getfd, "pidfd_getfd", { EMFILE, EPERM } },
	{ SYS_userfaultfd, "userfaultfd", { EMFILE, ENOMEM } },
	{ SYS_perf_event_open, "perf_event_open", { EMFILE, EACCES, ENOMEM, EBUSY } },
	{ SYS_process_vm_readv, "process_vm_readv", { EPERM, EFAULT, ENOMEM } },
	{ SYS_prlimit64, "prlimit64", { EPERM } },
	{ SYS_prctl, "prctl", { EPERM, ENOMEM } },
	{ SYS_seccomp, "seccomp", { ENOMEM, EACCES } },
	{ SYS_capset, "capset", { EPERM } },
	{ SYS_capget, "capget", { EPERM } },
	{ SYS_setsid, "setsid", { EPERM } },
	{ SYS_sysinfo, "sysinfo", { EFAULT } },
	{ SYS_uname, "uname", { EFAULT } },
	{ SYS_ptrace, "ptrace", { ESRCH, EPERM } },
	{ SYS_unlink, "unlink", { EIO } },
};

struct tracing {
	struct trial *trial;
	long at;		/* which call fails; 0: none */
	const char *only;	/* NULL: all */
	unsigned int round;	/* which of its errors */
	long seen;		/* calls that might */
	bool begun;
	pid_t struck;		/* whose return is to be changed */
	const struct call *call;
	int error;
	pid_t ours;		/* pagetap itself */
	int status;		/* of it */
	long running;		/* threads and processes */
	pid_t tids[64];		/* that are traced */
};

static inline const struct call *call_of(uint64_t nr)
{
	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if ((uint64_t)calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

static inline unsigned int nerrors(const struct call *c)
{
	unsigned int n = 1;

	while (n < 4 && c->errors[n])
		n++;
	return n;
}

/*
 * What the kernel can never say is no failure to be met.  A request to a thread that
 * is stopped fails with ESRCH only if the thread was killed; a write to an eventfd
 * that does not block, only if the eventfd is readable.
 */
static inline bool may_fail(pid_t tid, uint64_t nr, const uint64_t *args)
{
	char path[64], file[64] = "";

	if (nr == SYS_ptrace)
		return args[0] == PTRACE_SEIZE;
	if (nr != SYS_write)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)tid, (int)args[0]);
	if (readlink(path, file, sizeof(file) - 1) < 0)
		return true;
	return strcmp(file, "anon_inode:[eventfd]") != 0;
}

static inline void on_call(struct tracing *tr, pid_t tid)
{
	struct __ptrace_syscall_info in;
	const struct call *c;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(in), &in) <= 0)
		return;
	if (in.op == PTRACE_SYSCALL_INFO_EXIT && tid == tr->struck) {
		ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, regs.rax), -(long)tr->error);
		tr->struck = 0;
		return;
	}
	if (in.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (in.entry.nr == SYS_close && (int)in.entry.args[0] == MARK)
		tr->begun = true;
	c = tr->begun ? call_of(in.entry.nr) : NULL;
	if (c && tr->only && strcmp(tr->only, c->name))
		c = NULL;
	if (c && !may_fail(tid, in.entry.nr, in.entry.args))
		c = NULL;
	if (!c || ++tr->seen != tr->at)
		return;
	tr->call = c;
	tr->error = c->errors[((unsigned long)tr->at + tr->round) % nerrors(c)];
	tr->struck = tid;
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, regs.orig_rax), -1L);
}

static inline bool known(struct tracing *tr, pid_t tid, pid_t becomes)
{
	for (unsigned int i = 0; i < 64; i++)
		if (tr->tids[i] == tid) {
			tr->tids[i] = becomes;
			return true;
		}
	return false;
}

static inline void on_stop(struct tracing *tr, pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	if (!known(tr, tid, tid)) {
		known(tr, 0, tid);
		tr->running++;
	}
	if (sig == (SIGTRAP | 0x80)) {
		on_call(tr, tid);
		sig = 0;
	} else if (event) {
		sig = 0;
	}
	ptrace(PTRACE_SYSCALL, tid, NULL, (long)sig);
}

static void too_late(int sig)
{
	(void)sig;
}

static inline void kill_all(struct tracing *tr)
{
	for (unsigned int i = 0; i < 64; i++)
		if (tr->tids[i])
			kill(tr->tids[i], SIGKILL);
}

/* Until the last of them has gone.  NULL, or what is wrong with that. */
static inline const char *follow(struct tracing *tr)
{
	char where[64] = "?", path[64];
	const char *wrong = NULL;
	pid_t tid;
	int status;

	while ((tid = waitpid(-1, &status, __WALL)) >= 0 || errno == EINTR) {
		if (tid < 0) {
			for (unsigned int i = 0; i < 64 && !wrong; i++) {
				snprintf(path, sizeof(path), "/proc/%d/syscall", (int)tr->tids[i]);
				if (tr->tids[i])
					snprintf(where, sizeof(where), "%.60s", slurp(path));
			}
			wrong = bad(tr->trial, "not over after %d s; call %s; %.300s",
				    TRIAL_SECONDS, where, slurp(in_dir(tr->trial, "err")));
			kill_all(tr);
			alarm(5);
		} else if (WIFSTOPPED(status)) {
			on_stop(tr, tid, status);
		} else {
			known(tr, tid, 0);
			if (tid == tr->ours)
				tr->status = status;
		}
	}
	return wrong;
}

static inline const char *trial_of_call(struct trial *t, long at, unsigned int round,
					struct tracing *tr)
{
	struct sigaction sa = { .sa_handler = too_late };
	const char *wrong;
	int status;

	*tr = (struct tracing){
		.trial = t, .at = at, .round = round, .only = getenv("SWEEP_CALL"),
	};
	sigaction(SIGALRM, &sa, NULL);
	fflush(stdout);
	tr->ours = fork();
	if (!tr->ours) {
		raise(SIGSTOP);
		trial_exec(t);
	}
	waitpid(tr->ours, &status, WUNTRACED);
	if (ptrace(PTRACE_SEIZE, tr->ours, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		   PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL))
		return bad(t, "PTRACE_SEIZE: %s", strerror(errno));
	known(tr, 0, tr->ours);
	kill(tr->ours, SIGCONT);
	alarm(TRIAL_SECONDS);
	wrong = follow(tr);
	alarm(0);
	return wrong ? wrong : trial_check(t, tr->status);
}

#endif
