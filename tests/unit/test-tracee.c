/* SPDX-License-Identifier: MIT */
/* Tracee: which thread, where scratch lies, instructions, lines; one that does not stop. */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch.h"
#include "base/clock.h"
#include "choose.h"
#include "memory.h"
#include "procfile.h"
#include "scratch.h"
#include "suite.h"
#include "tracee.h"

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
	/* ERESTARTNOHAND: again, or EINTR if a handler runs. */
	arch_regs_restart(&r);
	CU_ASSERT_EQUAL((long)r.user.rax, -514);
	CU_ASSERT_EQUAL(r.user.orig_rax, SYS_epoll_wait);
	CU_ASSERT_EQUAL(r.user.rip, 0x5002);
	r.user.orig_rax = SYS_read;
	r.user.rax = (unsigned long)-512;
	CU_ASSERT_EQUAL(arch_regs_interrupted(&r, &nr), ARCH_CALL_RESTARTS);
	/* A real result is never taken for a number of the kernel. */
	r.user.rax = 5;
	CU_ASSERT_EQUAL(arch_regs_interrupted(&r, &nr), ARCH_CALL_RESTARTS);
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

static void on_alarm(int sig)
{
	(void)sig;
}

/* It waits for a child of vfork(2), and stops when that has ended: kill(2) it. */
static pid_t start_waiting(pid_t *ret_child)
{
	int p[2];
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	pid = fork();
	if (!pid) {
		if (!vfork()) {
			pid = getpid();
			if (write(p[1], &pid, sizeof(pid)) == sizeof(pid))
				pause();
			_exit(0);
		}
		pause();
		_exit(0);
	}
	CU_ASSERT_EQUAL_FATAL(read(p[0], ret_child, sizeof(*ret_child)), sizeof(*ret_child));
	close(p[0]);
	close(p[1]);
	return pid;
}

/* What could not be let go, as it did not stop in time, is seized again. */
static void test_seized_again(void)
{
	const struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction sa = { .sa_handler = on_alarm }, before;
	static struct tracee t;		/* aligned, also where a sanitizer lays out the stack */
	pid_t child, pid = start_waiting(&child);

	sigaction(SIGALRM, &sa, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	CU_ASSERT_EQUAL(tracee_seize(&t, pid, pid, false, clock_now()), 0);
	tracee_release(&t, clock_now() + 20 * NSEC_PER_MSEC);
	CU_ASSERT(t.seized && !t.stopped);
	CU_ASSERT_EQUAL(tracee_seize(&t, pid, pid, false, clock_now() + 5 * NSEC_PER_SEC), 0);
	kill(child, SIGKILL);
	CU_ASSERT_EQUAL(tracee_stop(&t), 0);
	CU_ASSERT_EQUAL(tracee_detach(&t), 0);
	CU_ASSERT(!t.seized);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
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
	{ "lines", test_lines },
	{ "values", test_values },
	{ "seized again", test_seized_again },
};

SUITE_MAIN("tracee", tests)
