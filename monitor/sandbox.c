/* SPDX-License-Identifier: MIT */
/* Sandbox: the order of things.  See sandbox.h. */

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "caps.h"
#include "restore/apart.h"

/* As of a user that owns nothing; the kernel's overflowuid. */
#define NOBODY 65534
/* 64 GiB in single pages, which is much, take 2 GiB and some seconds. */
#define PARSER_MEMORY (UINT64_C(8) << 30)
#define PARSER_SECONDS 300

static void limit(int resource, uint64_t most)
{
	const struct rlimit r = { most, most };

	setrlimit(resource, &r);
}

void sandbox_begin(void)
{
	limit(RLIMIT_CORE, 0);
	if (caps_hold(CAPS_SYS_PTRACE))
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void sandbox_agent(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	caps_keep(1u << CAPS_SYS_PTRACE | 1u << CAPS_SYS_ADMIN | 1u << CAPS_NET_ADMIN |
		  1u << CAPS_DAC_OVERRIDE | 1u << CAPS_KILL | 1u << CAPS_PERFMON |
		  1u << CAPS_CHECKPOINT_RESTORE);
}

void sandbox_guard(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	caps_keep(1u << CAPS_SYS_PTRACE | 1u << CAPS_DAC_OVERRIDE | 1u << CAPS_KILL);
}

/* Who may not has no more than its user anyway. */
static void become_nobody(void)
{
	if (geteuid() || setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return;
}

void sandbox_parser(void)
{
	const int filter = sandbox_filter_make_parser(APART_SOCKET);

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	become_nobody();
	caps_keep(0);
	/* After a change of the user, which forgets it: commit_creds(). */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_CPU, PARSER_SECONDS);
	/* ASan has terabytes of addresses, of which it uses little. */
	if (filter != -EOPNOTSUPP)
		limit(RLIMIT_AS, PARSER_MEMORY);
	sandbox_filter_parser();
}

void sandbox_pager(bool looks, bool network)
{
	/* Whoever is restored may be root's, with capabilities: ptrace_may_access(). */
	const unsigned int keep = looks ? 1u << CAPS_SYS_PTRACE : 0;

	sandbox_begin();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	caps_keep(keep);
	if (!network)
		sandbox_filter_pager();
}

void sandbox_server(bool network)
{
	sandbox_begin();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	caps_keep(0);
	if (!network)
		sandbox_filter_server();
}

void sandbox_reader(void)
{
	sandbox_begin();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	caps_keep(1u << CAPS_DAC_READ_SEARCH);
	sandbox_filter_reader();
}

void sandbox_prepare(void)
{
	sandbox_filter_make();
}

void sandbox_writer(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	caps_keep(0);
	sandbox_filter_writer();
}

void sandbox_viewer(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	caps_keep(1u << CAPS_DAC_READ_SEARCH);
	sandbox_filter_viewer();
}

static bool sees(pid_t pid)
{
	_close_ int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

/*
 * Mounted with hidepid, /proc shows a process to who may trace it, and to nobody else
 * (has_pid_permissions() in fs/proc/base.c); thread ids and parents are read there.
 */
static bool hidden_without(pid_t target)
{
	bool before = sees(target);

	return !caps_lower() && before && !sees(target);
}

void sandbox_enter(pid_t target, bool command, struct sandbox_report *ret)
{
	unsigned int keep = command ? 1u << CAPS_KILL : 0;

	*ret = (struct sandbox_report){ 0 };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (hidden_without(target)) {
		keep |= 1u << CAPS_SYS_PTRACE;
		ret->kept_ptrace = true;
	}
	ret->caps = caps_keep(keep);
	ret->filter = sandbox_filter_events();
}
