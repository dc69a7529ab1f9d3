/* SPDX-License-Identifier: MIT */
/*
 * Dispatch: syscall user dispatch, prctl(2) PR_SET_SYSCALL_USER_DISPATCH.
 *
 * A thread that has it on (Wine, say) gets SIGSYS for calls from outside a range of its
 * own, ours among them, and with signals blocked the kernel would reset the handler.
 */
#ifndef INJECT_DISPATCH_H
#define INJECT_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct dispatch {		/* struct ptrace_sud_config, kernel ABI, 6.4 */
	uint64_t mode;
	uint64_t selector;
	uint64_t offset;
	uint64_t len;
};

/* Switch it off; *ret says what was on, mode 0 also on kernels that do not tell. */
int dispatch_suspend(pid_t tid, struct dispatch *ret);
int dispatch_resume(pid_t tid, const struct dispatch *d);

#endif
