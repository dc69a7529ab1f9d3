/* SPDX-License-Identifier: MIT */
/* Tracee: the pure parts - which thread, where scratch lies, frames, parcels, lines. */

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "arch.h"
#include "choose.h"
#include "memory.h"
#include "parcel.h"
#include "procfile.h"
#include "scratch.h"
#include "suite.h"

static enum choose_rank rank(char state, const char *call)
{
	uint64_t sp;

	return choose_rank(state, call, &sp);
}

static void test_ranks(void)
{
	uint64_t sp;

	/* 0 read, 202 futex, 35 nanosleep, 232 epoll_wait, 45 recvfrom, 16 ioctl, 61 wait4 */
	CU_ASSERT_EQUAL(rank('S', "0 0x3 0x7ff0 0x1 0x0 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_RESTARTS);
	CU_ASSERT_EQUAL(rank('S', "61 0xffffffff 0x0 0x0 0x0 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_RESTARTS);
	CU_ASSERT_EQUAL(rank('S', "202 0x5000 0x80 0x0 0x0 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_RESTARTS);
	CU_ASSERT_EQUAL(rank('S', "202 0x5000 0x189 0x0 0x7ffc 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_RESTART_BLOCK);
	CU_ASSERT_EQUAL(rank('S', "35 0x7ffc 0x0 0x0 0x0 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_RESTART_BLOCK);
	CU_ASSERT_EQUAL(rank('S', "232 0x4 0x7ffc 0x1 0xffffffff 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_REISSUE);
	CU_ASSERT_EQUAL(rank('S', "45 0x4 0x7ffc 0x1 0x0 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_REISSUE);
	CU_ASSERT_EQUAL(rank('S', "16 0x4 0x7ffc 0x1 0x0 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_UNKNOWN);
	CU_ASSERT_EQUAL(rank('R', "running\n"), CHOOSE_RUNNING);
	CU_ASSERT_EQUAL(rank('T', "-1 0x7ffc10 0x7f20\n"), CHOOSE_RUNNING);
	CU_ASSERT_EQUAL(rank('D', "58 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffc10 0x7f20\n"),
			CHOOSE_UNINTERRUPTIBLE);
	CU_ASSERT_EQUAL(rank('D', ""), CHOOSE_UNINTERRUPTIBLE);
	CU_ASSERT_EQUAL(rank('Z', ""), CHOOSE_NEVER);
	CU_ASSERT_EQUAL(rank('t', "running\n"), CHOOSE_NEVER);
	CU_ASSERT_EQUAL(rank('S', "0 0x3"), CHOOSE_UNKNOWN);
	CU_ASSERT_EQUAL(rank('S', ""), CHOOSE_RUNNING);
	choose_rank('S', "0 0x3 0x7ff0 0x1 0x0 0x0 0x0 0x7ffc10 0x7f20\n", &sp);
	CU_ASSERT_EQUAL(sp, 0x7ffc10);
	choose_rank('S', "-1 0x7ffc18 0x7f20\n", &sp);
	CU_ASSERT_EQUAL(sp, 0x7ffc18);
	choose_rank('R', "running\n", &sp);
	CU_ASSERT_EQUAL(sp, 0);
	CU_ASSERT(CHOOSE_RESTARTS < CHOOSE_RESTART_BLOCK && CHOOSE_RESTART_BLOCK < CHOOSE_REISSUE);
}

static void test_reissue(void)
{
	static const long yes[] = { SYS_epoll_wait, SYS_epoll_pwait, SYS_rt_sigtimedwait,
				    SYS_semtimedop, SYS_semop, SYS_recvfrom, SYS_recvmsg,
				    SYS_recvmmsg, SYS_accept, SYS_read };
	/* These do something before they return EINTR, or count on the kernel. */
	static const long no[] = { SYS_nanosleep, SYS_poll, SYS_pause, SYS_rt_sigsuspend,
				   SYS_connect, SYS_close, SYS_io_uring_enter, SYS_futex,
				   SYS_ioctl, SYS_restart_syscall, -1 };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		CU_ASSERT_TRUE(choose_may_reissue(yes[i]));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CU_ASSERT_FALSE(choose_may_reissue(no[i]));
	CU_ASSERT_TRUE(choose_has_restart_block(SYS_nanosleep));
	CU_ASSERT_TRUE(choose_has_restart_block(SYS_poll));
	CU_ASSERT_FALSE(choose_has_restart_block(SYS_epoll_wait));
}

#define STACK_LO 0x7f0000000000
#define STACK_HI 0x7f0000800000

static struct mapping stack_of_thread(void)
{
	return (struct mapping){ .range = { STACK_LO, STACK_HI }, .readable = true,
				 .writable = true };
}

static const struct mapping guard = { .range = { STACK_LO - 4096, STACK_LO } };

static void test_scratch_first_stack(void)
{
	struct mapping m = stack_of_thread();
	uint64_t sp = STACK_HI - 5000, at;

	m.is_stack = true;
	at = scratch_position(sp, 0, 6000, &m, NULL);
	CU_ASSERT(at && at % 64 == 0);
	CU_ASSERT(at + 6000 <= sp - 128);
	CU_ASSERT(at >= STACK_LO);
	/* Too near to the end of what is mapped: the kernel grows it for nobody but the owner. */
	CU_ASSERT_EQUAL(scratch_position(STACK_LO + 6100, 0, 6000, &m, NULL), 0);
	CU_ASSERT_EQUAL(scratch_position(STACK_LO + 10, 0, 6000, &m, NULL), 0);
	m.writable = false;
	CU_ASSERT_EQUAL(scratch_position(sp, 0, 6000, &m, NULL), 0);
}

static void test_scratch_thread_stack(void)
{
	struct mapping m = stack_of_thread(), open = guard;
	uint64_t sp = STACK_HI - 5000, tls = STACK_HI - 1000, at;

	at = scratch_position(sp, tls, 6000, &m, &guard);
	CU_ASSERT_EQUAL(at, STACK_LO + SCRATCH_HANDLER_ROOM);
	/* Any doubt: nowhere. */
	CU_ASSERT_EQUAL(scratch_position(sp, tls, 6000, &m, NULL), 0);
	open.readable = true;
	CU_ASSERT_EQUAL(scratch_position(sp, tls, 6000, &m, &open), 0);
	open = guard;
	open.range.hi -= 4096;
	CU_ASSERT_EQUAL(scratch_position(sp, tls, 6000, &m, &open), 0);
	CU_ASSERT_EQUAL(scratch_position(sp, sp - 8, 6000, &m, &guard), 0);
	CU_ASSERT_EQUAL(scratch_position(sp, STACK_HI + 8, 6000, &m, &guard), 0);
	CU_ASSERT_EQUAL(scratch_position(STACK_HI + 8, tls, 6000, &m, &guard), 0);
	m.shared = true;
	CU_ASSERT_EQUAL(scratch_position(sp, tls, 6000, &m, &guard), 0);
	m.shared = false;
	/* Little room: right below the red zone, but never above the stack pointer. */
	at = scratch_position(STACK_LO + 8192, tls, 6000, &m, &guard);
	CU_ASSERT(at >= STACK_LO && at + 6000 <= STACK_LO + 8192 - 128);
}

static void test_mapping(void)
{
	const char *name;
	struct mapping m;

	CU_ASSERT_TRUE(memory_parse_mapping("7ffd1000-7ffd3000 rw-p 00000000 00:00 0      "
					    "                    [stack]", &m, &name));
	CU_ASSERT_EQUAL(m.range.lo, 0x7ffd1000);
	CU_ASSERT_EQUAL(m.range.hi, 0x7ffd3000);
	CU_ASSERT_TRUE(m.is_stack && m.readable && m.writable && !m.executable && !m.shared);
	CU_ASSERT_TRUE(memory_parse_mapping("1000-2000 r-xs 00001000 fe:01 42 /lib/a b\\012", &m,
					    &name));
	CU_ASSERT_STRING_EQUAL(name, "/lib/a b\\012");
	CU_ASSERT_TRUE(m.executable && m.shared && !m.is_stack);
	CU_ASSERT_TRUE(memory_parse_mapping("1000-2000 ---p 00000000 00:00 0 ", &m, &name));
	CU_ASSERT_STRING_EQUAL(name, "");
	CU_ASSERT_FALSE(memory_parse_mapping("", &m, &name));
	CU_ASSERT_FALSE(memory_parse_mapping("1000-", &m, &name));
	CU_ASSERT_FALSE(memory_parse_mapping("2000-1000 rw-p 0 0 0", &m, &name));
	CU_ASSERT_FALSE(memory_parse_mapping("1000-2000 rw", &m, &name));
}

static void test_insns(void)
{
	static const unsigned char text[] = {
		0x90, 0x0f, 0x05, 0x48, 0x0f, 0x05, 0xc3, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 5,
		0x97, 0xc3, 0xb8, 3, 0, 0, 0, 0x0f, 5, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 1,
		0xc3,
	};
	struct arch_insns i = { 0 };

	arch_insns_find(&i, 0x1000, text, 5);
	CU_ASSERT_EQUAL(i.call, 0x1001);
	CU_ASSERT_EQUAL(i.call_return, 0);
	CU_ASSERT_FALSE(arch_insns_all(&i));
	arch_insns_find(&i, 0x1000, text, sizeof(text));
	CU_ASSERT_EQUAL(i.call, 0x1001);
	CU_ASSERT_EQUAL(i.call_return, 0x1004);
	CU_ASSERT_EQUAL(i.sigreturn, 0x1007);
	CU_ASSERT_TRUE(arch_insns_all(&i));
	CU_ASSERT_EQUAL(i.move_result, 0x1010);
	CU_ASSERT_EQUAL(i.close_return, 0x1012);
	CU_ASSERT_TRUE(arch_insns_best(&i));
}

static void test_call_number(void)
{
	static const unsigned char text[] = { 0, 0, 0xb8, 0xe6, 0, 0, 0, 0x0f, 0x05 };

	CU_ASSERT_EQUAL(arch_call_number(text, sizeof(text)), SYS_clock_nanosleep);
	CU_ASSERT_EQUAL(arch_call_number(text + 3, sizeof(text) - 3), -1);
	CU_ASSERT_EQUAL(arch_call_number(text, sizeof(text) - 1), -1);
}

static void test_interrupted(void)
{
	struct arch_regs r = { 0 };
	long nr;

	r.user.orig_rax = ~0UL;
	CU_ASSERT_EQUAL(arch_regs_interrupted(&r, &nr), ARCH_USER_CODE);
	r.user.orig_rax = SYS_epoll_wait;
	r.user.rax = (unsigned long)-EINTR;
	r.user.rip = 0x5002;
	CU_ASSERT_EQUAL(arch_regs_interrupted(&r, &nr), ARCH_CALL_EINTR);
	CU_ASSERT_EQUAL(nr, SYS_epoll_wait);
	arch_regs_reissue(&r);
	CU_ASSERT_EQUAL(r.user.rax, SYS_epoll_wait);
	CU_ASSERT_EQUAL(r.user.rip, 0x5000);
	CU_ASSERT_EQUAL((long)r.user.orig_rax, -1);
	r.user.orig_rax = SYS_read;
	r.user.rax = (unsigned long)-512;
	CU_ASSERT_EQUAL(arch_regs_interrupted(&r, &nr), ARCH_CALL_RESTARTS);
	/* A real result is never taken for a number of the kernel. */
	r.user.rax = 5;
	CU_ASSERT_EQUAL(arch_regs_interrupted(&r, &nr), ARCH_CALL_RESTARTS);
}

/* ---- frames ---- */

static struct arch_xstate xstate;
static unsigned char image[65536] __attribute__((aligned(64)));

static uint64_t word_at(size_t at)
{
	uint64_t v;

	memcpy(&v, image + at, sizeof(v));
	return v;
}

/* The kernel's ucontext is glibc's up to the mask: read ours through it. */
static const ucontext_t *context_at(uint64_t sp, uint64_t base)
{
	return (const ucontext_t *)(const void *)(image + (sp - base) + 8);
}

static void build(struct arch_net *net, struct arch_regs *regs)
{
	static const struct arch_insns insns = { 0x100, 0x200, 0x300, 0x400, 0x500 };
	const uint64_t xcr0 = 7, in_use = 3;
	const struct arch_net_plan plan = { .at = 0x7f0000, .insns = &insns, .regs = regs,
					    .mask = 0x1234, .xstate = &xstate, .self = 77 };

	xstate.len = 832;
	memset(xstate.bytes, 0xa5, xstate.len);
	memcpy(xstate.bytes + 464, &xcr0, sizeof(xcr0));
	memcpy(xstate.bytes + 512, &in_use, sizeof(in_use));
	CU_ASSERT_EQUAL_FATAL(arch_net_build(net, image, sizeof(image), &plan), 0);
}

static void test_frames(void)
{
	struct arch_regs regs = { .user = { .rax = 1, .rbx = 2, .rcx = 3, .rip = 0x4002,
					    .rsp = 0x5000, .eflags = 0x646, .cs = 0x33,
					    .ss = 0x2b, .orig_rax = ~0UL } };
	struct arch_net net;
	const ucontext_t *u;

	build(&net, &regs);
	CU_ASSERT_EQUAL(net.len, arch_net_size(&xstate));
	CU_ASSERT_EQUAL(net.sp % 64, 0);
	CU_ASSERT_EQUAL(word_at(net.sp - 0x7f0000), 0x300);
	/* The chain: each close loads the next frame, the last one the thread. */
	for (unsigned int i = 0; i < ARCH_NET_FDS; i++) {
		uint64_t sp = net.sp_close + i * 320;

		u = context_at(sp, 0x7f0000);
		CU_ASSERT_EQUAL(word_at(sp - 0x7f0000), 0x300);
		CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RAX], SYS_close);
		CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RIP], 0x200);
		CU_ASSERT_EQUAL((uint64_t)u->uc_mcontext.gregs[REG_RSP], sp + 320);
		CU_ASSERT_EQUAL((int64_t)word_at(net.fd_at[i]), -1);
		CU_ASSERT_PTR_EQUAL(image + net.fd_at[i], &u->uc_mcontext.gregs[REG_RDI]);
		CU_ASSERT_EQUAL(word_at(net.source_at[i]), 0x7f0000 + net.hold_at[i]);
		CU_ASSERT_EQUAL(net.hold_at[i], net.hold_at[0] + i * 4);
	}
	CU_ASSERT_EQUAL(net.sp_last, net.sp_close + ARCH_NET_FDS * 320);
	u = context_at(net.sp_last, 0x7f0000);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RIP], 0x4002);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RSP], 0x5000);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RAX], 1);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RBX], 2);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_EFL], 0x646);
	CU_ASSERT_EQUAL(*(const uint64_t *)&u->uc_sigmask, 0x1234);
	/* sigaltstack(2) must refuse what stands there: the thread's own stays. */
	CU_ASSERT(u->uc_stack.ss_flags & ~(SS_ONSTACK | SS_DISABLE));
}

static void test_frame_copy(void)
{
	struct arch_regs regs = { .user = { .orig_rax = ~0UL } };
	struct arch_net net;
	const ucontext_t *u;

	build(&net, &regs);
	u = context_at(net.sp, 0x7f0000);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RAX], SYS_process_vm_readv);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RDI], 77);
	CU_ASSERT_EQUAL((uint64_t)u->uc_mcontext.gregs[REG_RSP], net.sp_close);
	CU_ASSERT_EQUAL(net.sp_result, net.sp - 16);
	CU_ASSERT_EQUAL(word_at(net.sp_result - 0x7f0000), 0x400);
	CU_ASSERT_EQUAL(word_at(net.sp_result - 0x7f0000 + 8), 0x500);
}

static void test_frame_xstate(void)
{
	struct arch_regs regs = { .user = { .orig_rax = ~0UL } };
	struct arch_net net;
	const ucontext_t *u;
	uint32_t magic, size;
	size_t at;

	build(&net, &regs);
	u = context_at(net.sp_last, 0x7f0000);
	at = (size_t)((uint64_t)(uintptr_t)u->uc_mcontext.fpregs - 0x7f0000);
	CU_ASSERT_EQUAL(at % 64, 0);
	memcpy(&magic, image + at + 464, 4);
	CU_ASSERT_EQUAL(magic, 0x46505853);
	memcpy(&size, image + at + 464 + 16, 4);
	CU_ASSERT(size >= 576 && size <= 832);
	memcpy(&magic, image + at + size, 4);
	CU_ASSERT_EQUAL(magic, 0x46505845);
	CU_ASSERT_EQUAL(image[at], 0xa5);
}

static void test_frame_restarts(void)
{
	static const long results[] = { -512, -513, -514, -516 };
	struct arch_net net;
	const ucontext_t *u;

	for (int i = 0; i < 4; i++) {
		struct arch_regs regs = { .user = { .rax = (unsigned long)results[i],
						    .rip = 0x4002, .orig_rax = SYS_read } };

		build(&net, &regs);
		u = context_at(net.sp_last, 0x7f0000);
		CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RAX], SYS_read);
		CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RIP], 0x4000);
	}
	struct arch_regs done = { .user = { .rax = 9, .rip = 0x4002, .orig_rax = SYS_read } };

	build(&net, &done);
	u = context_at(net.sp_last, 0x7f0000);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RAX], 9);
	CU_ASSERT_EQUAL(u->uc_mcontext.gregs[REG_RIP], 0x4002);
}

static void test_frames_refused(void)
{
	struct arch_insns insns = { 1, 2, 0, 0, 0 };
	struct arch_regs regs = { 0 };
	struct arch_net_plan plan = { .insns = &insns, .regs = &regs, .xstate = &xstate };
	struct arch_net net;

	xstate.len = 832;
	CU_ASSERT_EQUAL(arch_net_build(&net, image, sizeof(image), &plan), -ENOTSUP);
	insns.sigreturn = 3;
	CU_ASSERT_EQUAL(arch_net_build(&net, image, 100, &plan), -ENOSPC);
	CU_ASSERT_EQUAL(arch_net_build(&net, image, sizeof(image), &plan), 0);
	CU_ASSERT_EQUAL(net.sp_result, 0);
	xstate.len = 0;
	CU_ASSERT_EQUAL(arch_net_build(&net, image, sizeof(image), &plan), -ENOTSUP);
}

/* ---- parcels ---- */

static void test_parcel_layout(void)
{
	struct parcel p;
	int fd;

	parcel_lay_out(&p, 0x9000, 5);
	CU_ASSERT_EQUAL((uint64_t)(uintptr_t)p.head.msg_iov, 0x9000 + offsetof(struct parcel, data));
	CU_ASSERT_EQUAL((uint64_t)(uintptr_t)p.head.msg_control,
			0x9000 + offsetof(struct parcel, control));
	CU_ASSERT_EQUAL(parcel_arrived(&p, &fd), 0);
	CU_ASSERT_EQUAL(fd, 5);
	memcpy(&fd, (const char *)&p + parcel_fd_at, sizeof(fd));
	CU_ASSERT_EQUAL(fd, 5);
	p.head.msg_flags = MSG_CTRUNC;
	CU_ASSERT_EQUAL(parcel_arrived(&p, &fd), -EMSGSIZE);
	parcel_lay_out(&p, 0x9000, -1);
	CU_ASSERT_EQUAL(parcel_arrived(&p, &fd), -EBADMSG);
	memcpy(&fd, (const char *)&p + parcel_fd_at, sizeof(fd));
	CU_ASSERT_EQUAL(fd, -1);
}

static void send_fds(int sock, const int *fds, size_t n)
{
	union {
		struct cmsghdr head;
		unsigned char room[CMSG_SPACE(40 * sizeof(int))];
	} c = { .head = { .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET,
			  .cmsg_type = SCM_RIGHTS } };
	char byte = 0;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (n) {
		memcpy(CMSG_DATA(&c.head), fds, n * sizeof(int));
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	CU_ASSERT_EQUAL(sendmsg(sock, &m, 0), 1);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++) {
		char path[32], link[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n += readlink(path, link, sizeof(link)) > 0;
	}
	return n;
}

static void test_parcel_receive(void)
{
	int pair[2], fds[40], fd = -1, before;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	for (int i = 0; i < 40; i++)
		fds[i] = pair[0];
	before = count_fds();
	CU_ASSERT_EQUAL(parcel_receive(pair[1], &fd), -EAGAIN);
	send_fds(pair[0], fds, 0);
	CU_ASSERT_EQUAL(parcel_receive(pair[1], &fd), -EBADMSG);
	send_fds(pair[0], fds, 2);
	CU_ASSERT_EQUAL(parcel_receive(pair[1], &fd), -EBADMSG);
	/* More than there is room for: cut, and what did come is closed. */
	send_fds(pair[0], fds, 40);
	CU_ASSERT_EQUAL(parcel_receive(pair[1], &fd), -EBADMSG);
	CU_ASSERT_EQUAL(count_fds(), before);
	CU_ASSERT_EQUAL(parcel_send(pair[0], pair[0]), 0);
	CU_ASSERT_EQUAL(parcel_receive(pair[1], &fd), 0);
	CU_ASSERT_EQUAL(count_fds(), before + 1);
	close(fd);
	close(pair[0]);
	CU_ASSERT_EQUAL(parcel_receive(pair[1], &fd), -EBADMSG);
	close(pair[1]);
}

/* ---- lines ---- */

static void test_lines(void)
{
	static struct procfile_lines l;
	char name[] = "/tmp/pagetap-lines-XXXXXX", *line;
	int fd = mkstemp(name), n = 0;

	CU_ASSERT_FATAL(fd >= 0);
	unlink(name);
	dprintf(fd, "one\n\n");
	for (int i = 0; i < 20000; i++)
		dprintf(fd, "x");
	dprintf(fd, "\nlast");
	lseek(fd, 0, SEEK_SET);
	procfile_lines_init(&l, fd);
	CU_ASSERT_EQUAL(procfile_lines_next(&l, &line), 1);
	CU_ASSERT_STRING_EQUAL(line, "one");
	CU_ASSERT_EQUAL(procfile_lines_next(&l, &line), 1);
	CU_ASSERT_STRING_EQUAL(line, "");
	/* Cut, and the rest of it is not taken for a line. */
	CU_ASSERT_EQUAL(procfile_lines_next(&l, &line), 1);
	CU_ASSERT(strlen(line) > 8000 && line[0] == 'x');
	CU_ASSERT_EQUAL(procfile_lines_next(&l, &line), 1);
	CU_ASSERT_STRING_EQUAL(line, "last");
	while (procfile_lines_next(&l, &line) > 0)
		n++;
	CU_ASSERT_EQUAL(n, 0);
	close(fd);
}

static void test_values(void)
{
	static const char text[] = "Name:\tSeccomp:\nSeccomp_filters:\t9\nSeccomp:\t2\n";
	uint64_t v;

	CU_ASSERT_PTR_EQUAL(procfile_value(text, "Seccomp"), text + sizeof(text) - 3);
	CU_ASSERT_PTR_NULL(procfile_value(text, "Nam"));
	CU_ASSERT_PTR_NULL(procfile_value("", "Name"));
	CU_ASSERT_TRUE(procfile_number("ffffffffffffffff", 16, &v, NULL));
	CU_ASSERT_EQUAL(v, UINT64_MAX);
	CU_ASSERT_FALSE(procfile_number("10000000000000000", 16, &v, NULL));
	CU_ASSERT_FALSE(procfile_number("x", 10, &v, NULL));
	CU_ASSERT_FALSE(procfile_number("f", 10, &v, NULL));
}

static const struct suite_test tests[] = {
	{ "ranks of threads", test_ranks },
	{ "calls that may be issued again", test_reissue },
	{ "scratch in the first stack", test_scratch_first_stack },
	{ "scratch in a thread's stack", test_scratch_thread_stack },
	{ "a mapping's line", test_mapping },
	{ "instructions", test_insns },
	{ "number of a call", test_call_number },
	{ "what was interrupted", test_interrupted },
	{ "frames", test_frames },
	{ "frame that copies", test_frame_copy },
	{ "frame with extended state", test_frame_xstate },
	{ "frame that issues again", test_frame_restarts },
	{ "frames refused", test_frames_refused },
	{ "parcel in the target", test_parcel_layout },
	{ "parcel received", test_parcel_receive },
	{ "lines", test_lines },
	{ "values", test_values },
};

SUITE_MAIN("tracee", tests)
