/* SPDX-License-Identifier: MIT */
/* Sandbox: the order of things.  See sandbox.h. */

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "caps.h"

void sandbox_begin(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
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
