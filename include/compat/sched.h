/* SPDX-License-Identifier: MIT */
/* sched_setattr(2), for which glibc has no function before 2.41. */
#ifndef COMPAT_SCHED_H
#define COMPAT_SCHED_H

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel clamps a slice to this (__setparam_fair() in kernel/sched/syscalls.c). */
#define SLICE_MAX_NS UINT64_C(100000000)

/* struct sched_attr as it was first, SCHED_ATTR_SIZE_VER0. */
struct sched_request {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;	/* SCHED_OTHER: the slice, since 6.12; 0: the usual */
	uint64_t deadline, period;
};
static_assert(sizeof(struct sched_request) == 48, "kernel ABI");

/* Of the calling thread. */
static inline int sys_sched_request(const struct sched_request *r)
{
	return syscall(SYS_sched_setattr, 0, r, 0) < 0 ? -errno : 0;
}

#endif
