/* SPDX-License-Identifier: MIT */
/* Dispatch: syscall user dispatch of a stopped thread. */

#include "dispatch.h"

#include <errno.h>
#include <sys/ptrace.h>

#define REQUEST_SET 0x4210	/* PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, 6.4 */
#define REQUEST_GET 0x4211

int dispatch_resume(pid_t tid, const struct dispatch *d)
{
	struct dispatch copy = *d;

	if (!copy.mode)
		return 0;
	return ptrace((enum __ptrace_request)REQUEST_SET, tid, (void *)sizeof(copy), &copy) < 0 ?
		       -errno : 0;
}

int dispatch_suspend(pid_t tid, struct dispatch *ret)
{
	struct dispatch off = { 0 };

	*ret = off;
	if (ptrace((enum __ptrace_request)REQUEST_GET, tid, (void *)sizeof(*ret), ret) < 0 ||
	    !ret->mode) {
		ret->mode = 0;
		return 0;
	}
	return ptrace((enum __ptrace_request)REQUEST_SET, tid, (void *)sizeof(off), &off) < 0 ?
		       -errno : 0;
}
