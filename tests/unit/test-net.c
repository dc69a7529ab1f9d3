/* SPDX-License-Identifier: MIT */
/* Net: the frames that restore a thread without us, and messages with a descriptor. */

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "arch.h"
#include "parcel.h"
#include "suite.h"

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
	arch_xstate_learn(&xstate);
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
	arch_xstate_learn(&xstate);
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
	CU_ASSERT_EQUAL((uint64_t)(uintptr_t)p.head.msg_iov,
			0x9000 + offsetof(struct parcel, data));
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

static const struct suite_test tests[] = {
	{ "frames", test_frames },
	{ "frame that copies", test_frame_copy },
	{ "frame with extended state", test_frame_xstate },
	{ "frame that issues again", test_frame_restarts },
	{ "frames refused", test_frames_refused },
	{ "parcel in the target", test_parcel_layout },
	{ "parcel received", test_parcel_receive },
};

SUITE_MAIN("net", tests)
