/* SPDX-License-Identifier: MIT */
/* Viewer: what we ourselves may do, and what this kernel offers; see facts.h. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/sys.h"
#include "facts.h"
#include "procfile.h"

static int read_sysctl(const char *path, int absent)
{
	char buf[32];
	uint64_t v;

	if (procfile_read(AT_FDCWD, path, buf, sizeof(buf)) < 0 ||
	    !procfile_number(buf, 10, &v, NULL))
		return absent;
	return (int)v;
}

/* An invalid flag is refused with EINVAL before any permission is looked at. */
static bool has_uffd(void)
{
	return sys_userfaultfd(~0) != -ENOSYS;
}

static bool opens_device(void)
{
	_close_ int fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	return fd >= 0;
}

static bool is_descendant(pid_t pid, pid_t of)
{
	/* As deep as a tree of processes can reasonably be; it may change meanwhile. */
	for (int i = 0; i < 256 && pid > 1; i++) {
		struct facts f = { 0 };
		char path[32], buf[1024];

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		if (procfile_read(AT_FDCWD, path, buf, sizeof(buf)) < 0 ||
		    facts_parse_stat(buf, &f) < 0)
			return false;
		pid = f.ppid;
		if (pid == of)
			return true;
	}
	return false;
}

void viewer_gather(pid_t pid, struct viewer *ret)
{
	char link[32], status[4096];
	struct facts self = { 0 };
	uint64_t v;

	memset(ret, 0, sizeof(*ret));
	ret->pid = getpid();
	ret->uid = getuid();
	ret->euid = geteuid();
	ret->gid = getgid();
	/* /proc/self is a link to our pid in the namespace that /proc belongs to. */
	ret->proc_ours = procfile_link(AT_FDCWD, "/proc/self", link, sizeof(link)) > 0 &&
			 procfile_number(link, 10, &v, NULL) && (pid_t)v == ret->pid;
	if (procfile_read(AT_FDCWD, "/proc/self/status", status, sizeof(status)) > 0 &&
	    !facts_parse_status(status, &self)) {
		ret->cap_permitted = self.cap_permitted;
		ret->cap_effective = self.cap_effective;
		ret->seccomp = self.seccomp != 0;
	}
	ret->yama = read_sysctl("/proc/sys/kernel/yama/ptrace_scope", 0);
	ret->uffd_unprivileged = read_sysctl("/proc/sys/vm/unprivileged_userfaultfd", 1) == 1;
	ret->uffd_syscall = has_uffd();
	ret->uffd_device = opens_device();
	ret->alive = !kill(pid, 0) || errno == EPERM;
	if (ret->yama == 1)
		ret->descendant = is_descendant(pid, ret->pid);
}
