/* SPDX-License-Identifier: MIT */
/*
 * Sandbox, the filters: what the threads of a running monitor, and a parser of what may be
 * anybody's, may ask of the kernel.
 *
 * Everything else fails with EPERM: a monitor that is killed loses the rest of the
 * trace, and nothing is gained by that.  Rules without a look at the arguments are
 * answered from a bitmap (seccomp_cache_check_allow(), Linux 5.11), so the calls of the
 * fault path cost next to nothing, but for ioctl(2): its requests come first.
 *
 * libseccomp allocates, and 2.5 does not survive it everywhere when there is no memory.
 * So the filters are made before anything is attached, and loaded by prctl(2) alone.
 */

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/pagemap.h"
#include "compat/procmap.h"
#include "compat/uffd.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define LEFT_OUT 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LEFT_OUT 1
#endif

/* One system call, and perhaps what one or two of its arguments must be. */
struct rule {
	int nr;
	unsigned int nargs;
	struct scmp_arg_cmp arg[2];
	uint8_t priority;		/* 0: the usual */
};

#define ANY(name) { .nr = SCMP_SYS(name) }
#define WHERE(name, ...) { .nr = SCMP_SYS(name), .nargs = 1, .arg = { __VA_ARGS__ } }
#define EQUAL(n, value) { .arg = (n), .op = SCMP_CMP_EQ, .datum_a = (value) }
/* Of the bits in mask those of value are set and no others. */
#define BITS(n, mask, value) \
	{ .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), .datum_b = (value) }

/* The number of a request is an int: what is above it is not looked at by the kernel. */
#define REQUEST(value) \
	{ .nr = SCMP_SYS(ioctl), .nargs = 1, .arg = { BITS(1, UINT32_MAX, (value)) } }
/* All requests of a kind (the byte that _IOC_TYPE() gives). */
#define REQUESTS(kind) \
	{ .nr = SCMP_SYS(ioctl), .nargs = 1, .priority = 255, \
	  .arg = { BITS(1, 0xff00, (kind) << 8) } }

/* Instructions of a filter: these have some 300; the kernel takes 4096 (BPF_MAXINSNS). */
#define CODE_MAX 1024
#define RULES_MAX 96
#define NR(rules) (sizeof(rules) / sizeof((rules)[0]))

#define FORBIDDEN_OPEN (O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))
#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define NEW_NAMESPACE \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
	 CLONE_NEWNET | CLONE_NEWCGROUP)

/* What both threads need: libc's own, and writing. */
static const struct rule common[] = {
	ANY(read), ANY(readv), ANY(write), ANY(writev), ANY(pwrite64), ANY(close), ANY(lseek),
	ANY(fstat), ANY(newfstatat), ANY(statx), ANY(ftruncate), ANY(fsync), ANY(fdatasync),
	ANY(poll), ANY(ppoll), ANY(sendto), ANY(futex), ANY(sched_yield),
	ANY(clock_gettime), ANY(gettimeofday), ANY(clock_nanosleep), ANY(nanosleep),
	ANY(rt_sigprocmask), ANY(rt_sigaction), ANY(rt_sigpending), ANY(rt_sigtimedwait),
	ANY(rt_sigreturn), ANY(sigaltstack), ANY(restart_syscall),
	ANY(brk), ANY(munmap), ANY(mremap), ANY(madvise),
	WHERE(mmap, BITS(2, PROT_EXEC, 0)), WHERE(mprotect, BITS(2, PROT_EXEC, 0)),
	ANY(getpid), ANY(gettid), ANY(getrandom), ANY(exit), ANY(exit_group),
	WHERE(fcntl, EQUAL(1, F_GETFL)), WHERE(fcntl, EQUAL(1, F_GETFD)),
	WHERE(fcntl, EQUAL(1, F_SETFD)), WHERE(fcntl, EQUAL(1, F_DUPFD_CLOEXEC)),
};

static const struct rule events[] = {
	REQUESTS(USERFAULTFD_IOC), REQUESTS('$'),	/* userfaultfd(2), perf_event_open(2) */
	REQUEST(PROCMAP_QUERY), REQUEST(PAGEMAP_SCAN), REQUEST(TCGETS), REQUEST(TIOCGWINSZ),
	ANY(epoll_wait), ANY(epoll_pwait), ANY(epoll_pwait2), ANY(epoll_ctl),
	ANY(pread64), ANY(recvmsg), ANY(recvfrom), ANY(sendmsg), ANY(getdents64),
	ANY(readlink), ANY(readlinkat), ANY(statfs), ANY(fstatfs), ANY(eventfd2), ANY(uname),
	ANY(sysinfo), ANY(sched_getaffinity), WHERE(sched_setaffinity, EQUAL(0, 0)),
	ANY(getrusage), ANY(getuid), ANY(geteuid),
	ANY(wait4), ANY(waitid),
	/* Reading, and no more: nothing is made, cut or written to. */
	WHERE(openat, BITS(2, FORBIDDEN_OPEN, O_RDONLY)),
	WHERE(open, BITS(1, FORBIDDEN_OPEN, O_RDONLY)),
	/*
	 * A pidfd is one the agent has given or from before; none can be opened.  So who
	 * can be signalled is whom we watch, our COMMAND and our helpers.
	 */
	ANY(pidfd_send_signal),
	/* The thread that waits for the writer at the end; clone3() hides its flags. */
	WHERE(clone, BITS(0, THREAD | NEW_NAMESPACE, THREAD)),
	ANY(set_robust_list), ANY(rseq),
	WHERE(prctl, EQUAL(0, PR_SET_NAME)), WHERE(prctl, EQUAL(0, PR_SET_PTRACER)),
	/* Of our own limits: no core file. */
	WHERE(prlimit64, EQUAL(0, 0)), ANY(getrlimit), ANY(setrlimit),
};

/* Of who reads a trace, or names of functions out of files. */
static const struct rule reader[] = {
	REQUEST(TCGETS), REQUEST(TIOCGWINSZ),
	ANY(pread64), ANY(readlink), ANY(readlinkat), ANY(getrusage), ANY(eventfd2),
	ANY(getuid), ANY(geteuid), ANY(uname), ANY(sysinfo),
	WHERE(openat, BITS(2, FORBIDDEN_OPEN, O_RDONLY)),
	WHERE(open, BITS(1, FORBIDDEN_OPEN, O_RDONLY)),
};

/* Of a thread that shows what happens: that, and a terminal. */
static const struct rule terminal[] = {
	REQUEST(TCSETS), REQUEST(TCSETSW), REQUEST(TCSETSF), REQUEST(TCFLSH),
	REQUEST(TIOCGPGRP), ANY(getpgrp), ANY(getpgid),
};

/* Of both ends of a page server, TLS or not: threads, and sockets that are there. */
static const struct rule network[] = {
	ANY(epoll_wait), ANY(epoll_pwait), ANY(epoll_pwait2), ANY(epoll_ctl),
	ANY(epoll_create1), ANY(eventfd2), ANY(timerfd_create), ANY(timerfd_settime),
	ANY(pread64), ANY(preadv), ANY(recvmsg), ANY(recvfrom), ANY(sendmsg),
	ANY(accept4), ANY(getsockopt), ANY(setsockopt), ANY(getpeername), ANY(getsockname),
	ANY(shutdown), ANY(sendfile),
	REQUEST(TCGETS), REQUEST(TIOCGWINSZ), REQUEST(FIONREAD),
	WHERE(clone, BITS(0, THREAD | NEW_NAMESPACE, THREAD)),
	ANY(set_robust_list), ANY(rseq), ANY(sched_getaffinity), ANY(uname), ANY(sysinfo),
	WHERE(prctl, EQUAL(0, PR_SET_NAME)), WHERE(prctl, EQUAL(0, PR_SET_TIMERSLACK)),
	WHERE(prlimit64, EQUAL(0, 0)), ANY(getrlimit), ANY(getrusage),
	ANY(getuid), ANY(geteuid),
};

static const struct rule pager[] = {
	REQUESTS(USERFAULTFD_IOC),
	/* Files of what is restored, in /proc; memory that outlives a pager. */
	WHERE(openat, BITS(2, FORBIDDEN_OPEN, O_RDONLY)),
	WHERE(open, BITS(1, FORBIDDEN_OPEN, O_RDONLY)),
	ANY(readlink), ANY(readlinkat), ANY(getdents64), ANY(memfd_create), ANY(mincore),
	ANY(pidfd_open), ANY(fallocate),
	/* Connections that were lost are made anew, to an address that is known. */
	{ .nr = SCMP_SYS(socket), .nargs = 2,
	  .arg = { EQUAL(0, AF_INET), BITS(1, 0xf, SOCK_STREAM) } },
	{ .nr = SCMP_SYS(socket), .nargs = 2,
	  .arg = { EQUAL(0, AF_INET6), BITS(1, 0xf, SOCK_STREAM) } },
	ANY(connect),
	/* The kernel asks CAP_SYS_NICE for more than we have. */
	WHERE(sched_setaffinity, EQUAL(0, 0)), WHERE(setpriority, EQUAL(0, PRIO_PROCESS)),
	WHERE(sched_setattr, EQUAL(0, 0)), WHERE(getpriority, EQUAL(0, PRIO_PROCESS)),
	WHERE(fcntl, EQUAL(1, F_SETFL)),
};

/* Memory, and to end.  Its socket is added when it is known. */
static const struct rule parser[] = {
	ANY(brk), ANY(munmap), ANY(mremap), ANY(madvise), ANY(futex), ANY(getrandom),
	{ .nr = SCMP_SYS(mmap), .nargs = 2,
	  .arg = { BITS(2, PROT_EXEC, 0), BITS(3, MAP_ANONYMOUS, MAP_ANONYMOUS) } },
	WHERE(mprotect, BITS(2, PROT_EXEC, 0)),
	ANY(restart_syscall), ANY(rt_sigreturn), ANY(exit), ANY(exit_group),
};

static int add_rule(scmp_filter_ctx ctx, const struct rule *rule)
{
	int r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rule->nr, rule->nargs, rule->arg);

	if (!r && rule->priority)
		r = seccomp_syscall_priority(ctx, rule->nr, rule->priority);
	return r;
}

static int add_rules(scmp_filter_ctx ctx, const struct rule *rules, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = add_rule(ctx, &rules[i]);
	return r;
}

/* abort(3) and raise(3) signal a thread of this process. */
static int add_own_signals(scmp_filter_ctx ctx)
{
	const struct rule self = WHERE(tgkill, EQUAL(0, (scmp_datum_t)getpid()));

	return add_rule(ctx, &self);
}

static int add_parser(scmp_filter_ctx ctx, int fd)
{
	const struct rule own[] = {
		WHERE(read, EQUAL(0, (scmp_datum_t)fd)),
		WHERE(write, EQUAL(0, (scmp_datum_t)fd)),
	};
	int r = add_rules(ctx, own, NR(own));

	return r ? r : add_rules(ctx, parser, NR(parser));
}

/* fd: that of a parser, which has less than the threads have; -1: for one of them. */
static int add_all(scmp_filter_ctx ctx, const struct rule *more, size_t n, int fd)
{
	/* Calls of another kind (i386, x32) are refused as the others are. */
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));

	if (r || fd >= 0)
		return r ? r : add_parser(ctx, fd);
	r = add_rules(ctx, more, n);
	if (!r)
		r = add_rules(ctx, common, NR(common));
	if (!r)
		r = add_own_signals(ctx);
	/* glibc makes threads by clone(2) where clone3(2) is unknown. */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

/* A filter as the kernel takes it. */
struct program {
	struct sock_filter code[CODE_MAX];
	unsigned short len;
	int error;			/* what it was not made for; 0 */
};

static struct program for_pager = { .error = -ENODATA }, for_server = { .error = -ENODATA },
		      for_reader = { .error = -ENODATA };
static struct program for_events = { .error = -ENODATA }, for_writer = { .error = -ENODATA },
		      for_parser = { .error = -ENODATA }, for_viewer = { .error = -ENODATA };

/* libseccomp gives what it has made to a file alone. */
static int read_back(int fd, struct program *ret)
{
	ssize_t n = pread(fd, ret->code, sizeof(ret->code), 0);
	struct stat st;

	if (n < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!n || st.st_size != n || n % (ssize_t)sizeof(ret->code[0]))
		return -E2BIG;
	ret->len = (unsigned short)((size_t)n / sizeof(ret->code[0]));
	return 0;
}

static int compile(const struct rule *more, size_t n, int parser_fd, struct program *ret)
{
	_close_ int fd = memfd_create("pagetap-filter", MFD_CLOEXEC);
	scmp_filter_ctx ctx;
	int r;

	if (fd < 0)
		return -errno;
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	r = add_all(ctx, more, n, parser_fd);
	if (!r)
		r = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	return r ? r : read_back(fd, ret);
}

int sandbox_filter_probe(void)
{
	/* EFAULT: filters are known, and this one would be read from address 0. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0)
		return errno == EFAULT ? 0 : -errno;
	return 0;
}

/* An instrumented program needs calls of its own. */
#ifdef LEFT_OUT
static const bool left_out = true;
#else
static const bool left_out = false;
#endif

static void make(const struct rule *more, size_t n, struct program *p)
{
	p->error = left_out ? -EOPNOTSUPP : compile(more, n, -1, p);
}

#define MAKE_OF_TWO(a, b, p)                                                     \
	do {                                                                     \
		_Static_assert(NR(a) + NR(b) <= RULES_MAX, "room");              \
		make_of_two(a, NR(a), b, NR(b), p);                              \
	} while (0)

static void make_of_two(const struct rule *a, size_t na, const struct rule *b, size_t nb,
			struct program *p)
{
	struct rule all[RULES_MAX];

	memcpy(all, a, na * sizeof(*a));
	memcpy(all + na, b, nb * sizeof(*b));
	make(all, na + nb, p);
}

void sandbox_filter_make(void)
{
	make(events, NR(events), &for_events);
	make(NULL, 0, &for_writer);
	MAKE_OF_TWO(reader, terminal, &for_viewer);
}

/* The kernel wants PR_SET_NO_NEW_PRIVS before it, of who has not CAP_SYS_ADMIN. */
static int load(struct program *p)
{
	struct sock_fprog prog = { .len = p->len, .filter = p->code };

	if (p->error)
		return p->error;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0 ? -errno : 0;
}

int sandbox_filter_events(void)
{
	return load(&for_events);
}

int sandbox_filter_writer(void)
{
	return load(&for_writer);
}

int sandbox_filter_viewer(void)
{
	return load(&for_viewer);
}

int sandbox_filter_make_parser(int fd)
{
	for_parser.error = left_out ? -EOPNOTSUPP : compile(NULL, 0, fd, &for_parser);
	return for_parser.error;
}

int sandbox_filter_parser(void)
{
	return load(&for_parser);
}

int sandbox_filter_pager(void)
{
	MAKE_OF_TWO(network, pager, &for_pager);
	return load(&for_pager);
}

int sandbox_filter_server(void)
{
	make(network, NR(network), &for_server);
	return load(&for_server);
}

int sandbox_filter_reader(void)
{
	make(reader, NR(reader), &for_reader);
	return load(&for_reader);
}
