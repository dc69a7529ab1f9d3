/* SPDX-License-Identifier: MIT */
/*
 * Arch: what an architecture must give, and nothing that reads or writes a process.
 *
 * Pure: registers are structs here; who fetches and stores them is tracee.c.  One
 * arch-*.c is linked, by the name of the machine.
 */
#ifndef INJECT_ARCH_H
#define INJECT_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

extern const char *const arch_name;
extern const unsigned int arch_elf_machine;

extern const bool arch_has_tls;		/* not among the other registers */

/* NT_PRSTATUS, ptrace(2) PTRACE_GETREGSET. */
struct arch_regs {
	struct user_regs_struct user;
	uint64_t tls;			/* where not part of the above */
};

/* Extended state, NT_X86_XSTATE: AMX tiles make it 11 KiB. */
struct arch_xstate {
	size_t len;			/* 0: none */
	bool learned;
	uint32_t end[64];		/* of each component, 0: this machine has none */
	unsigned char bytes[16384] __attribute__((aligned(64)));
};

/* Instructions that exist in the target's text; 0: not found.  Never written. */
struct arch_insns {
	uint64_t call;			/* a system call instruction */
	uint64_t call_return;		/* one followed by a return instruction */
	uint64_t sigreturn;		/* rt_sigreturn: number into register, call */
	/* Not needed, but good to have: close what a call has returned. */
	uint64_t move_result;		/* result into first argument, return */
	uint64_t close_return;		/* close: number into register, call, return */
};

/* Look for what is still missing in *io, in text that lies at address at. */
void arch_insns_find(struct arch_insns *io, uint64_t at, const void *text, size_t len);
bool arch_insns_all(const struct arch_insns *i);
/* Also those that are good to have. */
bool arch_insns_best(const struct arch_insns *i);

/* ---- registers ---- */

uint64_t arch_regs_sp(const struct arch_regs *r);
uint64_t arch_regs_tls(const struct arch_regs *r);
uint64_t arch_regs_ip(const struct arch_regs *r);
void arch_regs_set_ip(struct arch_regs *io, uint64_t ip);
/* The thread executes code of another word size: our calls would mean other calls. */
bool arch_regs_foreign(const struct arch_regs *r);
/* Turn *io into "about to execute the call instruction at insn", all else as it is. */
void arch_regs_call(struct arch_regs *io, uint64_t insn, uint64_t sp, long nr,
		    const uint64_t arg[6]);
/* Turn *io into "a call has just returned to the return instruction behind it". */
void arch_regs_returned(struct arch_regs *io, uint64_t insn, uint64_t sp);
long arch_regs_result(const struct arch_regs *r);

/* What the stop interrupted. */
enum arch_interrupted {
	ARCH_USER_CODE,			/* no system call */
	ARCH_CALL_RESTARTS,		/* the kernel restarts or has finished it */
	ARCH_CALL_EINTR,		/* the program would see EINTR */
};

enum arch_interrupted arch_regs_interrupted(const struct arch_regs *r, long *ret_nr);
/*
 * Have the kernel start the interrupted call again once the thread goes on, unless a
 * handler runs first: then the program sees EINTR, as it always would.
 */
void arch_regs_restart(struct arch_regs *io);

/*
 * A call that had been interrupted before goes on as restart_syscall(2), which means
 * nothing without the kernel's restart block.  Is it such a one, and if so which call
 * do the instructions load that end at the instruction pointer?  -1: they do not say.
 */
bool arch_regs_restarted(const struct arch_regs *r);
long arch_call_number(const void *text, size_t len);
void arch_regs_set_call(struct arch_regs *io, long nr);

/*
 * Where the components of an extended state lie on this machine.  Before a thread is
 * stopped, for to a virtual machine each question (cpuid) is a dear one.
 */
void arch_xstate_learn(struct arch_xstate *io);

/* ---- the net: signal frames that restore the thread without us ---- */

#define ARCH_NET_FDS 4

/*
 * An image: a frame that copies the numbers of descriptors from where system calls have
 * written them, ARCH_NET_FDS frames each of which closes one (-1: none), and a last one
 * with all registers, the signal mask and the extended state.
 */
struct arch_net {
	uint64_t sp;			/* stack pointer that starts the chain at its head */
	uint64_t sp_result;		/* the same, closing the call's result first; or 0 */
	uint64_t sp_close;		/* behind the copy */
	uint64_t sp_last;		/* at the last frame */
	size_t fd_at[ARCH_NET_FDS];	/* offsets in the image: 64-bit, in the frame */
	size_t hold_at[ARCH_NET_FDS];	/* 32-bit, one behind the other: what is copied */
	size_t source_at[ARCH_NET_FDS];	/* 64-bit, address of what is copied instead */
	size_t len;			/* bytes of the image */
};

/* What the image is built for. */
struct arch_net_plan {
	uint64_t at;			/* where it will lie, 64-byte aligned */
	const struct arch_insns *insns;
	const struct arch_regs *regs;	/* for the last frame */
	uint64_t mask;
	const struct arch_xstate *xstate;
	pid_t self;			/* the process, as it calls itself */
};

/* Bytes that an image may need; 0: this architecture knows no net. */
size_t arch_net_size(const struct arch_xstate *x);
/*
 * The last frame issues an interrupted call again, because rt_sigreturn(2) forgets
 * restart blocks.  -ENOTSUP, -ENOSPC.
 */
int arch_net_build(struct arch_net *ret, void *image, size_t size,
		   const struct arch_net_plan *plan);

#endif
