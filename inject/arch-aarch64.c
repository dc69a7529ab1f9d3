/* SPDX-License-Identifier: MIT */
/*
 * Arch: aarch64.  Compiles; has not been run.
 *
 * No net: calls are made step by step, so that the death of the injector between two
 * stops loses the target.  The kernel moves the program counter back to the call
 * before it reports the stop (arch/arm64/kernel/signal.c, do_signal), so that putting
 * the registers back issues an interrupted call again; a restart block is not kept:
 * a relative time-out starts again.
 */

#include "arch.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

const char *const arch_name = "aarch64";
const unsigned int arch_elf_machine = EM_AARCH64;
const bool arch_has_tls = true;

#define PSTATE_32BIT 0x10

static const unsigned char insn_call[] = { 0x01, 0x00, 0x00, 0xd4 };	/* svc #0 */

void arch_insns_find(struct arch_insns *io, uint64_t at, const void *text, size_t len)
{
	const unsigned char *b = text;

	for (size_t i = 0; !io->call && i + sizeof(insn_call) <= len; i += sizeof(insn_call))
		if (!memcmp(b + i, insn_call, sizeof(insn_call)))
			io->call = at + i;
}

bool arch_insns_all(const struct arch_insns *i)
{
	return i->call != 0;
}

bool arch_insns_best(const struct arch_insns *i)
{
	return arch_insns_all(i);
}

uint64_t arch_regs_sp(const struct arch_regs *r)
{
	return r->user.sp;
}

uint64_t arch_regs_tls(const struct arch_regs *r)
{
	return r->tls;
}

uint64_t arch_regs_ip(const struct arch_regs *r)
{
	return r->user.pc;
}

void arch_regs_set_ip(struct arch_regs *io, uint64_t ip)
{
	io->user.pc = ip;
}

bool arch_regs_foreign(const struct arch_regs *r)
{
	return r->user.pstate & PSTATE_32BIT;
}

void arch_regs_call(struct arch_regs *io, uint64_t insn, uint64_t sp, long nr,
		    const uint64_t arg[6])
{
	for (int i = 0; i < 6; i++)
		io->user.regs[i] = arg[i];
	io->user.regs[8] = (unsigned long long)nr;
	io->user.pc = insn;
	io->user.sp = sp;
}

void arch_regs_returned(struct arch_regs *io, uint64_t insn, uint64_t sp)
{
	io->user.pc = insn + sizeof(insn_call);
	io->user.sp = sp;
}

long arch_regs_result(const struct arch_regs *r)
{
	return (long)r->user.regs[0];
}

enum arch_interrupted arch_regs_interrupted(const struct arch_regs *r, long *ret_nr)
{
	*ret_nr = (long)r->user.regs[8];
	return (long)r->user.regs[0] == -EINTR ? ARCH_CALL_EINTR : ARCH_USER_CODE;
}

/* The first argument was overwritten by the result: the call cannot be repeated. */
void arch_regs_restart(struct arch_regs *io)
{
	(void)io;
}

bool arch_regs_restarted(const struct arch_regs *r)
{
	(void)r;
	return false;
}

long arch_call_number(const void *text, size_t len)
{
	(void)text;
	(void)len;
	return -1;
}

void arch_regs_set_call(struct arch_regs *io, long nr)
{
	io->user.regs[8] = (unsigned long long)nr;
}

void arch_xstate_learn(struct arch_xstate *io)
{
	io->learned = true;
}

size_t arch_net_size(const struct arch_xstate *x)
{
	(void)x;
	return 0;
}

int arch_net_build(struct arch_net *ret, void *image, size_t size,
		   const struct arch_net_plan *plan)
{
	(void)image;
	(void)size;
	(void)plan;
	memset(ret, 0, sizeof(*ret));
	return -ENOTSUP;
}
