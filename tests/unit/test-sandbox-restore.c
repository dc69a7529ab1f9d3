/* SPDX-License-Identifier: MIT */
/* Sandbox of a restore: what a pager and a page server can do no more, and what they must. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "caps.h"
#include "compat/sched.h"
#include "compat/uffd.h"
#include "sandbox-child.h"

static void confine(void (*set)(void))
{
	set();
	/* With one even this is not allowed. */
	if (!prctl(PR_GET_SECCOMP, 0, 0, 0, 0))
		_exit(NO_FILTER);
	WANT(errno == EPERM);
}

static void pager(void)
{
	sandbox_pager(false, false);
}

static void server(void)
{
	sandbox_server(false);
}

static void no_processes(void)
{
	pid_t parent = getppid();
	char *argv[] = { (char *)(uintptr_t)"true", NULL };
	struct iovec io = { argv, 8 };

	DENIED(syscall(SYS_fork));
	DENIED(fork());
	DENIED(execv("/bin/true", argv));
	DENIED(ptrace(PTRACE_SEIZE, parent, 0, 0));
	DENIED(process_vm_readv(parent, &io, 1, &io, 1, 0));
	DENIED(process_vm_writev(parent, &io, 1, &io, 1, 0));
	DENIED(kill(parent, 0));
	DENIED(kill(0, 0));
	DENIED(syscall(SYS_tgkill, parent, parent, 0));
	DENIED(syscall(SYS_pidfd_getfd, 0, 0, 0));
	DENIED(syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0));
	DENIED(syscall(SYS_userfaultfd, 0));
	DENIED(unshare(CLONE_NEWUSER));
	DENIED(setns(0, 0));
	DENIED(syscall(SYS_prlimit64, parent, RLIMIT_CORE, NULL, NULL));
	DENIED(syscall(SYS_capset, NULL, NULL));
	DENIED(setuid(getuid()));
	DENIED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	DENIED(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0));
	WANT(raise(0) == 0);
}

static void no_files(void)
{
	DENIED(open("/dev/null", O_WRONLY));
	DENIED(open("/dev/null", O_RDWR));
	DENIED(open("/tmp/pagetap-test-sandbox", O_RDONLY | O_CREAT, 0600));
	DENIED(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	DENIED(unlink("/tmp/pagetap-test-sandbox"));
	DENIED(unlinkat(AT_FDCWD, "/tmp/pagetap-test-sandbox", 0));
	DENIED(rename("/tmp/a-pagetap", "/tmp/b-pagetap"));
	DENIED(mkdir("/tmp/pagetap-test-sandbox", 0700));
	DENIED(chmod("/dev/null", 0666));
	DENIED(syscall(SYS_mount, NULL, "/", NULL, 0, NULL));
	DENIED(syscall(SYS_io_uring_setup, 1, NULL));
	DENIED(syscall(SYS_bpf, 0, NULL, 0));
	DENIED(fcntl(0, F_SETOWN, getpid()));
	DENIED(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, ""));
}

static void no_network(void)
{
	DENIED(socket(AF_UNIX, SOCK_STREAM, 0));
	DENIED(socket(AF_INET, SOCK_DGRAM, 0));
	DENIED(socket(AF_INET, SOCK_RAW, 0));
	DENIED(socket(AF_INET6, SOCK_DGRAM, 0));
	DENIED(socket(AF_NETLINK, SOCK_RAW, 0));
	DENIED(socket(AF_PACKET, SOCK_STREAM, 0));
	DENIED(syscall(SYS_bind, 0, NULL, 0));
	DENIED(syscall(SYS_listen, 0, 1));
}

static void not_pager(void)
{
	confine(pager);
	no_processes();
	no_files();
	no_network();
}

static void not_server(void)
{
	confine(server);
	no_processes();
	no_files();
	no_network();
	DENIED(open("/dev/null", O_RDONLY));
	DENIED(socket(AF_INET, SOCK_STREAM, 0));
	DENIED(syscall(SYS_connect, 0, NULL, 0));
	DENIED(syscall(SYS_memfd_create, "x", 0));
	DENIED(syscall(SYS_ioctl, 0, UFFDIO_API, NULL));
	DENIED(setpriority(PRIO_PROCESS, 0, 0));
	DENIED(syscall(SYS_sched_setattr, getppid(), NULL, 0));
}

static int listen_here(struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET };
	ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	WANT(!bind(fd, (struct sockaddr *)ret, sizeof(*ret)) && !listen(fd, 3));
	WANT(!getsockname(fd, (struct sockaddr *)ret, &len));
	return fd;
}

static void *run(void *arg)
{
	WANT(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EPERM);
	WANT(!caps_hold(CAPS_SYS_PTRACE) && !caps_hold(CAPS_DAC_OVERRIDE));
	return arg;
}

static void a_thread(void)
{
	pthread_t thread;
	void *r = NULL;
	char arg;

	WANT(!pthread_create(&thread, NULL, run, &arg));
	WANT(!pthread_join(thread, &r) && r == &arg);
}

static void can_pager(void)
{
	struct sockaddr_in to;
	int on = 1, fd, listener = listen_here(&to);
	struct sched_request slice = { .size = sizeof(slice), .runtime = SLICE_MAX_NS };
	cpu_set_t cpus;
	char byte;

	WANT(!sched_getaffinity(0, sizeof(cpus), &cpus));
	confine(pager);
	a_thread();
	WANT(!sched_setaffinity(0, sizeof(cpus), &cpus));
	WANT(!setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0)));
	WANT(!sys_sched_request(&slice));
	WANT(epoll_create1(0) >= 0 && eventfd(0, 0) >= 0);
	WANT(timerfd_create(CLOCK_MONOTONIC, 0) >= 0 && memfd_create("x", 0) >= 0);
	fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	WANT(fd >= 0 && read(fd, &byte, 1) == 1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	WANT(fd >= 0 && (!connect(fd, (struct sockaddr *)&to, sizeof(to)) || errno == EINPROGRESS));
	WANT(!setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	WANT(accept4(listener, NULL, NULL, SOCK_CLOEXEC) >= 0);
	/* The kernel answers, not the filter. */
	WANT(ioctl(0, UFFDIO_API, NULL) < 0 && errno != EPERM);
}

static void can_server(void)
{
	struct sockaddr_in to;
	int listener = listen_here(&to), client, fd, file = open("/proc/self/exe", O_RDONLY);
	char bytes[16];

	client = socket(AF_INET, SOCK_STREAM, 0);
	WANT(!connect(client, (struct sockaddr *)&to, sizeof(to)));
	confine(server);
	a_thread();
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	WANT(fd >= 0 && sendfile(fd, file, NULL, sizeof(bytes)) == sizeof(bytes));
	WANT(recv(client, bytes, sizeof(bytes), MSG_WAITALL) == sizeof(bytes));
	WANT(pread(file, bytes, sizeof(bytes), 0) == sizeof(bytes));
	WANT(!shutdown(fd, SHUT_RDWR));
}

/* A library with threads of its own has no filter, and nothing else less. */
static void without_filter(void)
{
	sandbox_pager(false, true);
	WANT(!prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
	WANT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	for (int i = 0; i < CAPS_NR; i++)
		WANT(!caps_hold((enum caps_wanted)i));
}

/* With a trace it looks its processes up, if it could before. */
static void that_looks(void)
{
	bool had = caps_hold(CAPS_SYS_PTRACE);

	sandbox_pager(true, true);
	WANT(caps_hold(CAPS_SYS_PTRACE) == had);
	for (int i = 0; i < CAPS_NR; i++)
		WANT(i == CAPS_SYS_PTRACE || !caps_hold((enum caps_wanted)i));
}

static void test_not_pager(void) { in_child(not_pager); }
static void test_not_server(void) { in_child(not_server); }
static void test_can_pager(void) { in_child(can_pager); }
static void test_can_server(void) { in_child(can_server); }
static void test_without_filter(void) { in_child(without_filter); }
static void test_that_looks(void) { in_child(that_looks); }

static const struct suite_test tests[] = {
	{ "a pager may not", test_not_pager },
	{ "a page server may not", test_not_server },
	{ "a pager may", test_can_pager },
	{ "a page server may", test_can_server },
	{ "no filter for a library with threads", test_without_filter },
	{ "a pager with a trace", test_that_looks },
};

SUITE_MAIN("sandbox-restore", tests)
