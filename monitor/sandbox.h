/* SPDX-License-Identifier: MIT */
/*
 * Sandbox: what the running monitor gives up, and what is left to it.
 *
 * Before: it borrows, opens and forks with the rights of its user.  After
 * sandbox_enter() it holds no capability (but see there), gains none by an exec, and
 * may make the system calls that serving faults and writing takes, and no others.
 * What needs more is the agent's to do (watch/agent.h).  All of it is inherited by
 * threads, none of it touches a process that exists already.
 *
 * A build with ASan, TSan or MSan leaves the filter out: their runtimes make calls of
 * their own, clone(2) and execve(2) of a symboliser among them.
 */
#ifndef MONITOR_SANDBOX_H
#define MONITOR_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

struct sandbox_report {
	int caps;		/* 0, or -errno: they could not be given up */
	int filter;		/* 0, or -errno; -EOPNOTSUPP: left out of this build */
	bool kept_ptrace;	/* /proc hides processes (hidepid): CAP_SYS_PTRACE stays */
};

/*
 * First of all: no core file of it, and whoever has no more rights than its user can
 * neither trace it nor read its /proc.  The latter only if it has privileges to protect:
 * of a plain user's own process its watchdog must be able to copy descriptors.
 */
void sandbox_begin(void);

/* For the agent: the capabilities that injections and /proc take, no others. */
void sandbox_agent(void);

/*
 * For the watchdog, which frees targets when this process cannot: copies of descriptors
 * (pidfd_getfd(2)), /proc of the targets and of a monitor that is not dumpable, a signal.
 */
void sandbox_guard(void);

/*
 * Make ready what the two below take, in the process that calls them, while there is one
 * thread and nothing is attached: this allocates, they do not.  A child that is forked
 * later must call it anew, as the filters name their process.
 */
void sandbox_prepare(void);

/* For the writer thread: no capability, and a filter for writing alone. */
void sandbox_writer(void);

/*
 * For a thread that shows what happens while it does: a filter for writing, the settings of a
 * terminal, and reading files (those with names of functions), and of capabilities that of
 * reading them wherever they lie.
 */
void sandbox_viewer(void);

/*
 * For the event thread, once everything is attached.  target: a process to try reading
 * /proc with; command: one of ours may have to be signalled, so CAP_KILL stays.  A part
 * that cannot be done is said in the report, and the rest is done.
 */
void sandbox_enter(pid_t target, bool command, struct sandbox_report *ret);

/*
 * For a process of its own that reads what may be anybody's (restore/image-process.h): no
 * user, no capability, no file, and of the system calls memory and reading and writing its
 * one socket.  It does not outlive its parent.  Allocates; for a process with one thread.
 */
void sandbox_parser(void);

/*
 * For a pager, by which processes are restored: every file is open, and its socket listens.
 * No capability, but with `looks`, for a trace that tells what the processes are, the one to
 * look them up in /proc; nothing is opened to be written, and connections are of
 * TCP.  network: the source is a library's with threads and names of its own, which
 * has no filter.  Of the calling thread and those it makes; allocates.
 */
void sandbox_pager(bool looks, bool network);

/* For a page server that listens: no capability, and no file, nor connection of its own. */
void sandbox_server(bool network);

/*
 * For a command that reads a trace, and the files it names: both may be anybody's.  It starts
 * nothing, signals nobody, and opens files for reading alone; of capabilities it keeps the one
 * to read what its user could.  Allocates; for a process with one thread.
 */
void sandbox_reader(void);

/* sandbox-filter.c: seccomp(2).  0 or -errno. */

/* Can a filter be set here at all?  Sets none. */
int sandbox_filter_probe(void);
/* Those of the threads, for this process; the reason why not comes from the two below. */
void sandbox_filter_make(void);
/* Set one on the calling thread; allocates nothing. */
int sandbox_filter_events(void);
int sandbox_filter_writer(void);
int sandbox_filter_viewer(void);
/* Make it and set it on the calling thread. */
int sandbox_filter_pager(void);
int sandbox_filter_server(void);
int sandbox_filter_reader(void);
/* For a parser whose socket is this descriptor.  Made, then set: in two steps, as the one
 * takes descriptors and memory that are to be had no more before the other. */
int sandbox_filter_make_parser(int fd);
int sandbox_filter_parser(void);

#endif
