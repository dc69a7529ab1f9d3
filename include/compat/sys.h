/* SPDX-License-Identifier: MIT */
/*
 * System calls that libc of Debian 12 does not wrap, or wraps with errno.
 *
 * Each returns its result or a negative errno; -ENOSYS where the kernel is
 * older than the version named.
 */
#ifndef COMPAT_SYS_H
#define COMPAT_SYS_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_close_range			/* 5.9 */
#define SYS_close_range 436
#endif
#ifndef PIDFD_THREAD			/* 6.9 */
#define PIDFD_THREAD 0200	/* O_EXCL */
#endif

/* 5.3; flags PIDFD_THREAD takes a thread id that is no process id. */
static inline int sys_pidfd_open(pid_t pid, unsigned int flags)
{
	long r = syscall(SYS_pidfd_open, pid, flags);

	return r < 0 ? -errno : (int)r;
}

/* 5.6; needs PTRACE_MODE_ATTACH_REALCREDS on the target. */
static inline int sys_pidfd_getfd(int pidfd, int fd)
{
	long r = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	return r < 0 ? -errno : (int)r;
}

/* 5.1 */
static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	long r = syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);

	return r < 0 ? -errno : (int)r;
}

#define COMPAT_KCMP_VM 1		/* KCMP_VM of <linux/kcmp.h> */

/* 3.5; needs PTRACE_MODE_READ_REALCREDS on both: 1 one address space, 0 two. */
static inline int sys_kcmp_vm(pid_t a, pid_t b)
{
	long r = syscall(SYS_kcmp, a, b, COMPAT_KCMP_VM, 0, 0);

	return r < 0 ? -errno : r == 0;
}

/* 2.6.17; needs PTRACE_MODE_READ_REALCREDS on the thread. */
static inline int sys_get_robust_list(pid_t tid, uint64_t *ret_head)
{
	unsigned long head = 0;
	size_t len;

	if (syscall(SYS_get_robust_list, tid, &head, &len) < 0)
		return -errno;
	*ret_head = head;
	return 0;
}

/* 4.3 */
static inline int sys_userfaultfd(int flags)
{
	long r = syscall(SYS_userfaultfd, flags);

	return r < 0 ? -errno : (int)r;
}

#endif
