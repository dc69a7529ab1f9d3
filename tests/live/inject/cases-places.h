/* SPDX-License-Identifier: MIT */
/* Cases: targets in namespaces, boxes and on unusual stacks. */
#ifndef LIVE_INJECT_CASES_PLACES_H
#define LIVE_INJECT_CASES_PLACES_H

#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "shapes.h"

enum place {
	PLACE_NOBODY, PLACE_NOBODY_ALONE, PLACE_NETNS, PLACE_MOUNTNS, PLACE_PIDNS, PLACE_USERNS,
	PLACE_ALL,
	PLACE_SECCOMP, PLACE_STRICT, PLACE_NOT_DUMPABLE,
};

#define NOBODY 65534

static inline void become_nobody(void)
{
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		abort();
}

/* An empty directory that only this process sees. */
static inline void empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/mnt", "tmpfs", 0, "size=64k") || chroot("/mnt") || chdir("/"))
		abort();
}

/* Kills on every call that the hand-over makes, were it not suspended. */
static inline void filter_calls(void)
{
	static const int bad[] = { SYS_userfaultfd, SYS_socket, SYS_socketpair, SYS_sendmsg,
				   SYS_recvmsg, SYS_ioctl, SYS_connect };
	struct sock_filter f[32];
	unsigned short n = 0;
	struct sock_fprog prog = { .filter = f };

	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					      offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						      (unsigned int)bad[i], 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		_exit(77);
}

static inline void map_user(void)
{
	char line[32];
	int fd, n;

	if (unshare(CLONE_NEWUSER))
		_exit(77);
	n = snprintf(line, sizeof(line), "0 %d 1\n", NOBODY);
	fd = open("/proc/self/uid_map", O_WRONLY);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		_exit(77);
	close(fd);
}

/* Strict: only read, write, exit and rt_sigreturn are left, so it spins on memory. */
static inline void spin_strictly(struct shared *s)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		_exit(77);
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		int r = canary_round(7, 100000);

		if (r)
			shape_bad(s, r);
		atomic_fetch_add(&s->rounds, 1);
	}
	syscall(SYS_exit, s->bad != 0);
}

static inline void shape_place(struct shared *s, long place)
{
	switch (place) {
	case PLACE_NOBODY:
		become_nobody();
		break;
	case PLACE_NOBODY_ALONE:
		become_nobody();
		shape_doze(s, 1);
		break;
	case PLACE_NETNS:
		if (unshare(CLONE_NEWNET))
			_exit(77);
		break;
	case PLACE_MOUNTNS:
		if (unshare(CLONE_NEWNS))
			_exit(77);
		empty_root();
		break;
	case PLACE_USERNS:
		become_nobody();
		prctl(PR_SET_DUMPABLE, 1);	/* setuid cleared it, and with it uid_map */
		map_user();
		break;
	case PLACE_ALL:
		if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
			_exit(77);
		empty_root();
		become_nobody();
		unshare(CLONE_NEWUSER);
		break;
	case PLACE_SECCOMP:
		become_nobody();
		filter_calls();
		break;
	case PLACE_STRICT:
		spin_strictly(s);
		break;
	case PLACE_NOT_DUMPABLE:
		prctl(PR_SET_DUMPABLE, 0);
		break;
	}
	shape_doze(s, 2);
}

/* A pid namespace begins with the next fork; its first process reports its host pid. */
static inline void shape_pidns(struct shared *s, long arg)
{
	pid_t child;

	(void)arg;
	if (unshare(CLONE_NEWPID))
		_exit(77);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		shape_doze(s, 2);
	}
	atomic_store(&s->tid, child);
	waitpid(child, NULL, 0);
}

static inline const char *place_pidns(void)
{
	struct target *t = target_start(shape_pidns, 0, 2), inner;
	const char *w;

	if (!t)
		return skip("no-pidns");
	inner = (struct target){ .pid = t->shared->tid, .shared = t->shared };
	w = attach_times(&inner, 0, 5);
	if (!w)
		w = attach_times(&inner, PAGETAP_NO_PIDFD_GETFD, 5);
	return w ? w : target_ends_well(t, 3000);
}

static inline const char *case_place(long place)
{
	static const char *const ids[] = { "", "no-mount", "no-mount", "no-pidns", "no-userns",
					   "no-mount", "no-seccomp", "no-seccomp", "" };
	struct target *t;
	const char *w;
	int status;

	if (place == PLACE_PIDNS)
		return place_pidns();
	t = target_start(shape_place, place, place == PLACE_STRICT ? 1 : 2);
	if (!t && waitpid(case_targets[0].pid, &status, WNOHANG) > 0 && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 77)
		return skip(ids[place]);
	if (!t)
		return "target not ready";
	w = attach_times(t, 0, 10);
	if (!w && place == PLACE_STRICT)
		w = attach_times(t, PAGETAP_NO_NET, 5);
	return w ? w : target_ends_well(t, 5000);
}

/* ---- syscall user dispatch ---- */

#ifndef PR_SET_SYSCALL_USER_DISPATCH	/* 5.11 */
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static volatile char dispatch_selector;
static struct shared *dispatch_shared;

static inline void on_dispatch(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)si;
	(void)context;
	dispatch_selector = 0;
	atomic_fetch_add(&dispatch_shared->count[0], 1);
}

static inline void shape_dispatch(struct shared *s, long arg)
{
	struct sigaction sa = { .sa_sigaction = on_dispatch, .sa_flags = SA_SIGINFO }, now;

	(void)arg;
	dispatch_shared = s;
	sigaction(SIGSYS, &sa, NULL);
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &dispatch_selector))
		_exit(77);
	dispatch_selector = 1;
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop))
		atomic_fetch_add(&s->rounds, 1);
	/* No call of ours was taken for one of its own; the next of its own is caught. */
	if (s->count[0])
		shape_bad(s, 310);
	getppid();
	if (s->count[0] != 1)
		shape_bad(s, 311);
	sigaction(SIGSYS, NULL, &now);
	if (now.sa_sigaction != on_dispatch)
		shape_bad(s, 312);
	_exit(s->bad != 0);
}

static inline const char *case_dispatch(long arg)
{
	struct target *t = target_start(shape_dispatch, 0, 1);
	const char *w;
	int status;

	(void)arg;
	if (!t && waitpid(case_targets[0].pid, &status, WNOHANG) > 0 && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 77)
		return skip("old-kernel");
	if (!t)
		return "target not ready";
	w = attach_times(t, 0, 20);
	return w ? w : target_ends_well(t, 3000);
}

/* The abstract socket does not reach there: refused, and all undone. */
static inline const char *case_other_netns(long arg)
{
	struct target *t = target_start(shape_place, PLACE_NETNS, 2);
	struct attach a;
	const char *w;

	(void)arg;
	if (!t)
		return skip("no-mount");
	if (attach(t->pid, PAGETAP_NO_PIDFD_GETFD, &a) == 0)
		return "it was attached to";
	if (a.failure.error != ECONNREFUSED || a.failure.state != PAGETAP_TARGET_RESTORED)
		return say(&a);
	w = is_intact(t->pid);
	if (!w)
		w = attach_times(t, 0, 3);
	return w ? w : target_ends_well(t, 3000);
}

/* ---- static programs ---- */

static const char static_source[] =
	"#include <poll.h>\n#include <stdio.h>\n#include <unistd.h>\n"
	"int main(int c, char **v)\n{\n"
	"	int *rounds = (int *)0, mine = 0;\n	(void)c; (void)v; (void)rounds;\n"
	"	write(1, \"r\", 1);\n"
	"	for (;;) {\n		if (poll(0, 0, 5) < 0)\n			return 3;\n"
	"		if (++mine > 2000)\n			return 0;\n"
	"		if (getppid() == 1)\n			return 0;\n	}\n}\n";

static inline void shape_static(struct shared *s, long musl)
{
	char dir[] = "/tmp/pagetap-inject-XXXXXX", source[64], program[64];
	pid_t pid;
	FILE *f;

	if (!mkdtemp(dir))
		_exit(1);
	snprintf(source, sizeof(source), "%s/t.c", dir);
	snprintf(program, sizeof(program), "%s/t", dir);
	f = fopen(source, "we");
	if (!f || fputs(static_source, f) < 0 || fclose(f))
		_exit(1);
	pid = fork();
	if (!pid) {
		execlp(musl ? "musl-gcc" : "cc", "cc", "-static", "-O1", "-w", "-o", program,
		       source, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, (int *)&s->count[0], 0);
	unlink(source);
	if (s->count[0])
		_exit(77);
	pid = fork();
	if (!pid) {
		close(1);
		open("/dev/null", O_WRONLY);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	pause_ms(100);
	unlink(program);
	rmdir(dir);
	atomic_store(&s->tid, pid);
	atomic_fetch_add(&s->ready, 1);
	waitpid(pid, (int *)&s->count[1], 0);
	atomic_store(&s->returned, 1);
	while (!atomic_load(&s->stop))
		pause_ms(1);
}

static inline const char *case_static(long musl)
{
	struct target *t = target_start(shape_static, musl, 1), inner;
	struct attach a;
	const char *w;

	if (!t)
		return skip(musl ? "no-musl" : "no-static-libc");
	inner = (struct target){ .pid = t->shared->tid, .shared = t->shared };
	w = attach_times(&inner, 0, 30);
	if (w)
		return w;
	if (attach(inner.pid, 0, &a) < 0)
		return say(&a);
	printf("   %s: %s\n", musl ? "musl" : "glibc", a.loan.net ? "with net" : "without net");
	if (t->shared->returned)
		return why("it ended with status 0x%lx", t->shared->count[1]);
	kill(inner.pid, SIGKILL);
	return target_ends_well(t, 3000);
}

/* ---- the rest ---- */

static inline void *outlive(void *arg)
{
	pause_ms(20);
	doze(arg);
	_exit(((struct shared *)arg)->bad != 0);
}

static inline void shape_zombie_leader(struct shared *s, long arg)
{
	pthread_t th;

	(void)arg;
	pthread_create(&th, NULL, outlive, s);
	pthread_exit(NULL);
}

static inline const char *case_zombie_leader(long arg)
{
	struct target *t = target_start(shape_zombie_leader, 0, 1);
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	if (thread_state(t->pid, t->pid) != 'Z')
		return "the first thread is no zombie";
	w = attach_times(t, 0, 10);
	return w ? w : target_ends_well(t, 3000);
}

/* Job control: still stopped afterwards, the parent is told nothing, CONT resumes. */
static inline const char *case_stopped(long arg)
{
	struct target *t = target_start(shape_doze, 3, 3);
	siginfo_t si = { 0 };
	struct attach a;
	long rounds;

	(void)arg;
	if (!t)
		return "target not ready";
	kill(t->pid, SIGSTOP);
	if (waitid(P_PID, (id_t)t->pid, &si, WSTOPPED) || si.si_code != CLD_STOPPED)
		return "it did not stop";
	for (int i = 0; i < 20; i++) {
		if (attach(t->pid, 0, &a) < 0)
			return say(&a);
		if (thread_state(t->pid, a.loan.tid) != 'T') {
			pause_ms(5);
			if (thread_state(t->pid, a.loan.tid) != 'T')
				return why("state %c after attach %d",
					   thread_state(t->pid, a.loan.tid), i);
		}
	}
	memset(&si, 0, sizeof(si));
	if (waitid(P_PID, (id_t)t->pid, &si, WSTOPPED | WCONTINUED | WEXITED | WNOHANG) ||
	    si.si_pid)
		return why("its parent was told something (code %d)", si.si_code);
	rounds = t->shared->rounds;
	kill(t->pid, SIGCONT);
	pause_ms(100);
	if (t->shared->rounds <= rounds)
		return "SIGCONT did not resume it";
	if (is_intact(t->pid))
		return is_intact(t->pid);
	return target_ends_well(t, 3000);
}

#endif
