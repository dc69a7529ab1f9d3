/* SPDX-License-Identifier: MIT */
/*
 * Sandbox: each case in a process of its own, which gives up what the monitor gives up
 * and then tries what it must not be able to do, and what it must.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>

#include "caps.h"
#include "compat/sys.h"
#include "sandbox-child.h"
#include "suite.h"

#define PAGE 4096u

static void enter(bool command)
{
	struct sandbox_report r;

	sandbox_begin();
	sandbox_prepare();
	sandbox_enter(getppid(), command, &r);
	WANT(!r.caps);
	if (r.filter)
		_exit(NO_FILTER);
}

static void forbidden_processes(void)
{
	pid_t parent = getppid();
	char *argv[] = { (char *)(uintptr_t)"true", NULL };
	struct iovec io = { argv, 8 };
	struct perf_event_attr attr = { .size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
					.config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1 };

	enter(true);
	DENIED(syscall(SYS_fork));
	DENIED(syscall(SYS_vfork));
	DENIED(fork());
	DENIED(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
	DENIED(syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS |
		       CLONE_FILES | CLONE_NEWUSER, NULL, NULL, NULL, NULL));
	DENIED(execv("/bin/true", argv));
	DENIED(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0));
	DENIED(ptrace(PTRACE_SEIZE, parent, 0, 0));
	DENIED(process_vm_readv(parent, &io, 1, &io, 1, 0));
	DENIED(process_vm_writev(parent, &io, 1, &io, 1, 0));
	DENIED(kill(parent, 0));
	DENIED(kill(0, 0));
	DENIED(syscall(SYS_tkill, parent, 0));
	DENIED(syscall(SYS_tgkill, parent, parent, 0));
	DENIED(syscall(SYS_pidfd_open, parent, 0));
	DENIED(syscall(SYS_pidfd_getfd, 0, 0, 0));
	DENIED(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
	DENIED(syscall(SYS_userfaultfd, 0));
	DENIED(unshare(CLONE_NEWUSER));
	DENIED(setns(0, 0));
	DENIED(setpriority(PRIO_PROCESS, 0, 0));
	DENIED(syscall(SYS_sched_setaffinity, parent, sizeof(io), &io));
	WANT(syscall(SYS_prlimit64, parent, RLIMIT_CORE, NULL, NULL) < 0 && errno == EPERM);
}

static void forbidden_files(void)
{
	char folder[] = "/tmp";

	enter(false);
	DENIED(open("/dev/null", O_WRONLY));
	DENIED(open("/dev/null", O_RDWR));
	DENIED(open("/tmp/pagetap-test-sandbox", O_RDONLY | O_CREAT, 0600));
	DENIED(open("/tmp/pagetap-test-sandbox", O_RDONLY | O_TRUNC));
	DENIED(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	DENIED(syscall(SYS_openat2, AT_FDCWD, "/dev/null", NULL, 0));
	DENIED(unlink("/tmp/pagetap-test-sandbox"));
	DENIED(rename("/tmp/a-pagetap", "/tmp/b-pagetap"));
	DENIED(mkdir("/tmp/pagetap-test-sandbox", 0700));
	DENIED(symlink("a", "/tmp/pagetap-test-sandbox"));
	DENIED(chmod(folder, 01777));
	DENIED(chroot("/"));
	DENIED(syscall(SYS_mount, NULL, "/", NULL, 0, NULL));
	DENIED(syscall(SYS_truncate, "/tmp/pagetap-test-sandbox", 0));
	DENIED(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
	DENIED(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
	DENIED(syscall(SYS_connect, 0, NULL, 0));
	DENIED(syscall(SYS_bind, 0, NULL, 0));
	DENIED(syscall(SYS_accept4, 0, NULL, NULL, 0));
	DENIED(syscall(SYS_memfd_create, "x", 0));
	DENIED(syscall(SYS_bpf, 0, NULL, 0));
	DENIED(syscall(SYS_io_uring_setup, 1, NULL));
	DENIED(syscall(SYS_keyctl, 0, 0, 0));
	DENIED(fcntl(0, F_SETOWN, getpid()));
	DENIED(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, ""));
}

static void forbidden_memory(void)
{
	void *p;

	enter(false);
	DENIED(syscall(SYS_mmap, NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0));
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	WANT(p != MAP_FAILED);
	DENIED(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	DENIED(syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ | PROT_EXEC, -1));
	DENIED(syscall(SYS_shmget, 1, PAGE, 0600 | 01000));
	DENIED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	DENIED(prctl(PR_SET_SECCOMP, 2, NULL, 0, 0));
	DENIED(prctl(PR_CAP_AMBIENT, 0, 0, 0, 0));
	DENIED(setuid(getuid()));
	DENIED(setresgid(-1u, -1u, -1u));
	DENIED(syscall(SYS_capset, NULL, NULL));
	/* Another table of system calls, i386's: getpid() there is not what it is here. */
#ifdef __x86_64__
	{
		long r;

		__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10",
				 "r11");
		WANT((int)r == -EPERM || (int)r == -ENOSYS);
	}
#endif
}

static void *run(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static void allowed(void)
{
	int done = 0, pair[2], null = open("/dev/null", O_WRONLY), fd;
	int self = sys_pidfd_open(getpid(), 0), sig;
	struct rlimit none = { 0, 0 };
	pthread_t thread;
	sigset_t usr1;
	void *p;

	WANT(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	enter(false);
	WANT(!pthread_create(&thread, NULL, run, &done) && !pthread_join(thread, NULL) && done);
	fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	WANT(fd >= 0 && !close(fd));
	fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	WANT(fd >= 0 && !close(fd));
	WANT(write(null, "x", 1) == 1);
	WANT(send(pair[0], "x", 1, MSG_NOSIGNAL) == 1);
	fd = eventfd(0, EFD_CLOEXEC);
	WANT(fd >= 0);
	p = malloc(8 << 20);
	WANT(p && (p = realloc(p, 32 << 20)));
	memset(p, 1, 32 << 20);
	free(p);
	WANT(!setrlimit(RLIMIT_CORE, &none));
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	WANT(!raise(SIGUSR1) && !sigwait(&usr1, &sig));
	WANT(self < 0 || !sys_pidfd_send_signal(self, SIGUSR1));
	WANT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	WANT(fcntl(null, F_GETFL) >= 0);
	usleep(1000);
}

static void *write_only(void *arg)
{
	int *fds = arg;

	sandbox_writer();
	if (!prctl(PR_GET_SECCOMP))	/* under the filter it fails */
		_exit(NO_FILTER);
	WANT(write(fds[1], "x", 1) == 1);
	free(malloc(8 << 20));
	DENIED(open("/dev/null", O_RDONLY));
	DENIED(syscall(SYS_ioctl, fds[0], 0, 0));
	DENIED(syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0));
	DENIED(syscall(SYS_sendmsg, 0, NULL, 0));
	DENIED(syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, NULL, NULL, NULL, NULL));
	DENIED(syscall(SYS_mmap, NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	return NULL;
}

/* Its thread is bound; the one that made it is not. */
static void writer(void)
{
	pthread_t thread;
	int fds[2];

	WANT(!pipe(fds));
	sandbox_prepare();
	WANT(!pthread_create(&thread, NULL, write_only, fds) && !pthread_join(thread, NULL));
	WANT(prctl(PR_GET_SECCOMP) == 0);
	WANT(!close(open("/dev/null", O_RDWR)));
}

static void *view_only(void *arg)
{
	int *fds = arg, fd;
	struct termios t;

	sandbox_viewer();
	if (!prctl(PR_GET_SECCOMP))
		_exit(NO_FILTER);
	WANT(write(fds[1], "x", 1) == 1);
	/* Names of functions are in files; the terminal is the screen's. */
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	WANT(fd >= 0 && !close(fd));
	WANT(tcgetattr(fds[0], &t) < 0 && errno == ENOTTY);
	WANT(tcsetattr(fds[0], TCSADRAIN, &t) < 0 && errno == ENOTTY);
	WANT(tcgetpgrp(fds[0]) < 0 && errno == ENOTTY);
	DENIED(open("/dev/null", O_WRONLY));
	DENIED(open("/tmp/pagetap-sandbox", O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
	DENIED(syscall(SYS_ioctl, fds[0], TIOCSTI, "x"));
	DENIED(syscall(SYS_ioctl, fds[0], 0xaa3f /* of userfaultfd(2) */, 0));
	DENIED(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
	DENIED(syscall(SYS_kill, getppid(), 0));
	DENIED(syscall(SYS_tgkill, getppid(), getppid(), 0));
	DENIED(syscall(SYS_execve, "/bin/true", NULL, NULL));
	DENIED(syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, NULL, NULL, NULL, NULL));
	return NULL;
}

static void viewer(void)
{
	pthread_t thread;
	int fds[2];

	WANT(!pipe(fds));
	sandbox_prepare();
	WANT(!pthread_create(&thread, NULL, view_only, fds) && !pthread_join(thread, NULL));
	WANT(!close(open("/dev/null", O_RDWR)));
}

/* capget(2) is refused there: /proc tells. */
static uint64_t in_status(const char *key)
{
	FILE *f = fopen("/proc/thread-self/status", "re");
	char line[256];
	uint64_t v = UINT64_MAX;

	WANT(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			v = strtoull(line + strlen(key), NULL, 16);
	fclose(f);
	return v;
}

/* It reads what it may read, and that is all. */
static void reader(void)
{
	int pair[2], fd;

	WANT(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	sandbox_reader();
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	WANT(fd >= 0);
	if (!in_status("Seccomp:"))
		_exit(NO_FILTER);
	WANT(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
	WANT(!in_status("CapInh:") && !in_status("CapAmb:") && in_status("NoNewPrivs:") == 1);
	WANT(!(in_status("CapPrm:") & ~(UINT64_C(1) << 2 /* CAP_DAC_READ_SEARCH */)));
	WANT(send(pair[0], "x", 1, MSG_NOSIGNAL) == 1 && isatty(pair[0]) == 0);
	DENIED(open("/dev/null", O_WRONLY));
	DENIED(open("/tmp/pagetap-test-sandbox", O_RDONLY | O_CREAT, 0600));
	DENIED(syscall(SYS_openat2, AT_FDCWD, "/dev/null", NULL, 0));
	DENIED(unlink("/tmp/pagetap-test-sandbox"));
	DENIED(rename("/tmp/a-pagetap", "/tmp/b-pagetap"));
	DENIED(syscall(SYS_execve, "/bin/true", NULL, NULL));
	DENIED(fork());
	DENIED(ptrace(PTRACE_SEIZE, getppid(), 0, 0));
	DENIED(kill(getppid(), 0));
	DENIED(syscall(SYS_tgkill, getppid(), getppid(), 0));
	DENIED(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
	DENIED(syscall(SYS_userfaultfd, 0));
	DENIED(syscall(SYS_bpf, 0, NULL, 0));
	DENIED(syscall(SYS_ioctl, 0, TIOCSTI, "x"));
	DENIED(syscall(SYS_mmap, NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}


static void capabilities(void)
{
	uint64_t kill = UINT64_C(1) << 5 /* CAP_KILL */, had = in_status("CapPrm:") & kill;
	bool setpcap = in_status("CapEff:") & 1 << 8;
	struct rlimit core;

	enter(true);
	WANT(in_status("CapPrm:") == had && in_status("CapEff:") == had);
	WANT(!in_status("CapInh:") && !in_status("CapAmb:"));
	WANT(!setpcap || !in_status("CapBnd:"));
	WANT(in_status("NoNewPrivs:") == 1);
	WANT(!getrlimit(RLIMIT_CORE, &core) && !core.rlim_cur && !core.rlim_max);
}

/* Nobody is hidden, and nobody has to be signalled: nothing at all is left. */
static void no_capability(void)
{
	enter(false);
	WANT(!in_status("CapPrm:") && !in_status("CapEff:"));
}

/* From here on malloc(3) has nothing to give, of whatever size. */
static void use_up_memory(void)
{
	struct rlimit none = { 0, 0 };

	WANT(!setrlimit(RLIMIT_AS, &none));
	for (size_t size = 1 << 20; size; size /= 2)
		while (malloc(size))
			;
	WANT(!malloc(1));
}

/* Targets wait while this is done: it takes nothing that may not be there. */
static void without_memory(void)
{
	struct sandbox_report r;

	alarm(20);
	sandbox_begin();
	sandbox_prepare();
	use_up_memory();
	sandbox_enter(getppid(), false, &r);
	WANT(!r.caps && !r.filter);
	DENIED(open("/dev/null", O_WRONLY));
}

/* Not prepared: that is said, and nothing is set. */
static void not_prepared(void)
{
	WANT(sandbox_filter_events() < 0 && sandbox_filter_writer() < 0);
	WANT(prctl(PR_GET_SECCOMP) == 0);
}

static void not_dumpable(void)
{
	bool privileged = caps_hold(CAPS_SYS_PTRACE);

	sandbox_begin();
	WANT(prctl(PR_GET_DUMPABLE) == !privileged);
}

/* The agent keeps what it works with, has no filter, and cannot get at more. */
static void agent(void)
{
	bool had = caps_hold(CAPS_SYS_PTRACE);

	sandbox_agent();
	WANT(caps_hold(CAPS_SYS_PTRACE) == had);
	WANT(prctl(PR_GET_SECCOMP) == 0);
	WANT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	WANT(!had || prctl(PR_CAPBSET_READ, 21 /* CAP_SYS_ADMIN */) == 0);
	WANT(!had || chroot("/") < 0);
}

static void test_probe(void)
{
	int r = sandbox_filter_probe();

	CU_ASSERT(!r || r == -EINVAL);
	CU_ASSERT_EQUAL(prctl(PR_GET_SECCOMP), 0);
}

static void test_processes(void) { in_child(forbidden_processes); }
static void test_files(void) { in_child(forbidden_files); }
static void test_memory(void) { in_child(forbidden_memory); }
static void test_allowed(void) { in_child(allowed); }
static void test_writer(void) { in_child(writer); }
static void test_viewer(void) { in_child(viewer); }
static void test_reader(void) { in_child(reader); }
static void test_capabilities(void) { in_child(capabilities); }
static void test_no_capability(void) { in_child(no_capability); }
static void test_not_prepared(void) { in_child(not_prepared); }
static void test_not_dumpable(void) { in_child(not_dumpable); }
static void test_agent(void) { in_child(agent); }

static void test_without_memory(void)
{
	/* Without a filter there may be a sanitizer, which ends where malloc(3) fails. */
	if (filter_expected())
		in_child(without_memory);
}

static const struct suite_test tests[] = {
	{ "processes are out of reach", test_processes },
	{ "files and sockets are out of reach", test_files },
	{ "no new code, no new rights", test_memory },
	{ "what it needs is left", test_allowed },
	{ "the writer", test_writer },
	{ "who shows what happens", test_viewer },
	{ "who reads a trace", test_reader },
	{ "capabilities", test_capabilities },
	{ "no capability", test_no_capability },
	{ "without memory", test_without_memory },
	{ "not prepared", test_not_prepared },
	{ "not dumpable", test_not_dumpable },
	{ "the agent", test_agent },
	{ "probe", test_probe },
};

SUITE_MAIN("sandbox", tests)
