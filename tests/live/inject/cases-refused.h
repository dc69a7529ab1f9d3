/* SPDX-License-Identifier: MIT */
/* Cases: refusals, each with its own words, and nothing executed in the target. */
#ifndef LIVE_INJECT_CASES_REFUSED_H
#define LIVE_INJECT_CASES_REFUSED_H

#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

#include "cases-places.h"
#include "compat/sys.h"
#include "compat/uffd.h"

/* The refusal that is wanted, or words. */
static inline const char *refused(pid_t pid, unsigned int flags, enum pagetap_reason reason,
				  int status, const char *words)
{
	struct pagetap_opts o = { .size = sizeof(o), .flags = flags, .timeout_ms = 200 };
	struct attach a;

	if (attach(pid, flags, &a) == 0)
		return "it was attached to";
	if (a.failure.reason != reason)
		return say(&a);
	if (pagetap_failure_status(&a.failure) != status)
		return why("exit status %d", pagetap_failure_status(&a.failure));
	if (!strstr(a.failure.text, words))
		return why("the words were: %s", a.failure.text);
	if (a.failure.state != PAGETAP_TARGET_UNTOUCHED)
		return "the target was touched";
	if (a.failure.phase == PAGETAP_PHASE_LOOK && pagetap_look(pid, &o, &a.failure) == 0)
		return "a look alone allows it";
	return NULL;
}

static inline const char *case_refusals(long arg)
{
	struct target *threads = target_start(shape_doze, 2, 2);
	char path[64];
	const char *w;
	pid_t tid = 0, zombie;
	struct dirent *e;
	DIR *d;

	(void)arg;
	if (!threads)
		return "target not ready";
	zombie = fork();
	if (!zombie)
		_exit(0);
	pause_ms(30);
	snprintf(path, sizeof(path), "/proc/%d/task", threads->pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (strtol(e->d_name, NULL, 10) > threads->pid)
			tid = (pid_t)strtol(e->d_name, NULL, 10);
	closedir(d);
	w = refused(99999999, 0, PAGETAP_REASON_NO_PROCESS, 4, "no such process");
	if (!w)
		w = refused(-1, 0, PAGETAP_REASON_NO_PROCESS, 4, "no such process");
	if (!w)
		w = refused(zombie, 0, PAGETAP_REASON_ZOMBIE, 4,
			    "it has already exited (zombie of");
	if (!w && thread_state(2, 2))
		w = refused(2, 0, PAGETAP_REASON_KERNEL_THREAD, 5, "it is a kernel thread");
	if (!w)
		w = refused(getpid(), 0, PAGETAP_REASON_SELF, 5, "itself");
	if (!w)
		w = refused(tid, 0, PAGETAP_REASON_THREAD_ID, 4, "it is a thread of process");
	waitpid(zombie, NULL, 0);
	return w;
}

/* Run in a fork, because privileges do not come back. */
static inline const char *as_other(void (*become)(void), pid_t pid, unsigned int flags,
				   enum pagetap_reason reason, int status, const char *words)
{
	static char text[512];
	int p[2], n;
	pid_t child;

	if (pipe(p))
		return "pipe";
	fflush(stdout);
	child = fork();
	if (!child) {
		const char *w;

		become();
		w = refused(pid, flags, reason, status, words);
		if (w && write(p[1], w, strlen(w)) < 0)
			_exit(1);
		_exit(0);
	}
	close(p[1]);
	n = (int)read(p[0], text, sizeof(text) - 1);
	close(p[0]);
	waitpid(child, NULL, 0);
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	return why("%s: %s", pagetap_reason_name(reason), text);
}

static inline void drop(uint64_t caps)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		abort();
	d[0].effective &= ~(unsigned int)caps;
	d[0].permitted &= ~(unsigned int)caps;
	if (syscall(SYS_capset, &h, d))
		abort();
}

static inline void drop_ptrace(void)
{
	drop(UINT64_C(1) << CAP_SYS_PTRACE);
}

static inline void drop_admin(void)
{
	drop(UINT64_C(1) << CAP_SYS_ADMIN);
}

static inline void stay(void)
{
}

static inline const char *case_unprivileged(long arg)
{
	struct target *root = target_start(shape_doze, 1, 1);
	struct target *nobody = target_start(shape_place, PLACE_NOBODY, 2);
	struct target *box = target_start(shape_place, PLACE_SECCOMP, 2);
	const char *w;

	(void)arg;
	if (!root || !nobody || !box)
		return "target not ready";
	w = as_other(become_nobody, root->pid, 0, PAGETAP_REASON_OTHER_USER, 3,
		     "it belongs to user root and you are nobody without CAP_SYS_PTRACE");
	if (!w)
		w = as_other(become_nobody, nobody->pid, 0, PAGETAP_REASON_NOT_DUMPABLE, 3,
			     "non-dumpable");
	if (!w)
		w = as_other(drop_ptrace, nobody->pid, 0, PAGETAP_REASON_NO_CAPABILITY, 3,
			     "CAP_SYS_PTRACE is missing although you are root");
	if (!w)
		w = as_other(drop_admin, box->pid, 0, PAGETAP_REASON_SECCOMP, 3,
			     "it runs under a seccomp filter");
	if (!w)
		w = as_other(stay, nobody->pid, PAGETAP_NO_DEVICE, PAGETAP_REASON_UFFD_FORBIDDEN, 3,
			     "it may not create a userfaultfd");
	if (w)
		return w;
	w = is_intact(root->pid);
	if (!w)
		w = is_intact(nobody->pid);
	return w ? w : is_intact(box->pid);
}

static inline const char *case_traced(long arg)
{
	struct target *t = target_start(shape_doze, 1, 1);
	int fds[2], status;
	const char *w;
	pid_t tracer;
	char c;

	(void)arg;
	if (!t || pipe(fds))
		return "target not ready";
	tracer = fork();
	if (!tracer) {
		prctl(PR_SET_NAME, "other (tracer)");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_SEIZE, t->pid, NULL, NULL) || write(fds[1], "x", 1) != 1)
			_exit(1);
		pause_ms(20000);
		_exit(0);
	}
	if (read(fds[0], &c, 1) != 1)
		return "no tracer";
	w = refused(t->pid, 0, PAGETAP_REASON_TRACED, 3, "it is already traced by");
	if (!w)
		w = refused(t->pid, 0, PAGETAP_REASON_TRACED, 3, "(other (tracer))");
	kill(tracer, SIGKILL);
	waitpid(tracer, &status, 0);
	close(fds[0]);
	close(fds[1]);
	return w ? w : target_ends_well(t, 3000);
}

static inline bool is_traced(pid_t pid)
{
	static struct snapshot s;
	const char *p;

	snapshot_take(pid, &s);
	p = strstr(s.threads, "TracerPid:");
	return p && strtol(p + strlen("TracerPid:"), NULL, 10);
}

/* strace(1) is named, and goes on. */
static inline const char *case_strace(long arg)
{
	struct target *t = target_start(shape_doze, 1, 1);
	const char *w = NULL;
	int status;
	pid_t tracer;
	char pid[16];

	(void)arg;
	if (!t)
		return "target not ready";
	snprintf(pid, sizeof(pid), "%d", t->pid);
	tracer = fork();
	if (!tracer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("strace", "strace", "-qq", "-o", "/dev/null", "-p", pid, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !is_traced(t->pid); i++)
		pause_ms(10);
	for (int i = 0; i < 5 && !w; i++)
		w = refused(t->pid, 0, PAGETAP_REASON_TRACED, 3, "(strace)");
	if (!w)
		w = target_ends_well(t, 3000);
	if (w)
		kill(tracer, SIGKILL);
	waitpid(tracer, &status, 0);
	if (!w && (!WIFEXITED(status) || WEXITSTATUS(status)))
		w = why("strace ended with 0x%x", status);
	return w;
}

static inline void shape_monitored(struct shared *s, long arg)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = sys_userfaultfd(O_CLOEXEC | O_NONBLOCK);

	reg.range.len = 65536;
	reg.range.start = (uint64_t)(uintptr_t)mmap(NULL, 65536, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		_exit(77);
	/* arg: another process has it, as a watcher would. */
	if (arg) {
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		close(fd);
	}
	shape_doze(s, 1);
}

/* arg: by another process; else it is its own affair, and we may. */
static inline const char *case_monitored(long arg)
{
	struct target *t = target_start(shape_monitored, arg, 1);
	struct attach a;
	const char *w;

	if (!t)
		return "target not ready";
	if (!arg)
		return attach(t->pid, 0, &a) < 0 ? say(&a) : NULL;
	w = refused(t->pid, 0, PAGETAP_REASON_MONITORED, 5,
		    "it already has a userfaultfd on 1 of its mappings");
	if (w)
		return w;
	return attach(t->pid, PAGETAP_ALLOW_MONITORED, &a) < 0 ? say(&a) : NULL;
}

static inline bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static inline const char *case_frozen(long arg)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified",
					     "/sys/fs/cgroup/freezer" };
	struct target *t = target_start(shape_doze, 1, 1);
	char dir[128], path[200], pid[16];
	const char *w = NULL;
	bool frozen = false, v1 = false;

	(void)arg;
	if (!t)
		return "target not ready";
	snprintf(pid, sizeof(pid), "%d", t->pid);
	for (int i = 0; i < 3 && !frozen; i++) {
		v1 = i == 2;
		snprintf(dir, sizeof(dir), "%s/pagetap-test-%d", roots[i], getpid());
		if (mkdir(dir, 0755))
			continue;
		snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
		frozen = write_file(path, pid);
		snprintf(path, sizeof(path), v1 ? "%s/freezer.state" : "%s/cgroup.freeze", dir);
		frozen = frozen && write_file(path, v1 ? "FROZEN" : "1");
		if (!frozen)
			rmdir(dir);
	}
	if (!frozen)
		return skip("no-cgroup");
	pause_ms(50);
	w = refused(t->pid, 0, PAGETAP_REASON_STUCK, 1, "is frozen");
	write_file(path, v1 ? "THAWED" : "0");
	pause_ms(30);
	if (!w)
		w = target_ends_well(t, 3000);
	targets_end();
	for (int i = 0; i < 50 && rmdir(dir); i++)
		pause_ms(10);
	return w;
}

static inline const char *case_vfork(long arg)
{
	struct target *t = target_start(shape_vfork, 0, 1);
	uint64_t t0 = clock_now();
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	w = refused(t->pid, 0, PAGETAP_REASON_VFORK, 1, "it waits for a vfork child");
	if (w)
		return w;
	if (clock_now() - t0 > 1500 * NSEC_PER_MSEC)
		return "it took longer than its time-out";
	if (!wait_for(&t->shared->ready, 2, 5000))
		return "it did not go on";
	w = attach_times(t, 0, 5);
	return w ? w : target_ends_well(t, 3000);
}

static inline const char *case_fd_limit(long arg)
{
	struct target *t = target_start(shape_fd_full, 0, 1);
	static struct snapshot before, after;
	struct attach a;
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	snapshot_take(t->pid, &before);
	/* 0, 1, 2 or 3 free numbers: each fails at another call. */
	for (int i = 0; i < 4; i++) {
		if (attach(t->pid, 0, &a) == 0)
			break;
		if (a.failure.reason != PAGETAP_REASON_FD_LIMIT)
			return say(&a);
		if (a.failure.state != PAGETAP_TARGET_RESTORED)
			return "it is not said to be restored";
		snapshot_take(t->pid, &after);
		w = snapshot_differs(&before, &after);
		if (!w)
			w = is_intact(t->pid);
		if (w)
			return why("with %d free: %s", i, w);
		atomic_fetch_add(&t->shared->count[0], 1);
		pause_ms(60);
		snapshot_take(t->pid, &before);
	}
	return target_ends_well(t, 3000);
}

#endif
