/* SPDX-License-Identifier: MIT */
/*
 * Launch, the hold: a program that stops itself at its first page fault.
 *
 * A software event counts the child's page faults in user mode, from its exec on
 * (enable_on_exec), and sends a signal at the first one (F_SETSIG).  The first
 * instruction of a new program is itself a page fault, and a signal is acted on
 * before the return to user mode: so SIGSTOP takes effect before any instruction has
 * run.  See perf_event_open(2), "Signal overflow", and fcntl(2).
 *
 * Allowed for one's own processes up to kernel.perf_event_paranoid 2.  A set-user-ID
 * program loses the event at its exec; then the SIGSTOP of launch_exec() is what
 * holds it, some instructions later.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "compat/sys.h"
#include "launch.h"

int launch_hold(pid_t pid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1,
		.disabled = 1,
		.enable_on_exec = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	struct f_owner_ex owner = { .type = F_OWNER_PID, .pid = pid };
	_close_ int fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1,
				      PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETSIG, SIGSTOP) < 0 || fcntl(fd, F_SETOWN_EX, &owner) < 0 ||
	    fcntl(fd, F_SETFL, O_ASYNC) < 0)
		return -errno;
	return steal_fd(&fd);
}

void launch_hold_done(int *fd)
{
	/* A process that we have forked since may hold a copy a moment longer. */
	if (*fd >= 0)
		ioctl(*fd, PERF_EVENT_IOC_DISABLE, 0);
	close_fd(fd);
}
