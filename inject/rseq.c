/* SPDX-License-Identifier: MIT */
/* Rseq: a thread stopped inside a restartable sequence. */

#include "rseq.h"

#include <errno.h>
#include <sys/ptrace.h>

#define REQUEST_RSEQ 0x420f		/* PTRACE_GET_RSEQ_CONFIGURATION, 5.13 */

/* Kernel ABI: struct ptrace_rseq_configuration, and struct rseq_cs of <linux/rseq.h>. */
struct configuration {
	uint64_t area;
	uint32_t size, signature, flags, pad;
};

struct sequence {
	uint32_t version, flags;
	uint64_t start, length, abort;
};

#define SEQUENCE_POINTER_AT 8		/* rseq_cs in struct rseq */

int rseq_abort(const struct tracee *t, const struct memory *m, struct arch_regs *io)
{
	struct configuration c = { 0 };
	struct sequence s;
	uint64_t at;
	int r;

	if (ptrace((enum __ptrace_request)REQUEST_RSEQ, t->tid, (void *)sizeof(c), &c) < 0)
		return 0;
	if (!c.area)
		return 0;
	r = memory_read(m, c.area + SEQUENCE_POINTER_AT, &at, sizeof(at));
	if (r < 0 || !at)
		return r;
	r = memory_read(m, at, &s, sizeof(s));
	if (r < 0)
		return r;
	if (arch_regs_ip(io) - s.start < s.length)
		arch_regs_set_ip(io, s.abort);
	return 0;
}
