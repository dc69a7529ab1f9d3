/* SPDX-License-Identifier: MIT */
/* Target: look before touching.  Facts in, a verdict with words out. */

#include "target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch.h"
#include "base/cleanup.h"
#include "failure.h"
#include "procfile.h"

#define PF_KTHREAD 0x00200000		/* proc_pid_stat(5) field 9; stable since 2.6.27 */
#define PHASE PAGETAP_PHASE_LOOK

struct name {
	char s[FACTS_NAME * 4 + 1];
};

static struct name escaped(const char *raw)
{
	struct name n = { "" };

	failure_escape(n.s, sizeof(n.s), raw[0] ? raw : "?");
	return n;
}

static struct name user_name(uid_t uid)
{
	struct passwd pw, *found = NULL;
	struct name n = { "" };
	char buf[2048];

	if (!getpwuid_r(uid, &pw, buf, sizeof(buf), &found) && found)
		failure_escape(n.s, sizeof(n.s), pw.pw_name);
	else
		snprintf(n.s, sizeof(n.s), "%u", uid);
	return n;
}

static int judge_kind(const struct facts *f, const struct viewer *v, struct pagetap_failure *ret)
{
	if (f->tgid != f->pid) {
		failure_set(ret, PHASE, PAGETAP_REASON_THREAD_ID, 0,
			    "it is a thread of process %d (%s), not a process", f->tgid,
			    escaped(f->leader_comm).s);
		failure_hint(ret, "attach to the process, all its threads are watched: -p %d",
			     f->tgid);
		return -ret->error;
	}
	if (f->flags & PF_KTHREAD)
		return failure_set(ret, PHASE, PAGETAP_REASON_KERNEL_THREAD, 0,
				   "it is a kernel thread and has no user memory");
	if (f->pid == v->pid)
		return failure_set(ret, PHASE, PAGETAP_REASON_SELF, 0,
				   "it is this very process, which cannot watch itself");
	if ((f->state == 'Z' || f->state == 'X') && !f->live_thread)
		return failure_set(ret, PHASE, PAGETAP_REASON_ZOMBIE, 0,
				   "it has already exited (zombie of %d, %s)", f->ppid,
				   escaped(f->parent_comm).s);
	return 0;
}

static const char *machine_name(unsigned int machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "arm";
	case EM_AARCH64:
		return "aarch64";
	default:
		return "unknown";
	}
}

static int judge_program(const struct facts *f, struct pagetap_failure *ret)
{
	if (!f->elf_class)
		return 0;
	if (f->elf_class == ELFCLASS32)
		return failure_set(ret, PHASE, PAGETAP_REASON_WORD_SIZE, 0,
				   "it is a 32-bit (%s) process; only %s targets are supported",
				   f->machine == EM_X86_64 ? "x32" : machine_name(f->machine),
				   arch_name);
	if (f->machine != arch_elf_machine)
		return failure_set(ret, PHASE, PAGETAP_REASON_WORD_SIZE, 0,
				   "its program is for %s; only %s targets are supported",
				   machine_name(f->machine), arch_name);
	return 0;
}

static bool same_user(const struct facts *f, const struct viewer *v)
{
	/* ptrace(2), "Ptrace access mode checking", step 2 for ATTACH_REALCREDS. */
	for (int i = 0; i < 3; i++)
		if (f->uid[i] != v->uid || f->gid[i] != v->gid)
			return false;
	return true;
}

static int judge_yama(const struct viewer *v, bool capable, struct pagetap_failure *ret)
{
	if (v->yama == 3)
		return failure_set(ret, PHASE, PAGETAP_REASON_YAMA, 0,
				   "kernel.yama.ptrace_scope is 3: no process may be traced "
				   "until reboot, not even by root");
	if (capable || !v->yama || (v->yama == 1 && v->descendant))
		return 0;
	if (v->yama == 1)
		failure_set(ret, PHASE, PAGETAP_REASON_YAMA, 0,
			    "kernel.yama.ptrace_scope is 1, which allows tracing of child "
			    "processes only");
	else
		failure_set(ret, PHASE, PAGETAP_REASON_YAMA, 0,
			    "kernel.yama.ptrace_scope is %d, which allows tracing with "
			    "CAP_SYS_PTRACE only", v->yama);
	failure_hint(ret, "sudo pagetap ..., or pagetap record -- COMMAND, or (until reboot) "
			  "sudo sysctl kernel.yama.ptrace_scope=0");
	return -ret->error;
}

static int judge_user(const struct facts *f, const struct viewer *v, struct pagetap_failure *ret)
{
	bool capable = v->cap_effective & FACTS_CAP_SYS_PTRACE;
	int r = judge_yama(v, capable, ret);

	if (r < 0 || capable)
		return r;
	if (!same_user(f, v)) {
		if (!v->euid) {
			failure_set(ret, PHASE, PAGETAP_REASON_NO_CAPABILITY, 0,
				    "CAP_SYS_PTRACE is missing although you are root "
				    "(container?)");
			failure_hint(ret, "docker run --cap-add=SYS_PTRACE ...; to see the "
					  "host's processes also --pid=host");
			return -ret->error;
		}
		failure_set(ret, PHASE, PAGETAP_REASON_OTHER_USER, 0,
			    "it belongs to user %.64s and you are %.64s without CAP_SYS_PTRACE",
			    user_name(f->uid[0]).s, user_name(v->uid).s);
		failure_hint(ret, "run with sudo, or start the program under pagetap: "
				  "pagetap record -- COMMAND");
		return -ret->error;
	}
	if (!f->dumpable || (f->cap_permitted & ~v->cap_permitted)) {
		failure_set(ret, PHASE, PAGETAP_REASON_NOT_DUMPABLE, 0,
			    "it is set-user-ID, has capabilities you lack, or has made itself "
			    "non-dumpable");
		failure_hint(ret, "needs CAP_SYS_PTRACE in the target's user namespace");
		return -ret->error;
	}
	return 0;
}

static int judge_seccomp(const struct facts *f, const struct viewer *v,
			 struct pagetap_failure *ret)
{
	/* PTRACE_O_SUSPEND_SECCOMP, 4.3: CAP_SYS_ADMIN, and no filter on the tracer. */
	if (!f->seccomp || ((v->cap_effective & FACTS_CAP_SYS_ADMIN) && !v->seccomp))
		return 0;
	failure_set(ret, PHASE, PAGETAP_REASON_SECCOMP, 0,
		    "it runs under %s; injecting a system call could kill it",
		    f->seccomp == 1 ? "strict seccomp" : "a seccomp filter");
	failure_hint(ret, "as root (CAP_SYS_ADMIN, kernel with CHECKPOINT_RESTORE) pagetap "
			  "suspends the filter for the injection; otherwise it refuses");
	return -ret->error;
}

static int judge_uffd(const struct facts *f, const struct viewer *v, unsigned int flags,
		      struct pagetap_failure *ret)
{
	bool device = v->uffd_device && !(flags & PAGETAP_NO_DEVICE);
	bool own = (f->cap_effective & FACTS_CAP_SYS_PTRACE) && f->same_user_ns;

	if (!v->uffd_syscall) {
		failure_set(ret, PHASE, PAGETAP_REASON_NO_UFFD, 0,
			    "this kernel has no userfaultfd (ENOSYS)");
		failure_hint(ret, "needs CONFIG_USERFAULTFD=y; check: zgrep USERFAULTFD "
				  "/proc/config.gz /boot/config-$(uname -r)");
		return -ret->error;
	}
	if (device || own || v->uffd_unprivileged || (flags & PAGETAP_USER_MODE_ONLY))
		return 0;
	failure_set(ret, PHASE, PAGETAP_REASON_UFFD_FORBIDDEN, 0,
		    "it may not create a userfaultfd: vm.unprivileged_userfaultfd is 0 and "
		    "/dev/userfaultfd is not open to you");
	failure_hint(ret, "run as root (uses /dev/userfaultfd; a container wants "
			  "--device /dev/userfaultfd), or sudo sysctl "
			  "vm.unprivileged_userfaultfd=1");
	return -ret->error;
}

/*
 * By somebody else: whose userfaultfd is on a mapping the kernel does not tell, but a
 * watcher's is not in the target's own table, and a program that handles its own
 * faults does so neither on its stack nor in the heap of malloc.
 */
static bool is_watched(const struct facts *f)
{
	return f->monitored && (!f->owns_uffd || f->monitored_stack);
}

static int judge_use(const struct facts *f, const struct viewer *v, unsigned int flags,
		     struct pagetap_failure *ret)
{
	if (f->tracer) {
		failure_set(ret, PHASE, PAGETAP_REASON_TRACED, 0,
			    "it is already traced by %d (%s)", f->tracer,
			    escaped(f->tracer_comm).s);
		failure_hint(ret, "only one tracer at a time; detach there first (gdb: "
				  "\"detach\"; strace: Ctrl-C). pagetap needs it for about "
				  "1 ms.");
		return -ret->error;
	}
	if (f->frozen[0]) {
		failure_set(ret, PHASE, PAGETAP_REASON_STUCK, EBUSY,
			    "its cgroup %s is frozen, so that it cannot run", escaped(f->frozen).s);
		failure_hint(ret, "thaw the cgroup first");
		return -ret->error;
	}
	if (is_watched(f) && !(flags & PAGETAP_ALLOW_MONITORED)) {
		failure_set(ret, PHASE, PAGETAP_REASON_MONITORED, 0,
			    "it already has a userfaultfd on %u of its mappings, %s (another "
			    "pagetap, CRIU?)", f->monitored,
			    f->owns_uffd ? "its stack or heap among them" :
					   "and holds none itself");
		failure_hint(ret, "a mapping belongs to one userfaultfd at a time; end the "
				  "other watcher first");
		return -ret->error;
	}
	return judge_uffd(f, v, flags, ret);
}

int target_judge(const struct facts *f, const struct viewer *v, unsigned int flags,
		 struct pagetap_failure *ret)
{
	int r;

	failure_clear(ret);
	r = judge_kind(f, v, ret);
	if (!r)
		r = judge_program(f, ret);
	if (!r)
		r = judge_user(f, v, ret);
	if (!r)
		r = judge_use(f, v, flags, ret);
	if (!r)
		r = judge_seccomp(f, v, ret);
	return r;
}

/* No directory for the pid: it is not there, or /proc does not show it to us. */
static int judge_absent(const struct viewer *v, int error, struct pagetap_failure *ret)
{
	if (!v->proc_ours)
		return failure_set(ret, PHASE, PAGETAP_REASON_PROC, 0,
				   "/proc is not mounted, or belongs to another pid namespace");
	if (!v->alive)
		return failure_set(ret, PHASE, PAGETAP_REASON_NO_PROCESS, 0, "no such process");
	failure_set(ret, PHASE, PAGETAP_REASON_PROC, error,
		    "the process exists, but /proc does not show it to you (mounted with "
		    "hidepid?)");
	failure_hint(ret, "run as root, or in the group of /proc's gid= option");
	return -ret->error;
}

int target_look(pid_t pid, unsigned int flags, int *ret_procfd, struct facts *ret_facts,
		struct pagetap_failure *ret)
{
	_close_ int procfd = -1;
	struct viewer v;
	char path[32];
	int r;

	failure_clear(ret);
	if (pid <= 0)
		return failure_set(ret, PHASE, PAGETAP_REASON_NO_PROCESS, 0, "no such process");
	viewer_gather(pid, &v);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	procfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0 || !v.proc_ours) {
		r = procfd < 0 ? errno : ENOENT;
		/* It may have ended since it was looked at. */
		viewer_gather(pid, &v);
		return judge_absent(&v, r, ret);
	}
	r = facts_gather(procfd, pid, !(flags & PAGETAP_ALLOW_MONITORED), ret_facts);
	if (r == -EACCES || r == -EPERM)
		return judge_absent(&v, -r, ret);
	if (r == -ESRCH || r == -ENOENT)
		return failure_set(ret, PHASE, PAGETAP_REASON_NO_PROCESS, 0, "no such process");
	if (r < 0)
		return failure_set(ret, PHASE, PAGETAP_REASON_PROC, -r,
				   "reading /proc/%d failed", pid);
	r = target_judge(ret_facts, &v, flags, ret);
	if (r < 0)
		return r;
	*ret_procfd = steal_fd(&procfd);
	return 0;
}

int target_explain_seize(const struct facts *f, int error, struct pagetap_failure *ret)
{
	if (f->tracer) {
		failure_set(ret, PAGETAP_PHASE_SEIZE, PAGETAP_REASON_TRACED, error,
			    "it is already traced by %d (%s)", f->tracer,
			    escaped(f->tracer_comm).s);
		return -ret->error;
	}
	failure_set(ret, PAGETAP_PHASE_SEIZE, PAGETAP_REASON_NO_CAPABILITY, error,
		    "the kernel does not permit ptrace here (%s): it is in a user namespace "
		    "above yours, or a security module forbids it", strerrorname_np(error));
	failure_hint(ret, "needs CAP_SYS_PTRACE in the target's user namespace");
	return -ret->error;
}

int pagetap_look(pid_t pid, const struct pagetap_opts *opts, struct pagetap_failure *ret)
{
	_close_ int procfd = -1;
	struct facts f;

	return target_look(pid, opts ? opts->flags : 0, &procfd, &f, ret);
}
