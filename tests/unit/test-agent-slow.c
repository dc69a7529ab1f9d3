/* SPDX-License-Identifier: MIT */
/* Agent: one that does not come to run, and a monitor that does not wait for it. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "caps.h"
#include "suite.h"
#include "watch/agent.h"

#define WAIT_MS 5000

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int i = 0; i < 256; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

/* In a process that gives up its rights. */
#define WANT(condition)                          \
	do {                                     \
		if (!(condition))                \
			_exit(__LINE__ & 0xff);  \
	} while (0)

static int open_in_time(struct agent *a, pid_t pid, struct door *ret)
{
	int r = -EAGAIN;

	for (int i = 0; i < WAIT_MS && r == -EAGAIN; i++) {
		r = agent_open(a, pid, ret);
		usleep(1000);
	}
	return r;
}

/* It is not waited for, what comes late is kept for who asks again, and not for ever. */
static void slow_agent(pid_t target)
{
	struct pollfd in = { .events = POLLIN };
	struct agent *a;
	struct door d;
	unsigned int n;

	alarm(60);
	WANT(!agent_new(&a, &target, 1, NULL));
	WANT(!caps_keep(0));
	in.fd = agent_fd(a);
	WANT(!open_in_time(a, target, &d) && d.pid == target);
	door_close(&d);
	n = open_fds();
	kill(agent_pid(a), SIGSTOP);
	for (int i = 0; i < 100; i++)
		WANT(agent_open(a, target, &d) == -EAGAIN);
	kill(agent_pid(a), SIGCONT);
	/* One question, one answer. */
	WANT(poll(&in, 1, WAIT_MS) == 1 && !agent_read(a) && poll(&in, 1, 100) == 0);
	WANT(open_fds() > n);
	WANT(!agent_open(a, target, &d) && d.pid == target && d.maps >= 0);
	door_close(&d);
	WANT(open_fds() == n);
	kill(agent_pid(a), SIGSTOP);
	WANT(agent_open(a, target, &d) == -EAGAIN);
	kill(agent_pid(a), SIGCONT);
	WANT(poll(&in, 1, WAIT_MS) == 1 && !agent_read(a) && open_fds() > n);
	agent_expire(a, clock_now() + 10 * NSEC_PER_SEC);
	WANT(open_fds() == n);
	kill(agent_pid(a), SIGSTOP);
	WANT(agent_open(a, target, &d) == -EAGAIN);
	kill(agent_pid(a), SIGKILL);
	WANT(open_in_time(a, target, &d) == -EPIPE);
	agent_free(a);
}

static void test_slow(void)
{
	pid_t target = fork(), pid;
	int status = 0;

	if (!target) {
		pause();
		_exit(0);
	}
	/* Of a plain user's own process the monitor has the right itself. */
	if (caps_hold(CAPS_SYS_PTRACE)) {
		pid = fork();
		if (!pid) {
			slow_agent(target);
			_exit(0);
		}
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT(WIFEXITED(status));
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	}
	kill(target, SIGKILL);
	waitpid(target, NULL, 0);
}

static const struct suite_test tests[] = {
	{ "doors that come late", test_slow },
};

SUITE_MAIN("agent-slow", tests)
