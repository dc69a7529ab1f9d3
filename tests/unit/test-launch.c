/* SPDX-License-Identifier: MIT */
/* Launch and holder: a COMMAND from fork to its status, and who reads our output. */

#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "exit.h"
#include "holder.h"
#include "suite.h"

static sigset_t mask;

static int start(struct launch *l, const char *const *words)
{
	int r;

	*l = (struct launch)LAUNCH_NULL;
	r = launch_fork(l, (char *const *)(uintptr_t)words, &mask);
	return r < 0 ? r : launch_exec(l);
}

#define START(l, ...) start(l, (const char *const[]){ __VA_ARGS__, NULL })

static void test_find(void)
{
	char dir[] = "/tmp/test-launch-XXXXXX", path[64], env[128];

	CU_ASSERT_EQUAL(launch_find("sh"), 0);
	CU_ASSERT_EQUAL(launch_find("/bin/sh"), 0);
	CU_ASSERT_EQUAL(launch_find("no-such-command-at-all"), -ENOENT);
	CU_ASSERT_EQUAL(launch_find("/no/such/command"), -ENOENT);
	CU_ASSERT_EQUAL(launch_find(""), -ENOENT);
	CU_ASSERT_EQUAL(launch_find("/etc/passwd"), -EACCES);
	CU_ASSERT_EQUAL(launch_find("/etc"), -EACCES);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/tool", dir);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	snprintf(env, sizeof(env), "/nonexistent:%s", dir);
	setenv("PATH", env, 1);
	CU_ASSERT_EQUAL(launch_find("tool"), -EACCES);
	chmod(path, 0755);
	CU_ASSERT_EQUAL(launch_find("tool"), 0);
	unlink(path);
	rmdir(dir);
	setenv("PATH", "/usr/bin:/bin", 1);
}

static char state_of(pid_t pid)
{
	char path[64], line[256];
	const char *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	end = strrchr(line, ')');
	return end ? end[2] : '?';
}

/* It is the program, it is stopped, and it goes on when told. */
static void test_held(void)
{
	struct launch l;
	char path[64], exe[128];
	ssize_t n;

	CU_ASSERT_EQUAL_FATAL(START(&l, "sh", "-c", "exit 7"), 0);
	CU_ASSERT_EQUAL(state_of(l.pid), 'T');
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)l.pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(exe, "sh"));
	CU_ASSERT_FALSE(launch_ended(&l));
	launch_go(&l);
	CU_ASSERT_EQUAL(launch_wait(&l, -1), 0);
	CU_ASSERT_TRUE(WIFEXITED(l.status));
	CU_ASSERT_EQUAL(launch_finish_like(l.status), 7);
	CU_ASSERT_TRUE(launch_ended(&l));
	launch_end(&l);
}

static void test_exec_fails(void)
{
	struct launch l;

	CU_ASSERT_EQUAL(START(&l, "/no/such/command"), -ENOENT);
	CU_ASSERT_TRUE(l.reaped);
	launch_end(&l);
	CU_ASSERT_EQUAL(START(&l, "/etc/passwd"), -EACCES);
	launch_end(&l);
	CU_ASSERT_EQUAL(launch_status(-ENOENT), EXIT_COMMAND_NOT_FOUND);
	CU_ASSERT_EQUAL(launch_status(-EACCES), EXIT_COMMAND_NOT_EXECUTABLE);
	CU_ASSERT_EQUAL(launch_status(-ENOMEM), EXIT_COMMAND_FAILED);
}

/* Never let go: the child ends without having executed anything. */
static void test_gate(void)
{
	const char *words[] = { "sh", "-c", "exit 7", NULL };
	struct launch l = LAUNCH_NULL;

	CU_ASSERT_EQUAL_FATAL(launch_fork(&l, (char *const *)(uintptr_t)words, &mask), 0);
	launch_end(&l);
	CU_ASSERT_TRUE(l.reaped);
	CU_ASSERT_EQUAL(WEXITSTATUS(l.status), EXIT_COMMAND_FAILED);
}

/* SIGTERM is passed on, SIGINT ends the wait. */
static void test_wait_signals(void)
{
	struct launch l;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CU_ASSERT_EQUAL_FATAL(START(&l, "sleep", "30"), 0);
	launch_go(&l);
	kill(getpid(), SIGINT);
	CU_ASSERT_EQUAL(launch_wait(&l, fd), -EINTR);
	kill(getpid(), SIGTERM);
	CU_ASSERT_EQUAL(launch_wait(&l, fd), 0);
	CU_ASSERT_TRUE(WIFSIGNALED(l.status));
	CU_ASSERT_EQUAL(WTERMSIG(l.status), SIGTERM);
	launch_end(&l);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	close(fd);
}

static void test_dies_alike(void)
{
	int status, sig = SIGSEGV;
	pid_t pid = fork();

	if (!pid)
		_exit(launch_finish_like(sig));	/* a wait status: killed by sig */
	waitpid(pid, &status, 0);
	CU_ASSERT_TRUE(WIFSIGNALED(status));
	CU_ASSERT_EQUAL(WTERMSIG(status), SIGSEGV);
	CU_ASSERT_FALSE(WCOREDUMP(status));
}

/* A child that holds what we give it, and nothing else of ours. */
static pid_t hold(int keep, int close_also)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (close_also >= 0)
		close(close_also);
	for (int fd = 3; fd < 64; fd++)
		if (fd != keep)
			close(fd);
	alarm(60);
	pause();
	_exit(0);
}

static void let_go(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool soon(bool (*is)(pid_t pid, int fd), pid_t pid, int fd, bool want)
{
	/* The child closes its copies some time after fork() has returned here. */
	for (int i = 0; i < 500 && is(pid, fd) != want; i++)
		usleep(1000);
	return is(pid, fd);
}

static void test_holder_pipe(void)
{
	int p[2];
	pid_t reader, writer;

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	reader = hold(p[0], p[1]);
	writer = hold(p[1], p[0]);
	CU_ASSERT_TRUE(soon(holder_reads, reader, p[1], true));
	CU_ASSERT_FALSE(soon(holder_reads, writer, p[1], false));
	CU_ASSERT_FALSE(holder_reads(reader, STDIN_FILENO));
	let_go(reader);
	let_go(writer);
	CU_ASSERT_FALSE(holder_reads(reader, p[1]));
	close(p[0]);
	close(p[1]);
}

static void test_holder_fifo(void)
{
	char dir[] = "/tmp/test-holder-XXXXXX", path[64];
	pid_t reader;
	int fd;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	CU_ASSERT_FALSE(holder_reads_path(getpid(), path));
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	reader = hold(fd, -1);
	CU_ASSERT_TRUE(holder_reads_path(reader, path));
	let_go(reader);
	CU_ASSERT_FALSE(holder_reads_path(1, path));
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void test_holder_pty(void)
{
	int master, slave;
	pid_t emulator, program;

	CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
	emulator = hold(master, slave);
	program = hold(slave, master);
	CU_ASSERT_TRUE(soon(holder_reads, emulator, slave, true));
	CU_ASSERT_FALSE(soon(holder_reads, program, slave, false));
	let_go(emulator);
	let_go(program);
	close(master);
	close(slave);
}

static const struct suite_test tests[] = {
	{ "searching PATH", test_find },
	{ "held at its beginning", test_held },
	{ "an exec that fails", test_exec_fails },
	{ "never let go", test_gate },
	{ "signals while waiting", test_wait_signals },
	{ "dying by the same signal", test_dies_alike },
	{ "who reads a pipe", test_holder_pipe },
	{ "who reads a FIFO", test_holder_fifo },
	{ "who holds the terminal", test_holder_pty },
};

SUITE_MAIN("launch", tests)
