/* SPDX-License-Identifier: MIT */
/*
 * Arch: x86-64.
 *
 * The signal frame is kernel ABI: arch/x86/kernel/signal_64.c, struct rt_sigframe
 * and struct ucontext of arch/x86/include/uapi/asm; sigreturn(2).
 */

#include "arch.h"

#include <cpuid.h>
#include <elf.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

const char *const arch_name = "x86-64";
const unsigned int arch_elf_machine = EM_X86_64;
const bool arch_has_tls = false;

/* Results of the kernel that never reach a program: include/linux/errno.h. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

#define USER_CS 0x33
#define USER_DS 0x2b
#define FLAGS_PLAIN 0x202		/* interrupts on, and the bit that is always 1 */
#define FLAG_TRAP 0x100

static const unsigned char insn_call[] = { 0x0f, 0x05 };
static const unsigned char insn_call_return[] = { 0x0f, 0x05, 0xc3 };
static const unsigned char insn_sigreturn[2][9] = {
	{ 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 },	/* mov $15,%rax; syscall */
	{ 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 },			/* mov $15,%eax; syscall */
};

static const unsigned char insn_move_result[] = { 0x97, 0xc3 };	/* xchg %eax,%edi; ret */
/* mov $3,%eax; syscall; cmp $-4096,%rax; ja 1f; ret */
static const unsigned char insn_close_return[] = { 0xb8, 3, 0, 0, 0, 0x0f, 0x05, 0x48, 0x3d,
						   0, 0xf0, 0xff, 0xff, 0x77, 1, 0xc3 };

static void find(uint64_t *io, uint64_t at, const void *text, size_t len, const void *what,
		 size_t n)
{
	const char *p;

	if (*io)
		return;
	p = memmem(text, len, what, n);
	if (p)
		*io = at + (uint64_t)(p - (const char *)text);
}

void arch_insns_find(struct arch_insns *io, uint64_t at, const void *text, size_t len)
{
	find(&io->call, at, text, len, insn_call, sizeof(insn_call));
	find(&io->call_return, at, text, len, insn_call_return, sizeof(insn_call_return));
	find(&io->sigreturn, at, text, len, insn_sigreturn[0], 9);
	find(&io->sigreturn, at, text, len, insn_sigreturn[1], 7);
	find(&io->move_result, at, text, len, insn_move_result, sizeof(insn_move_result));
	find(&io->close_return, at, text, len, insn_close_return, sizeof(insn_close_return));
}

bool arch_insns_all(const struct arch_insns *i)
{
	return i->call && i->call_return && i->sigreturn;
}

bool arch_insns_best(const struct arch_insns *i)
{
	return arch_insns_all(i) && i->move_result && i->close_return;
}

uint64_t arch_regs_sp(const struct arch_regs *r)
{
	return r->user.rsp;
}

uint64_t arch_regs_tls(const struct arch_regs *r)
{
	return r->user.fs_base;
}

uint64_t arch_regs_ip(const struct arch_regs *r)
{
	return r->user.rip;
}

void arch_regs_set_ip(struct arch_regs *io, uint64_t ip)
{
	io->user.rip = ip;
}

bool arch_regs_foreign(const struct arch_regs *r)
{
	return r->user.cs != USER_CS;
}

void arch_regs_call(struct arch_regs *io, uint64_t insn, uint64_t sp, long nr,
		    const uint64_t arg[6])
{
	struct user_regs_struct *u = &io->user;

	u->rip = insn;
	u->rsp = sp;
	u->rax = (unsigned long)nr;
	/* No restart of the interrupted call may be applied to ours. */
	u->orig_rax = ~0UL;
	u->eflags &= ~(unsigned long)FLAG_TRAP;
	u->rdi = arg[0];
	u->rsi = arg[1];
	u->rdx = arg[2];
	u->r10 = arg[3];
	u->r8 = arg[4];
	u->r9 = arg[5];
}

void arch_regs_returned(struct arch_regs *io, uint64_t insn, uint64_t sp)
{
	static const uint64_t none[6];

	arch_regs_call(io, insn + sizeof(insn_call), sp, 0, none);
}

long arch_regs_result(const struct arch_regs *r)
{
	return (long)r->user.rax;
}

enum arch_interrupted arch_regs_interrupted(const struct arch_regs *r, long *ret_nr)
{
	*ret_nr = (long)r->user.orig_rax;
	if (*ret_nr < 0)
		return ARCH_USER_CODE;
	return (long)r->user.rax == -EINTR ? ARCH_CALL_EINTR : ARCH_CALL_RESTARTS;
}

void arch_regs_restart(struct arch_regs *io)
{
	io->user.rax = (unsigned long)-ERESTARTNOHAND;
}

bool arch_regs_restarted(const struct arch_regs *r)
{
	return r->user.orig_rax == SYS_restart_syscall;
}

/* mov $nr,%eax; syscall */
long arch_call_number(const void *text, size_t len)
{
	const unsigned char *b = (const unsigned char *)text + len - 7;
	uint32_t nr;

	if (len < 7 || b[0] != 0xb8 || memcmp(b + 5, insn_call, sizeof(insn_call)))
		return -1;
	memcpy(&nr, b + 1, sizeof(nr));
	return nr;
}

void arch_regs_set_call(struct arch_regs *io, long nr)
{
	io->user.orig_rax = (unsigned long)nr;
}

/* struct rt_sigframe up to where rt_sigreturn reads, as the kernel lays it out. */
struct frame {
	uint64_t sigreturn;		/* where the return before it goes */
	uint64_t uc_flags, uc_link;
	uint64_t ss_sp;
	int32_t ss_flags, ss_pad;
	uint64_t ss_size;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
	uint64_t sigmask;
	uint64_t pad;			/* a multiple of 64 bytes, as fpstate wants */
};

static_assert(sizeof(struct frame) == 320, "kernel ABI up to sigmask, and pad");
static_assert(offsetof(struct frame, r8) - 8 == offsetof(ucontext_t, uc_mcontext), "ABI");
static_assert(offsetof(struct frame, sigmask) - 8 == offsetof(ucontext_t, uc_sigmask), "ABI");
static_assert(sizeof(struct frame) % 64 == 0, "the extended state follows the frames");

#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4
#define SS_NONSENSE 0x7ffffff0		/* sigaltstack(2) refuses it: the old one stays */
#define SIGINFO_SIZE 128		/* the kernel checks that the frame with it is there */

static void frame_init(struct frame *f, const struct arch_insns *insns)
{
	memset(f, 0, sizeof(*f));
	f->sigreturn = insns->sigreturn;
	f->uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	f->ss_flags = SS_NONSENSE;
	f->eflags = FLAGS_PLAIN;
	f->cs = USER_CS;
	f->ss = USER_DS;
}

/* A frame that makes a call; no extended state: the last one brings it back. */
static void frame_call(struct frame *f, const struct arch_insns *insns, uint64_t next, long nr,
		       uint64_t first)
{
	frame_init(f, insns);
	f->rax = (uint64_t)nr;
	f->rdi = first;
	f->rip = insns->call_return;
	f->rsp = next;
	f->sigmask = ~UINT64_C(0);
}

static bool restarts(const struct user_regs_struct *u)
{
	switch (-(long)u->rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
	case ERESTART_RESTARTBLOCK:
		return (long)u->orig_rax >= 0;
	}
	return false;
}

/* rt_sigreturn(2) bypasses the kernel's restart: do here what it would do. */
static void reissue(struct user_regs_struct *io)
{
	io->rax = io->orig_rax;
	io->rip -= sizeof(insn_call);
}

static void frame_last(struct frame *f, const struct arch_net_plan *plan, uint64_t fpstate)
{
	struct arch_regs r = *plan->regs;
	const struct user_regs_struct *u = &r.user;

	if (restarts(u))
		reissue(&r.user);
	frame_init(f, plan->insns);
	f->r8 = u->r8;
	f->r9 = u->r9;
	f->r10 = u->r10;
	f->r11 = u->r11;
	f->r12 = u->r12;
	f->r13 = u->r13;
	f->r14 = u->r14;
	f->r15 = u->r15;
	f->rdi = u->rdi;
	f->rsi = u->rsi;
	f->rbp = u->rbp;
	f->rbx = u->rbx;
	f->rdx = u->rdx;
	f->rax = u->rax;
	f->rcx = u->rcx;
	f->rsp = u->rsp;
	f->rip = u->rip;
	f->eflags = u->eflags;
	f->cs = (uint16_t)u->cs;
	f->ss = (uint16_t)u->ss;
	f->sigmask = plan->mask;
	f->fpstate = fpstate;
}

/* struct _fpx_sw_bytes at byte 464 of the FXSAVE area, asm/sigcontext.h. */
struct sw_bytes {
	uint32_t magic1;
	uint32_t extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size;
	uint32_t pad[7];
};

static_assert(sizeof(struct sw_bytes) == 48, "kernel ABI");

#define SW_BYTES_AT 464
#define HEADER_AT 512
#define MAGIC1 0x46505853u
#define MAGIC2 0x46505845u
#define XFEATURE_TILE_DATA (UINT64_C(1) << 18)
#define XSTATE_MIN (512 + 64)

void arch_xstate_learn(struct arch_xstate *io)
{
	unsigned int lo = 0, hi = 0, b, c, len, at;

	/* Intel SDM volume 1, 13.2: leaf 0xd, what there is, and then where. */
	if (!__get_cpuid_count(0xd, 0, &lo, &b, &c, &hi))
		return;
	for (unsigned int i = 2; i < 63; i++) {
		uint64_t there = (uint64_t)hi << 32 | lo;

		io->end[i] = 0;
		if (there >> i & 1 && __get_cpuid_count(0xd, i, &len, &at, &b, &c) && len)
			io->end[i] = at + len;
	}
	io->learned = true;
}

/*
 * The image may be no longer than the thread's own: without permission for AMX that
 * excludes the tiles, though the register set always shows room for them.
 */
static uint64_t xstate_features(const struct arch_xstate *x)
{
	uint64_t features, in_use;

	/* PTRACE_GETREGSET leaves the mask of what the kernel enables here. */
	memcpy(&features, x->bytes + SW_BYTES_AT, sizeof(features));
	memcpy(&in_use, x->bytes + HEADER_AT, sizeof(in_use));
	return in_use & XFEATURE_TILE_DATA ? features : features & ~XFEATURE_TILE_DATA;
}

static size_t xstate_size(const struct arch_xstate *x)
{
	uint64_t features = xstate_features(x);
	size_t size = XSTATE_MIN;

	for (unsigned int i = 2; i < 63; i++)
		if (features >> i & 1 && size < x->end[i])
			size = x->end[i];
	return size <= x->len && x->learned ? size : x->len;
}

static void xstate_fill(unsigned char *image, const struct arch_xstate *x)
{
	struct sw_bytes sw = { .magic1 = MAGIC1, .xfeatures = xstate_features(x) };
	uint32_t magic2 = MAGIC2;

	sw.xstate_size = (uint32_t)xstate_size(x);
	sw.extended_size = sw.xstate_size + sizeof(magic2);
	memcpy(image, x->bytes, sw.xstate_size);
	memcpy(image + SW_BYTES_AT, &sw, sizeof(sw));
	memcpy(image + sw.xstate_size, &magic2, sizeof(magic2));
}

struct image {
	uint64_t first[6];		/* keeps what follows on 64 bytes */
	uint64_t move_result, close_return;
	struct frame copy;
	struct frame close[ARCH_NET_FDS];
	struct frame last;
	struct iovec to[ARCH_NET_FDS], from[ARCH_NET_FDS];
	int32_t hold[ARCH_NET_FDS];
	unsigned char pad[48];
	unsigned char fpstate[];
};

static_assert(offsetof(struct image, fpstate) % 64 == 0, "XRSTOR wants it so");
static_assert(offsetof(struct image, copy) == 64, "first");

size_t arch_net_size(const struct arch_xstate *x)
{
	if (x->len < XSTATE_MIN)
		return 0;
	return sizeof(struct image) + xstate_size(x) + sizeof(uint32_t) + SIGINFO_SIZE;
}

static void fill_copy(struct image *m, const struct arch_net_plan *plan)
{
	struct frame *f = &m->copy;

	for (int i = 0; i < ARCH_NET_FDS; i++) {
		m->hold[i] = -1;
		m->to[i] = (struct iovec){
			(void *)(plan->at + offsetof(struct image, close) +
				 (size_t)i * sizeof(*f) + offsetof(struct frame, rdi)),
			sizeof(m->hold[i]),
		};
		m->from[i] = (struct iovec){
			(void *)(plan->at + offsetof(struct image, hold) +
				 (size_t)i * sizeof(m->hold[i])),
			sizeof(m->hold[i]),
		};
	}
	frame_call(f, plan->insns, plan->at + offsetof(struct image, close), SYS_process_vm_readv,
		   (uint64_t)plan->self);
	f->rsi = plan->at + offsetof(struct image, to);
	f->rdx = ARCH_NET_FDS;
	f->r10 = plan->at + offsetof(struct image, from);
	f->r8 = ARCH_NET_FDS;
}

int arch_net_build(struct arch_net *ret, void *image, size_t size,
		   const struct arch_net_plan *plan)
{
	struct image *m = image;

	if (!arch_insns_all(plan->insns) || !arch_net_size(plan->xstate))
		return -ENOTSUP;
	if (arch_net_size(plan->xstate) > size)
		return -ENOSPC;
	memset(image, 0, arch_net_size(plan->xstate));
	fill_copy(m, plan);
	for (size_t i = 0; i < ARCH_NET_FDS; i++) {
		size_t at = offsetof(struct image, close) + i * sizeof(struct frame);

		frame_call(&m->close[i], plan->insns, plan->at + at + sizeof(struct frame),
			   SYS_close, ~UINT64_C(0));
		ret->fd_at[i] = at + offsetof(struct frame, rdi);
		ret->hold_at[i] = offsetof(struct image, hold) + i * sizeof(m->hold[0]);
		ret->source_at[i] = offsetof(struct image, from) + i * sizeof(m->from[0]) +
				    offsetof(struct iovec, iov_base);
	}
	frame_last(&m->last, plan, plan->at + offsetof(struct image, fpstate));
	xstate_fill(m->fpstate, plan->xstate);
	m->move_result = plan->insns->move_result;
	m->close_return = plan->insns->close_return;
	ret->sp = plan->at + offsetof(struct image, copy);
	ret->sp_result = arch_insns_best(plan->insns) ?
				 plan->at + offsetof(struct image, move_result) : 0;
	ret->sp_close = plan->at + offsetof(struct image, close);
	ret->sp_last = plan->at + offsetof(struct image, last);
	ret->len = arch_net_size(plan->xstate);
	return 0;
}
