/* SPDX-License-Identifier: MIT */
/*
 * Facts: what /proc says about a process and about ourselves.
 *
 * The parsers are pure: text in, struct out.  facts_gather() and viewer_gather()
 * read the files; neither executes anything in the process looked at, and what they
 * cannot read stays at the value that refuses nothing.  Judging is target.c's.
 */
#ifndef INJECT_FACTS_H
#define INJECT_FACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FACTS_CAP_SYS_PTRACE (UINT64_C(1) << 19)
#define FACTS_CAP_SYS_ADMIN (UINT64_C(1) << 21)
#define FACTS_NAME 64

struct facts {
	pid_t pid;
	pid_t tgid, ppid, tracer;
	pid_t own_pid;			/* in its own pid namespace */
	char state;			/* proc_pid_stat(5) field 3 */
	char comm[FACTS_NAME];		/* the target's bytes, as the kernel escapes them */
	uint32_t threads;
	uint32_t flags;			/* field 9, PF_* of the kernel */
	uint64_t start_time;		/* field 22, clock ticks since boot */
	bool has_program;		/* field 26: not while it execs, and when it ends */
	int cpu;			/* field 39, where it runs or ran; -1 not known */
	int policy;			/* field 41, SCHED_*; -1 not known */
	uid_t uid[3];			/* real, effective, saved */
	gid_t gid[3];
	uint64_t cap_permitted, cap_effective;
	int seccomp;			/* 0, 1 strict, 2 filter */
	bool shadow_stack;		/* x86_Thread_features, 6.6 */
	bool live_thread;		/* the leader is a zombie, another thread is not */
	bool dumpable;
	int elf_class;			/* EI_CLASS; 0 unknown */
	unsigned int machine;		/* e_machine */
	bool same_user_ns;		/* as ours */
	uint32_t monitored;		/* mappings that have a userfaultfd ... */
	bool monitored_stack;		/* ... [stack] or [heap] among them */
	bool owns_uffd;			/* it holds a userfaultfd itself */
	char frozen[128];		/* path of the frozen cgroup, or empty */
	char parent_comm[FACTS_NAME], tracer_comm[FACTS_NAME], leader_comm[FACTS_NAME];
};

struct viewer {
	pid_t pid;
	uid_t uid, euid;
	gid_t gid;
	uint64_t cap_permitted, cap_effective;
	bool seccomp;			/* we run under a filter ourselves */
	int yama;			/* kernel.yama.ptrace_scope, 0 if there is none */
	bool descendant;		/* the target is a descendant of ours */
	bool uffd_syscall;		/* the kernel has userfaultfd(2) */
	bool uffd_device;		/* /dev/userfaultfd opens for us */
	bool uffd_unprivileged;		/* vm.unprivileged_userfaultfd is 1 */
	bool proc_ours;			/* /proc is of our pid namespace */
	bool alive;			/* kill(pid, 0) knows the pid */
};

/* proc_pid_stat(5); the name may hold any byte, ")" too.  -EBADMSG. */
int facts_parse_stat(const char *text, struct facts *ret);
/* proc_pid_status(5).  -EBADMSG; -ESRCH: of a task that has just gone. */
int facts_parse_status(const char *text, struct facts *ret);
/* The first bytes of an ELF file.  -EBADMSG. */
int facts_parse_elf(const void *head, size_t len, struct facts *ret);
/* Does this line of proc_pid_smaps(5) show a mapping with a userfaultfd? */
bool facts_monitored_line(const char *line);
/* Is this the first line of a mapping that no program registers for itself? */
bool facts_stack_line(const char *line);

/*
 * Read what procfd (a directory fd of /proc/PID) shows.  -ESRCH when it has gone.
 * Counting monitored mappings walks the page tables: only if asked.
 */
int facts_gather(int procfd, pid_t pid, bool count_monitored, struct facts *ret);
/* Identity only: one file.  -ESRCH. */
int facts_stat(int procfd, struct facts *ret);
void viewer_gather(pid_t pid, struct viewer *ret);

#endif
