/* SPDX-License-Identifier: MIT */
/* Target: recorded /proc text and facts in, verdicts and words out. */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "facts.h"
#include "failure.h"
#include "suite.h"
#include "target.h"

static const char stat_text[] =
	"4242 (a) b (c) S 4100 4242 4242 34816 4242 4194304 187 0 0 0 3 1 0 0 20 0 7 0 3091547 "
	"8507392 480 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

static const char status_text[] =
	"Name:\tredis-server\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\nNgid:\t0\n"
	"Pid:\t4242\nPPid:\t4100\nTracerPid:\t4180\nUid:\t1000\t1001\t1002\t1003\n"
	"Gid:\t100\t101\t102\t103\nFDSize:\t64\nGroups:\t100\nNStgid:\t4242\t7\nNSpid:\t4242\t7\n"
	"Threads:\t7\nSigPnd:\t0000000000000000\nCapPrm:\t0000000000000001\n"
	"CapEff:\t0000000000080000\nSeccomp:\t2\nSeccomp_filters:\t1\n"
	"x86_Thread_features:\tshstk \nx86_Thread_features_locked:\t\n";

static void test_stat(void)
{
	struct facts f = { 0 };

	CU_ASSERT_EQUAL(facts_parse_stat(stat_text, &f), 0);
	CU_ASSERT_STRING_EQUAL(f.comm, "a) b (c");
	CU_ASSERT_EQUAL(f.state, 'S');
	CU_ASSERT_EQUAL(f.ppid, 4100);
	CU_ASSERT_EQUAL(f.flags, 4194304);
	CU_ASSERT_EQUAL(f.threads, 7);
	CU_ASSERT_EQUAL(f.start_time, 3091547);
	CU_ASSERT(f.has_program);
	CU_ASSERT_EQUAL(f.cpu, 1);
	CU_ASSERT_EQUAL(f.policy, 0);
}

/* In the middle of an exec there is no code yet: field 26. */
static void test_stat_in_exec(void)
{
	static const char code[] = " 18446744073709551615 1 ", none[] = " 18446744073709551615 0 ";
	char text[sizeof(stat_text)], *at;
	struct facts f = { 0 };
	int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	memcpy(text, stat_text, sizeof(text));
	at = strstr(text, code);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	memcpy(at, none, sizeof(none) - 1);
	CU_ASSERT_EQUAL(facts_parse_stat(text, &f), 0);
	CU_ASSERT_FALSE(f.has_program);
	/* Our own is there. */
	CU_ASSERT_EQUAL(facts_stat(self, &f), 0);
	CU_ASSERT(f.has_program);
	close(self);
}

static void test_stat_broken(void)
{
	static const char *const bad[] = { "", "1", "1 (x", "1 (x)", "1 (x) ", "1 (x) S",
					   "1 (x) S 1 2 3", "1 )x( S 1", "1 (x) S a b c" };
	char cut[sizeof(stat_text)];
	struct facts f = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(facts_parse_stat(bad[i], &f), -EBADMSG);
	/* Cut anywhere: an answer, and nothing read behind the end. */
	for (size_t n = 0; n < sizeof(stat_text); n++) {
		memcpy(cut, stat_text, n);
		cut[n] = '\0';
		CU_ASSERT(facts_parse_stat(cut, &f) <= 0);
	}
}

static void test_status(void)
{
	char gone[sizeof(status_text)];
	struct facts f = { 0 };

	CU_ASSERT_EQUAL(facts_parse_status(status_text, &f), 0);
	CU_ASSERT_EQUAL(f.tgid, 4242);
	CU_ASSERT_EQUAL(f.own_pid, 7);
	CU_ASSERT_EQUAL(f.tracer, 4180);
	CU_ASSERT_EQUAL(f.uid[0], 1000);
	CU_ASSERT_EQUAL(f.uid[1], 1001);
	CU_ASSERT_EQUAL(f.uid[2], 1002);
	CU_ASSERT_EQUAL(f.gid[2], 102);
	CU_ASSERT_EQUAL(f.cap_permitted, 1);
	CU_ASSERT_EQUAL(f.cap_effective, FACTS_CAP_SYS_PTRACE);
	CU_ASSERT_EQUAL(f.seccomp, 2);
	CU_ASSERT_TRUE(f.shadow_stack);
	CU_ASSERT_EQUAL(facts_parse_status("Name:\tx\n", &f), -EBADMSG);
	memcpy(gone, status_text, sizeof(gone));
	memcpy(strstr(gone, "Tgid:\t4242"), "Tgid:\t0\n\n\n", 10);
	CU_ASSERT_EQUAL(facts_parse_status(gone, &f), -ESRCH);
	CU_ASSERT_EQUAL(facts_parse_status("", &f), -EBADMSG);
}

static void test_status_features(void)
{
	char text[sizeof(status_text)];
	struct facts f = { 0 };
	char *p;

	/* The word of the line below must not count. */
	memcpy(text, status_text, sizeof(text));
	p = strstr(text, "shstk ");
	memcpy(p, "wrss  ", 6);
	CU_ASSERT_EQUAL(facts_parse_status(text, &f), 0);
	CU_ASSERT_FALSE(f.shadow_stack);
}

static void test_elf(void)
{
	unsigned char head[20] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB };
	struct facts f = { 0 };

	head[18] = EM_X86_64;
	CU_ASSERT_EQUAL(facts_parse_elf(head, sizeof(head), &f), 0);
	CU_ASSERT_EQUAL(f.elf_class, ELFCLASS64);
	CU_ASSERT_EQUAL(f.machine, EM_X86_64);
	CU_ASSERT_EQUAL(facts_parse_elf(head, 19, &f), -EBADMSG);
	head[0] = '#';
	CU_ASSERT_EQUAL(facts_parse_elf(head, sizeof(head), &f), -EBADMSG);
}

static void test_monitored(void)
{
	CU_ASSERT_TRUE(facts_monitored_line("VmFlags: rd wr mr mw me um ac sd "));
	CU_ASSERT_TRUE(facts_monitored_line("VmFlags: rd wr uw"));
	CU_ASSERT_TRUE(facts_monitored_line("VmFlags: ui "));
	CU_ASSERT_FALSE(facts_monitored_line("VmFlags: rd wr mr mw me ac sd "));
	CU_ASSERT_FALSE(facts_monitored_line("VmFlags: ru mw ru iw"));
	CU_ASSERT_FALSE(facts_monitored_line("VmFlags: "));
	CU_ASSERT_TRUE(facts_stack_line("7ffc0-7ffd0 rw-p 00000000 00:00 0      [stack]"));
	CU_ASSERT_TRUE(facts_stack_line("55d00-55d10 rw-p 00000000 00:00 0      [heap]"));
	CU_ASSERT_FALSE(facts_stack_line("55d00-55d10 rw-p 00000000 00:00 0 "));
	CU_ASSERT_FALSE(facts_stack_line("55d00-55d10 rw-p 00000000 00:00 0      /x/[stack]"));
	CU_ASSERT_FALSE(facts_monitored_line("7f00-7f01 rw-p 00000000 00:00 0  /VmFlags: um"));
}

/* An ordinary target of an ordinary root. */
static struct facts plain(void)
{
	return (struct facts){
		.pid = 4242, .tgid = 4242, .ppid = 4100, .own_pid = 4242, .state = 'S',
		.comm = "demo", .threads = 1, .dumpable = true, .elf_class = ELFCLASS64,
		.machine = EM_X86_64, .same_user_ns = true, .parent_comm = "sh",
	};
}

static struct viewer root(void)
{
	return (struct viewer){
		.pid = 1000, .cap_permitted = ~UINT64_C(0), .cap_effective = ~UINT64_C(0),
		.uffd_syscall = true, .uffd_device = true, .proc_ours = true, .alive = true,
	};
}

static struct viewer user(void)
{
	struct viewer v = root();

	v.uid = v.euid = v.gid = 1000;
	v.cap_permitted = v.cap_effective = 0;
	v.uffd_device = false;
	return v;
}

static struct facts of_user(void)
{
	struct facts f = plain();

	for (int i = 0; i < 3; i++)
		f.uid[i] = f.gid[i] = 1000;
	return f;
}

#define EXPECT(f, v, flags, why, words, status)                                       \
	do {                                                                          \
		struct pagetap_failure _e;                                            \
		int _r = target_judge(&(f), &(v), flags, &_e);                        \
		CU_ASSERT_EQUAL(_r == 0, (why) == PAGETAP_REASON_NONE);               \
		CU_ASSERT_EQUAL(_e.reason, why);                                      \
		CU_ASSERT_PTR_NOT_NULL(strstr(_e.text, words));                       \
		if (_r)                                                               \
			CU_ASSERT_EQUAL(pagetap_failure_status(&_e), status);         \
		if (_r && !strstr(_e.text, words))                                    \
			printf("\n    words: %s\n", _e.text);                         \
	} while (0)

#define ALLOWED(f, v, flags) EXPECT(f, v, flags, PAGETAP_REASON_NONE, "", 0)

static void test_kinds(void)
{
	struct viewer v = root();
	struct facts f = plain();

	ALLOWED(f, v, 0);
	f.state = 'Z';
	EXPECT(f, v, 0, PAGETAP_REASON_ZOMBIE, "it has already exited (zombie of 4100, sh)", 4);
	f.live_thread = true;
	ALLOWED(f, v, 0);
	f = plain();
	f.flags = 0x00200000;
	EXPECT(f, v, 0, PAGETAP_REASON_KERNEL_THREAD,
	       "it is a kernel thread and has no user memory", 5);
	f = plain();
	f.tgid = 4200;
	memcpy(f.leader_comm, "x\ny", 4);
	EXPECT(f, v, 0, PAGETAP_REASON_THREAD_ID, "it is a thread of process 4200 (x\\012y)", 4);
	f = plain();
	f.pid = f.tgid = v.pid;
	EXPECT(f, v, 0, PAGETAP_REASON_SELF, "cannot watch itself", 5);
	f = plain();
	f.elf_class = ELFCLASS32;
	f.machine = EM_386;
	EXPECT(f, v, 0, PAGETAP_REASON_WORD_SIZE,
	       "it is a 32-bit (i386) process; only x86-64 targets are supported", 5);
	f = plain();
	f.machine = EM_AARCH64;
	EXPECT(f, v, 0, PAGETAP_REASON_WORD_SIZE, "aarch64", 5);
	f.elf_class = 0;		/* could not be read: no verdict */
	ALLOWED(f, v, 0);
}

static void test_users(void)
{
	struct viewer v = user();
	struct facts f = plain();

	EXPECT(f, v, 0, PAGETAP_REASON_OTHER_USER, "it belongs to user root and you are ", 3);
	v.euid = 0;
	EXPECT(f, v, 0, PAGETAP_REASON_NO_CAPABILITY,
	       "CAP_SYS_PTRACE is missing although you are root (container?)", 3);
	v = user();
	v.uffd_unprivileged = true;
	f = of_user();
	ALLOWED(f, v, 0);
	f.uid[2] = 0;			/* one of the six is enough to differ */
	EXPECT(f, v, 0, PAGETAP_REASON_OTHER_USER, "without CAP_SYS_PTRACE", 3);
	f = of_user();
	f.dumpable = false;
	EXPECT(f, v, 0, PAGETAP_REASON_NOT_DUMPABLE, "non-dumpable", 3);
	f.dumpable = true;
	f.cap_permitted = 1;
	EXPECT(f, v, 0, PAGETAP_REASON_NOT_DUMPABLE, "capabilities you lack", 3);
}

static void test_yama(void)
{
	struct viewer v = user();
	struct facts f = of_user();

	v.uffd_unprivileged = true;
	v.yama = 1;
	EXPECT(f, v, 0, PAGETAP_REASON_YAMA,
	       "kernel.yama.ptrace_scope is 1, which allows tracing of child processes only", 3);
	v.descendant = true;
	ALLOWED(f, v, 0);
	v.yama = 2;
	EXPECT(f, v, 0, PAGETAP_REASON_YAMA, "ptrace_scope is 2", 3);
	v = root();
	v.yama = 2;
	ALLOWED(f, v, 0);
	v.yama = 3;
	EXPECT(f, v, 0, PAGETAP_REASON_YAMA,
	       "no process may be traced until reboot, not even by root", 3);
}

static void test_uses(void)
{
	struct viewer v = root();
	struct facts f = plain();

	f.tracer = 4180;
	memcpy(f.tracer_comm, "gdb", 4);
	EXPECT(f, v, 0, PAGETAP_REASON_TRACED, "it is already traced by 4180 (gdb)", 3);
	f = plain();
	f.monitored = 3;
	EXPECT(f, v, 0, PAGETAP_REASON_MONITORED,
	       "it already has a userfaultfd on 3 of its mappings", 5);
	ALLOWED(f, v, PAGETAP_ALLOW_MONITORED);
	/* Its own, as QEMU has it; but nobody watches the own stack. */
	f.owns_uffd = true;
	ALLOWED(f, v, 0);
	f.monitored_stack = true;
	EXPECT(f, v, 0, PAGETAP_REASON_MONITORED, "its stack or heap among them", 5);
	f = plain();
	memcpy(f.frozen, "/box", 5);
	EXPECT(f, v, 0, PAGETAP_REASON_STUCK, "/box is frozen", 1);
	f = plain();
	f.seccomp = 2;
	ALLOWED(f, v, 0);
	v.cap_effective &= ~FACTS_CAP_SYS_ADMIN;
	EXPECT(f, v, 0, PAGETAP_REASON_SECCOMP, "it runs under a seccomp filter", 3);
	v = root();
	v.seccomp = true;		/* the tracer itself must have none */
	f.seccomp = 1;
	EXPECT(f, v, 0, PAGETAP_REASON_SECCOMP, "it runs under strict seccomp", 3);
}

static void test_uffd(void)
{
	struct viewer v = root();
	struct facts f = of_user();

	v.uffd_syscall = false;
	EXPECT(f, v, 0, PAGETAP_REASON_NO_UFFD, "this kernel has no userfaultfd (ENOSYS)", 5);
	v.uffd_syscall = true;
	ALLOWED(f, v, 0);
	EXPECT(f, v, PAGETAP_NO_DEVICE, PAGETAP_REASON_UFFD_FORBIDDEN,
	       "vm.unprivileged_userfaultfd is 0", 3);
	ALLOWED(f, v, PAGETAP_NO_DEVICE | PAGETAP_USER_MODE_ONLY);
	f.cap_effective = FACTS_CAP_SYS_PTRACE;
	ALLOWED(f, v, PAGETAP_NO_DEVICE);
	f.same_user_ns = false;		/* such a capability counts in its namespace only */
	EXPECT(f, v, PAGETAP_NO_DEVICE, PAGETAP_REASON_UFFD_FORBIDDEN, "may not create", 3);
	v.uffd_unprivileged = true;
	ALLOWED(f, v, PAGETAP_NO_DEVICE);
}

static void test_names(void)
{
	for (unsigned int i = 0; i < PAGETAP_PHASE_NR; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(pagetap_phase_name(i));
	for (unsigned int i = 0; i < PAGETAP_REASON_NR; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(pagetap_reason_name(i));
	CU_ASSERT_PTR_NULL(pagetap_phase_name(PAGETAP_PHASE_NR));
	CU_ASSERT_PTR_NULL(pagetap_reason_name(PAGETAP_REASON_NR));
	CU_ASSERT_STRING_EQUAL(pagetap_phase_name(PAGETAP_PHASE_GRAB), "grab");
}

static void test_failures(void)
{
	struct pagetap_failure f;
	char out[16];

	failure_clear(&f);
	CU_ASSERT_EQUAL(failure_set(&f, PAGETAP_PHASE_OPEN, PAGETAP_REASON_NONE, EPERM, "one"),
			-EPERM);
	/* The first stays; damage outranks it, and the first damage stays. */
	CU_ASSERT_EQUAL(failure_set(&f, PAGETAP_PHASE_CLOSE, PAGETAP_REASON_NONE, EIO, "two"),
			-EPERM);
	CU_ASSERT_STRING_EQUAL(f.text, "one");
	CU_ASSERT_EQUAL(failure_damage(&f, PAGETAP_PHASE_RESTORE, EIO, "three"), -EIO);
	failure_damage(&f, PAGETAP_PHASE_RESTORE, ENOMEM, "four");
	failure_conclude(&f, PAGETAP_TARGET_RESTORED);
	CU_ASSERT_STRING_EQUAL(f.text, "three");
	CU_ASSERT_EQUAL(f.state, PAGETAP_TARGET_DAMAGED);
	failure_escape(out, sizeof(out), "a\x1b\\\xc3" "b");
	CU_ASSERT_STRING_EQUAL(out, "a\\033\\134\\303");
	failure_escape(out, 4, "abcdef");
	CU_ASSERT(strlen(out) < 4);
}

static const struct suite_test tests[] = {
	{ "stat", test_stat },
	{ "/proc/PID/stat in the middle of an exec", test_stat_in_exec },
	{ "stat, broken", test_stat_broken },
	{ "status", test_status },
	{ "status, features of the thread", test_status_features },
	{ "elf", test_elf },
	{ "monitored mappings", test_monitored },
	{ "what it is", test_kinds },
	{ "whose it is", test_users },
	{ "yama", test_yama },
	{ "who uses it", test_uses },
	{ "who may have a userfaultfd", test_uffd },
	{ "names", test_names },
	{ "failures", test_failures },
};

SUITE_MAIN("target", tests)
