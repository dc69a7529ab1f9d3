/* SPDX-License-Identifier: MIT */
/*
 * Agent, the process: three things to wait for, seven to do.
 *
 * Nothing is done for a process that does not descend from a target, whoever asks: a
 * monitor that has been taken over reaches no more than it reached before.  No seccomp
 * filter: the kernel lets nobody suspend a tracee's who has one (PTRACE_O_SUSPEND_SECCOMP,
 * ptrace_setoptions() in kernel/ptrace.c), and an injector is a child of this process.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "compat/sys.h"
#include "watch/agent.h"
#include "watch/agent-wire.h"
#include "watch/guard.h"
#include "watch/kin.h"
#include "watch/perf-points.h"
#include "watch/uffd.h"

/* An injection under way. */
struct job {
	struct agent_request asked;
	struct pagetap_borrowing *borrowing;	/* NULL: free */
};

struct serving {
	int sock;
	struct kin *kin;
	struct procwatch *procwatch;	/* NULL: none here */
	int monitor;			/* its pidfd */
	pid_t monitor_pid;
	pid_t guard;			/* the last one started here; 0 none */
	int guard_pidfd;
	struct job jobs[AGENT_LOANS];
};

/* 0..2 lead nowhere: the reader of the monitor's output shall see its end. */
static int keep_only(int sock)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	sock = fcntl(sock, F_DUPFD_CLOEXEC, 4);
	if (sock < 0 || dup2(sock, 3) < 0)
		_exit(1);
	for (int i = 0; i < 3; i++)
		if (null < 0 || dup2(null, i) < 0)
			close(i);
	if (close_range(4, ~0u, 0) < 0)
		for (int i = 4; i < 1 << 16; i++)
			close(i);
	return 3;
}

static bool group_lives(pid_t pid)
{
	_close_ int pidfd = sys_pidfd_open(pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&p, 1, 0) == 0;
}

static void on_event(void *arg, const struct procwatch_event *ev)
{
	struct kin *k = arg;

	kin_follow(k, ev, ev->kind == PROCWATCH_EXIT && kin_has(k, ev->tgid) &&
			  group_lives(ev->tgid));
}

/*
 * What was lost is not known, and not guessed: a descendant whose fork was lost and
 * whose parents have gone is refused.
 */
static void hear(struct serving *s)
{
	if (s->procwatch)
		procwatch_read(s->procwatch, on_event, s->kin);
}

static void put_door(struct agent_reply *p, const struct door *d, int *fds, unsigned int *n)
{
	p->fds |= AGENT_HAS_PIDFD | AGENT_HAS_PROCFD | AGENT_HAS_MAPS;
	p->plain = d->plain;
	fds[(*n)++] = d->pidfd;
	fds[(*n)++] = d->procfd;
	fds[(*n)++] = d->maps;
	if (d->pagemap >= 0) {
		p->fds |= AGENT_HAS_PAGEMAP;
		fds[(*n)++] = d->pagemap;
	}
	if (d->mem >= 0) {
		p->fds |= AGENT_HAS_MEM;
		fds[(*n)++] = d->mem;
	}
}

static void reply(struct serving *s, struct agent_reply *p, const struct agent_request *q,
		  const int *fds, unsigned int n)
{
	p->magic = AGENT_MAGIC;
	p->op = q->op;
	p->id = q->id;
	if (agent_send(s->sock, p, sizeof(*p), fds, n, 0) < 0)
		_exit(0);		/* the monitor has gone */
}

static void refuse(struct serving *s, const struct agent_request *q, int error, const char *why)
{
	struct agent_reply p = { .result = error };
	struct pagetap_failure *f = &p.borrow.failure;

	if (q->op == AGENT_BORROW) {
		f->error = -error;
		snprintf(f->text, sizeof(f->text), "%s", why);
	}
	reply(s, &p, q, NULL, 0);
}

static void do_open(struct serving *s, const struct agent_request *q)
{
	struct agent_reply p = { 0 };
	struct door d = DOOR_NULL;
	int fds[AGENT_FDS_MAX];
	unsigned int n = 0;

	p.result = door_open(&d, q->pid, -1);
	if (!p.result)
		put_door(&p, &d, fds, &n);
	reply(s, &p, q, fds, n);
	door_close(&d);
}

static void do_about(struct serving *s, const struct agent_request *q)
{
	struct agent_reply p = { 0 };

	p.result = procinfo_of(q->pid, &p.about);
	reply(s, &p, q, NULL, 0);
}

static void do_filesystem(struct serving *s, const struct agent_request *q)
{
	struct range r = { q->lo, q->hi };
	struct agent_reply p = { 0 };
	_close_ int procfd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", q->pid);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	p.result = procfd < 0 ? -ESRCH :
		   filesystem_at(procfd, r, &p.filesystem);
	reply(s, &p, q, NULL, 0);
}

static void do_shares(struct serving *s, const struct agent_request *q)
{
	struct agent_reply p = { 0 };
	int r = kin_find(s->kin, (pid_t)q->lo) ? sys_kcmp_vm(q->pid, (pid_t)q->lo) : -ESRCH;

	p.result = r < 0 ? r : 0;
	p.shares.same = r > 0;
	reply(s, &p, q, NULL, 0);
}

/* The thread's group was found to be kin. */
static void do_perf(struct serving *s, const struct agent_request *q)
{
	struct perf_event_attr attr = q->attr;
	struct agent_reply p = { 0 };
	int fd = perf_event_for(&attr, q->pid, q->cpu);

	p.result = fd < 0 ? fd : 0;
	p.fds = fd < 0 ? 0 : AGENT_HAS_EVENT;
	reply(s, &p, q, &fd, fd >= 0);
	close_fd(&fd);
}

/* A page that is as large as it says, and of our monitor; it stays mapped, some KiB. */
static struct guard_page *map_page(struct serving *s, int fd)
{
	struct guard_page *page;
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(*page))
		return NULL;
	page = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return NULL;
	if (page->monitor == s->monitor_pid &&
	    page->nslots <= ((size_t)st.st_size - sizeof(*page)) / sizeof(page->slots[0]))
		return page;
	munmap(page, (size_t)st.st_size);
	return NULL;
}

static void do_guard(struct serving *s, const struct agent_request *q, int fd)
{
	struct guard_page *page = q->pid == s->monitor_pid ? map_page(s, fd) : NULL;
	struct agent_reply p = { .result = -EINVAL };

	if (page && s->guard_pidfd < 0) {
		s->guard_pidfd = guard_spawn(page, s->monitor, NULL, &s->guard);
		p.result = s->guard_pidfd < 0 ? s->guard_pidfd : 0;
		if (p.result)
			s->guard_pidfd = -1;
	} else if (page) {
		p.result = -EBUSY;
	}
	if (!p.result) {
		p.fds = AGENT_HAS_PIDFD;
		p.guard.pid = s->guard;
	}
	reply(s, &p, q, &s->guard_pidfd, !p.result);
}

static void reap_guard(struct serving *s)
{
	close_fd(&s->guard_pidfd);
	while (waitpid(s->guard, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static void do_borrow(struct serving *s, const struct agent_request *q)
{
	struct pagetap_opts o = { .size = sizeof(o), .timeout_ms = q->timeout_ms };
	struct agent_reply p = { 0 };
	struct job *j = s->jobs;

	while (j < s->jobs + AGENT_LOANS && j->borrowing)
		j++;
	if (j == s->jobs + AGENT_LOANS) {
		refuse(s, q, -EBUSY, "too many injections at once");
		return;
	}
	j->asked = *q;
	p.result = pagetap_borrow_start(&j->borrowing, q->pid, &o, &p.borrow.failure);
	if (p.result < 0)
		reply(s, &p, q, NULL, 0);
}

static void fail(struct pagetap_failure *f, int error, const char *what)
{
	*f = (struct pagetap_failure){
		.error = -error,
		.reason = error == -ESRCH ? PAGETAP_REASON_EXITED : PAGETAP_REASON_NONE,
		.state = error == -ESRCH ? PAGETAP_TARGET_GONE : PAGETAP_TARGET_RESTORED,
	};
	snprintf(f->text, sizeof(f->text), "%s: %s", what, strerror(-error));
}

/* The handshake here: fork events are given to who has CAP_SYS_PTRACE then (userfaultfd_api()). */
static void borrowed(struct serving *s, struct job *j)
{
	struct pagetap_loan loan = { .size = sizeof(loan), .uffd = -1, .pidfd = -1 };
	struct agent_reply p = { 0 };
	struct door d = DOOR_NULL;
	int fds[AGENT_FDS_MAX];
	unsigned int n = 0;

	p.result = pagetap_borrow_finish(j->borrowing, &loan, &p.borrow.failure);
	j->borrowing = NULL;
	if (!p.result) {
		p.result = uffd_handshake(loan.uffd, j->asked.async ? UFFD_WANTED_ASYNC :
								      UFFD_WANTED,
					  &p.borrow.features);
		if (p.result < 0)
			fail(&p.borrow.failure, p.result, "userfaultfd handshake");
	}
	if (!p.result) {
		p.result = door_open(&d, j->asked.pid, steal_fd(&loan.pidfd));
		if (p.result < 0)
			fail(&p.borrow.failure, p.result, "opening it in /proc");
	}
	if (!p.result) {
		p.fds = AGENT_HAS_UFFD;
		fds[n++] = loan.uffd;
		put_door(&p, &d, fds, &n);
	}
	p.borrow.loan = loan;
	reply(s, &p, &j->asked, fds, n);
	close_fd(&loan.uffd);
	close_fd(&loan.pidfd);
	door_close(&d);
}

static void serve_request(struct serving *s)
{
	int fds[AGENT_FDS_MAX];
	struct agent_request q;
	unsigned int nfds;
	int64_t n = agent_receive(s->sock, &q, sizeof(q), fds, &nfds, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return;
	/* The monitor has gone, or is none: nothing more is done for it. */
	if (n < 0 || !agent_request_valid(&q, (size_t)n, nfds))
		_exit(n == -EPIPE ? 0 : 1);
	if (q.op == AGENT_GUARD) {
		do_guard(s, &q, fds[0]);
		close(fds[0]);
		return;
	}
	hear(s);
	if (!kin_find(s->kin, q.op == AGENT_PERF ? procinfo_tgid(q.pid) : q.pid)) {
		if (group_lives(q.pid))
			refuse(s, &q, -EACCES, "it is not known to descend from a target");
		else
			refuse(s, &q, -ESRCH, "it has exited");
		return;
	}
	switch ((enum agent_op)q.op) {
	case AGENT_BORROW:
		do_borrow(s, &q);
		break;
	case AGENT_OPEN:
		do_open(s, &q);
		break;
	case AGENT_ABOUT:
		do_about(s, &q);
		break;
	case AGENT_FILESYSTEM:
		do_filesystem(s, &q);
		break;
	case AGENT_SHARES:
		do_shares(s, &q);
		break;
	case AGENT_PERF:
		do_perf(s, &q);
		break;
	case AGENT_GUARD:
	case AGENT_OP_NR:
		break;
	}
}

static void turn(struct serving *s)
{
	struct pollfd p[3 + AGENT_LOANS] = {
		{ .fd = s->sock, .events = POLLIN },
		{ .fd = s->procwatch ? procwatch_fd(s->procwatch) : -1, .events = POLLIN },
		{ .fd = s->guard_pidfd, .events = POLLIN },
	};

	for (int i = 0; i < AGENT_LOANS; i++) {
		p[3 + i].fd = s->jobs[i].borrowing ? pagetap_borrow_fd(s->jobs[i].borrowing) : -1;
		p[3 + i].events = POLLIN;
	}
	if (poll(p, 3 + AGENT_LOANS, -1) < 0)
		return;
	if (p[1].revents)
		hear(s);
	if (p[2].revents)
		reap_guard(s);
	for (int i = 0; i < AGENT_LOANS; i++)
		if (p[3 + i].revents)
			borrowed(s, &s->jobs[i]);
	if (p[0].revents)
		serve_request(s);
}

_Noreturn void agent_main(int sock, const pid_t *targets, unsigned int n, void (*settle)(void))
{
	struct rlimit none = { 0, 0 };
	struct serving s = { .guard_pidfd = -1 };
	sigset_t all;

	prctl(PR_SET_NAME, "pagetap-agent");
	/* No key press is for us, and no signal to the monitor's group. */
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	s.sock = keep_only(sock);
	s.monitor_pid = getppid();
	s.monitor = sys_pidfd_open(s.monitor_pid, 0);
	setrlimit(RLIMIT_CORE, &none);
	if (kin_new(&s.kin) < 0)
		_exit(1);
	for (unsigned int i = 0; i < n; i++)
		kin_add(s.kin, targets[i]);
	if (procwatch_open(&s.procwatch) < 0)
		s.procwatch = NULL;
	perf_points_look();
	if (settle)
		settle();
	for (;;)
		turn(&s);
}
