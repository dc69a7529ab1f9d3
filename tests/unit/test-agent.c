/* SPDX-License-Identifier: MIT */
/*
 * Agent: what it answers, and the same of the monitor's side; who is kin.  Loans are
 * tested live, messages in test-agent-wire.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent-request.h"
#include "suite.h"
#include "watch/agent.h"
#include "watch/guard.h"
#include "watch/kin.h"

#define NOBODY 65534
#define WAIT_MS 5000

static void test_kin(void)
{
	struct procwatch_event fork = { .kind = PROCWATCH_FORK, .tgid = 10, .child_tgid = 11 };
	struct procwatch_event other = { .kind = PROCWATCH_FORK, .tgid = 20, .child_tgid = 21 };
	struct procwatch_event end = { .kind = PROCWATCH_EXIT, .tgid = 10 };
	struct procwatch_event thread = { .kind = PROCWATCH_THREAD, .tgid = 11, .child_tgid = 12 };
	struct kin *k;

	CU_ASSERT_EQUAL_FATAL(kin_new(&k), 0);
	kin_add(k, 10);
	kin_add(k, 0);
	kin_add(k, -5);
	kin_add(k, 1 << 30);
	CU_ASSERT(!kin_has(k, 0) && !kin_has(k, -5) && !kin_has(k, 1 << 30));
	kin_follow(k, &fork, false);
	kin_follow(k, &other, false);
	kin_follow(k, &thread, false);
	CU_ASSERT(kin_has(k, 10) && kin_has(k, 11) && !kin_has(k, 12) && !kin_has(k, 21));
	kin_follow(k, &end, true);
	CU_ASSERT(kin_has(k, 10));
	kin_follow(k, &end, false);
	CU_ASSERT(!kin_has(k, 10) && kin_has(k, 11));
	/* init descends from nobody, and is looked up all the same */
	CU_ASSERT(!kin_find(k, 1));
	CU_ASSERT(!kin_find(k, getpid()));
	kin_add(k, getppid());
	CU_ASSERT(kin_find(k, getpid()) && kin_has(k, getpid()));
	kin_free(k);
}

/* Ended by itself within the time, and not by a signal. */
static bool has_ended(pid_t pid, int *ret_status)
{
	for (int i = 0; i < WAIT_MS; i++) {
		if (waitpid(pid, ret_status, WNOHANG) == pid)
			return WIFEXITED(*ret_status);
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, ret_status, 0);
	return false;
}

static void test_ends_with_the_monitor(void)
{
	struct agent *a;
	pid_t self = getpid(), pid;
	int status, pair[2];

	CU_ASSERT_EQUAL_FATAL(agent_new(&a, &self, 1, NULL), 0);
	CU_ASSERT_EQUAL(agent_free(a), NULL);
	/* And when the other end just goes, as with a killed one. */
	CU_ASSERT_FATAL(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	pid = fork();
	if (!pid)
		agent_main(pair[1], &self, 1, NULL);
	close(pair[1]);
	close(pair[0]);
	CU_ASSERT(has_ended(pid, &status) && !WEXITSTATUS(status));
}

/* Whatever is no request ends it, and nothing was done. */
static void hostile(const void *bytes, size_t len, unsigned int nfds)
{
	int pair[2], status, fds[AGENT_FDS_MAX] = { 0, 0, 0, 0, 0 };
	pid_t self = getpid(), pid;

	CU_ASSERT_FATAL(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	pid = fork();
	if (!pid)
		agent_main(pair[1], &self, 1, NULL);
	close(pair[1]);
	CU_ASSERT_EQUAL(agent_send(pair[0], bytes, len, fds, nfds, 0), 0);
	CU_ASSERT(has_ended(pid, &status) && WEXITSTATUS(status) == 1);
	close(pair[0]);
}

static void test_hostile(void)
{
	struct agent_request q = good(AGENT_OPEN);
	char large[9000];

	memset(large, 'x', sizeof(large));
	hostile(large, sizeof(large), 0);
	hostile(large, 1, 0);
	hostile(large, sizeof(q), 0);
	hostile(&q, sizeof(q), 1);
	hostile(&q, sizeof(q), AGENT_FDS_MAX);
	hostile(&q, sizeof(q) - 1, 0);
	q.op = AGENT_OP_NR;
	hostile(&q, sizeof(q), 0);
}

static pid_t start_sleeper(void)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	return pid;
}

/* Straight to the agent: as it is when the monitor has no right of its own. */
static int64_t asked(int sock, struct agent_request q, struct agent_reply *p)
{
	int fds[AGENT_FDS_MAX];
	struct pollfd in = { .fd = sock, .events = POLLIN };
	unsigned int n;
	int64_t r;

	CU_ASSERT_EQUAL_FATAL(agent_send(sock, &q, sizeof(q), NULL, 0, 0), 0);
	CU_ASSERT_EQUAL_FATAL(poll(&in, 1, WAIT_MS), 1);
	r = agent_receive(sock, p, sizeof(*p), fds, &n, MSG_DONTWAIT);
	CU_ASSERT(agent_reply_valid(p, (size_t)r, n, &q));
	for (unsigned int i = 0; i < n && n <= AGENT_FDS_MAX; i++)
		close(fds[i]);
	return p->result;
}

static void test_answers(void)
{
	struct agent_request q = good(AGENT_OPEN);
	pid_t target = start_sleeper(), stranger = start_sleeper(), pid;
	struct agent_reply p;
	int pair[2], status;

	CU_ASSERT_FATAL(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	pid = fork();
	if (!pid)
		agent_main(pair[1], &target, 1, NULL);
	close(pair[1]);
	q.pid = target;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), 0);
	CU_ASSERT_EQUAL(p.fds & DOOR, DOOR);
	CU_ASSERT_EQUAL(p.plain, 1);
	q.op = AGENT_ABOUT;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), 0);
	CU_ASSERT_EQUAL(p.about.ppid, getpid());
	CU_ASSERT(p.about.exe_len > 0);
	q = good(AGENT_FILESYSTEM);
	q.pid = target;
	CU_ASSERT(asked(pair[0], q, &p) < 0);	/* no such mapping */
	q = good(AGENT_SHARES);
	q.pid = target;
	q.lo = (uint64_t)target;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), 0);
	CU_ASSERT_EQUAL(p.shares.same, 1);
	q.lo = (uint64_t)stranger;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), -ESRCH);
	q = good(AGENT_OPEN);
	q.pid = stranger;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), -EACCES);
	q.op = AGENT_BORROW;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), -EACCES);
	CU_ASSERT_STRING_EQUAL(p.borrow.failure.text, "it is not known to descend from a target");
	q.pid = 1;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), -EACCES);
	q = good(AGENT_PERF);
	q.pid = stranger;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), -EACCES);
	kill(target, SIGKILL);
	waitpid(target, NULL, 0);
	q = good(AGENT_OPEN);
	q.pid = target;
	CU_ASSERT_EQUAL(asked(pair[0], q, &p), -ESRCH);
	close(pair[0]);
	CU_ASSERT(has_ended(pid, &status) && !WEXITSTATUS(status));
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
}

/* A watchdog is started for the monitor alone, on a page that is as large as it says. */
static int64_t guarded(int sock, pid_t pid, pid_t monitor, uint64_t size, unsigned int slots)
{
	struct agent_request q = good(AGENT_GUARD);
	int page = memfd_create("page", MFD_CLOEXEC), fds[AGENT_FDS_MAX];
	struct guard_page head = { .monitor = monitor, .limit_ns = 1000000000, .nslots = slots };
	struct pollfd in = { .fd = sock, .events = POLLIN };
	struct agent_reply p;
	unsigned int n;
	int64_t r;

	CU_ASSERT_FATAL(page >= 0 && !ftruncate(page, (off_t)size));
	CU_ASSERT(size < sizeof(head) || pwrite(page, &head, sizeof(head), 0) == sizeof(head));
	q.pid = pid;
	CU_ASSERT_EQUAL_FATAL(agent_send(sock, &q, sizeof(q), &page, 1, 0), 0);
	close(page);
	CU_ASSERT_EQUAL_FATAL(poll(&in, 1, WAIT_MS), 1);
	r = agent_receive(sock, &p, sizeof(p), fds, &n, MSG_DONTWAIT);
	CU_ASSERT(agent_reply_valid(&p, (size_t)r, n, &q));
	if (!p.result) {
		kill(p.guard.pid, SIGKILL);
		in.fd = fds[0];
		CU_ASSERT_EQUAL(poll(&in, 1, WAIT_MS), 1);
		close(fds[0]);
	}
	return p.result;
}

static void test_guard(void)
{
	const size_t room = sizeof(struct guard_page) + 4 * sizeof(struct guard_slot);
	pid_t self = getpid(), pid;
	int pair[2], status;
	int64_t r = -EBUSY;

	CU_ASSERT_FATAL(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	pid = fork();
	if (!pid)
		agent_main(pair[1], &self, 1, NULL);
	close(pair[1]);
	CU_ASSERT_EQUAL(guarded(pair[0], self, self, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(guarded(pair[0], self, self, 8, 0), -EINVAL);
	CU_ASSERT_EQUAL(guarded(pair[0], self, self, room, 5), -EINVAL);
	CU_ASSERT_EQUAL(guarded(pair[0], self, 1, room, 4), -EINVAL);
	CU_ASSERT_EQUAL(guarded(pair[0], getppid(), self, room, 4), -EINVAL);
	CU_ASSERT_EQUAL(guarded(pair[0], self, self, room, 4), 0);
	/* Once that one is reaped there may be another. */
	for (int i = 0; i < WAIT_MS && r == -EBUSY; i++) {
		usleep(1000);
		r = guarded(pair[0], self, self, room, 4);
	}
	CU_ASSERT_EQUAL(r, 0);
	close(pair[0]);
	CU_ASSERT(has_ended(pid, &status) && !WEXITSTATUS(status));
}

static void test_agent_dies(void)
{
	struct pagetap_failure f = { 0 };
	struct agent_loan l;
	struct procinfo who;
	struct agent *a;
	struct door d;
	pid_t self = getpid();
	uint32_t id = 0;

	CU_ASSERT_EQUAL_FATAL(agent_new(&a, &self, 1, NULL), 0);
	kill(agent_pid(a), SIGSTOP);
	CU_ASSERT_EQUAL(agent_borrow(a, self, false, 0, &id), 0);
	CU_ASSERT(!agent_finished(a, id));
	kill(agent_pid(a), SIGKILL);
	for (int i = 0; i < WAIT_MS && !agent_read(a); i++)
		usleep(1000);
	CU_ASSERT(agent_finished(a, id));
	CU_ASSERT_EQUAL(agent_fd(a), -1);
	CU_ASSERT_EQUAL(agent_finish(a, id, &l, &f), -EPIPE);
	CU_ASSERT_STRING_EQUAL(f.text, "the agent process has gone");
	CU_ASSERT_EQUAL(agent_borrow(a, self, false, 0, &id), -EPIPE);
	/* By our own right all the same. */
	CU_ASSERT_EQUAL(agent_about(a, self, &who), 0);
	CU_ASSERT_EQUAL_FATAL(agent_open(a, self, &d), 0);
	CU_ASSERT(d.plain && d.maps >= 0 && d.pidfd >= 0);
	door_close(&d);
	agent_free(a);
}

/*
 * The agent cannot tell, of one that has been waited for since or is none of its own; and who has
 * no right reads an exit code of 0, whatever it was.
 */
static void test_exit_code(void)
{
	struct procinfo who = { .exit_code = 0 };
	pid_t target = start_sleeper(), zombie, reader;
	struct agent *a;
	siginfo_t info;
	int status;

	CU_ASSERT_EQUAL_FATAL(agent_new(&a, &target, 1, NULL), 0);
	zombie = fork();
	if (!zombie)
		_exit(150);
	CU_ASSERT_EQUAL_FATAL(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
	reader = fork();
	if (!reader) {
		/* Where we are root, to whom nothing is denied. */
		if (!geteuid() && (setresgid(NOBODY, NOBODY, NOBODY) ||
				   setresuid(NOBODY, NOBODY, NOBODY)))
			_exit(2);
		_exit(agent_about(a, zombie, &who) || who.state != 'Z' || who.exit_code >= 0);
	}
	CU_ASSERT_EQUAL(waitpid(reader, &status, 0), reader);
	CU_ASSERT_EQUAL(status, 0);
	waitpid(zombie, NULL, 0);
	agent_free(a);
	kill(target, SIGKILL);
	waitpid(target, NULL, 0);
}

static const struct suite_test tests[] = {
	{ "kin", test_kin },
	{ "ends with the monitor", test_ends_with_the_monitor },
	{ "hostile messages", test_hostile },
	{ "answers, and for whom", test_answers },
	{ "a watchdog", test_guard },
	{ "the agent dies", test_agent_dies },
	{ "an exit code that nobody may read", test_exit_code },
};

SUITE_MAIN("agent", tests)
