/* SPDX-License-Identifier: MIT */
/* Remote: one system call in a stopped thread. */

#include "remote.h"

#include <errno.h>
#include <sys/syscall.h>

#include "compat/sys.h"
#include "fault.h"
#include "net.h"

static int call(struct visit *v, long *ret, uint64_t sp, long nr, const uint64_t arg[6])
{
	struct arch_regs regs = v->bent;
	int r;

	arch_regs_call(&regs, v->has_net ? v->insns.call_return : v->insns.call, sp, nr, arg);
	v->progress->touched = true;
	v->is_bent = true;
	v->progress->bent = true;
	r = tracee_put_regs(&v->tracee, &regs);
	if (!r)
		r = tracee_run_to_call(&v->tracee);
	v->tracee.late = !r && fault_late((enum pagetap_phase)v->progress->phase);
	if (!r)
		r = tracee_run_to_call(&v->tracee);
	v->tracee.late = false;
	if (!r)
		r = tracee_get_regs(&v->tracee, &regs);
	if (r < 0)
		return r;
	v->outcome = NULL;
	v->calls++;
	*ret = arch_regs_result(&regs);
	return 0;
}

int remote_call(struct visit *v, long *ret, long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		uint64_t a3, uint64_t a4, uint64_t a5)
{
	const uint64_t arg[6] = { a0, a1, a2, a3, a4, a5 };

	return call(v, ret, v->has_net ? v->net.sp : arch_regs_sp(&v->home), nr, arg);
}

int remote_call_open(struct visit *v, long *ret, long nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	const uint64_t arg[6] = { a0, a1, a2 };

	if (!v->has_net || !v->net.sp_result)
		return remote_call(v, ret, nr, a0, a1, a2, 0, 0, 0);
	return call(v, ret, v->net.sp_result, nr, arg);
}

/* Closed.  If nobody else uses the table, the net may close the number once more. */
static int forget(struct visit *v, unsigned int slot)
{
	if (!v->alone)
		return net_hold(v, slot, -1);
	v->fds[slot] = -1;
	return 0;
}

static void close_came(struct visit *v, bool made, int64_t result)
{
	(void)result;
	net_hold(v, v->closing.slot, made ? -1 : v->closing.fd);
}

/*
 * If others share the table, the number must leave the net before it is free: closing
 * it once more could hit what another thread has opened under it since.
 */
int remote_close(struct visit *v, unsigned int slot)
{
	int fd = v->fds[slot], r = 0;
	long result;

	if (fd < 0)
		return 0;
	if (!v->alone)
		r = net_hold(v, slot, -1);
	v->closing.slot = slot;
	v->closing.fd = fd;
	v->outcome = close_came;
	if (!r)
		r = remote_call(v, &result, SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0);
	if (!r)
		r = forget(v, slot);
	if (r < 0)
		return r;
	/* EBADF: another thread closes whatever it finds, and was first. */
	return result < 0 && result != -EBADF ? (int)result : 0;
}

static void range_came(struct visit *v, bool made, int64_t result)
{
	for (unsigned int i = 0; i < ARCH_NET_FDS && made && !result; i++)
		forget(v, i);
}

/* The numbers are one behind the other if the target had no gap where they came to lie. */
int remote_close_range(struct visit *v)
{
	int lo = -1, hi = -1, held = 0, r;
	long result;

	for (unsigned int i = 0; i < ARCH_NET_FDS; i++) {
		int fd = v->fds[i];

		if (fd < 0)
			continue;
		lo = !held || fd < lo ? fd : lo;
		hi = fd > hi ? fd : hi;
		held++;
	}
	if (!v->alone || held < 2 || hi - lo != held - 1)
		return 0;
	v->outcome = range_came;
	r = remote_call(v, &result, SYS_close_range, (uint64_t)lo, (uint64_t)hi, 0, 0, 0, 0);
	if (r < 0)
		return r;
	/* ENOSYS: 5.8 and older.  One by one then. */
	for (unsigned int i = 0; i < ARCH_NET_FDS && !result; i++)
		forget(v, i);
	return 0;
}
