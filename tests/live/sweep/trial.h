/* SPDX-License-Identifier: MIT */
/*
 * Trial: one short recording in which something fails, and what must hold after it.
 *
 * The target is no child of ours, so that all our children are pagetap's processes,
 * of which none may be left over.
 */
#ifndef LIVE_SWEEP_TRIAL_H
#define LIVE_SWEEP_TRIAL_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "trace/validate-file.h"

/* A recording takes some tenths of a second; nothing in it may wait this long. */
#define TRIAL_SECONDS 40

struct setup {
	const char *target;		/* program of tests/target, and its options */
	const char *const options[6];	/* of it */
	bool follow;
};

struct trial {
	const struct setup *setup;
	char dir[64];
	char pagetap[256], preload[256];
	pid_t target;
	char words[600];
};

static inline const char *in_dir(const struct trial *t, const char *name)
{
	static char buf[4][128];
	static unsigned int turn;
	char *p = buf[turn++ % 4];

	snprintf(p, sizeof(buf[0]), "%s/%s", t->dir, name);
	return p;
}

__attribute__((format(printf, 2, 3))) static inline const char *bad(struct trial *t,
								    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->words, sizeof(t->words), fmt, ap);
	va_end(ap);
	return t->words;
}

static inline void rest_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

/* Up to 64 KiB of a file, as a string. */
static inline const char *slurp(const char *path)
{
	static char buf[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	while (fd >= 0 && len < sizeof(buf) - 1 && n > 0) {
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	buf[len] = '\0';
	return buf;
}

static inline const char *of_proc(const struct trial *t, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)t->target, name);
	return slurp(path);
}

static inline const char *target_start(struct trial *t, const char *build)
{
	char path[256];
	const char *argv[12] = { path, "-T", "3000", "-c", in_dir(t, "count") };
	uint64_t until = clock_now() + 20 * NSEC_PER_SEC;
	const char *ready = NULL;

	snprintf(path, sizeof(path), "%s/tests/target/%s", build, t->setup->target);
	for (unsigned int i = 0; t->setup->options[i]; i++)
		argv[5 + i] = t->setup->options[i];
	/* Before we adopt orphans: it goes to somebody else. */
	if (!fork()) {
		int fd = open(in_dir(t, "target.out"), O_CREAT | O_TRUNC | O_WRONLY, 0600);

		if (fork())
			_exit(0);
		setsid();
		dup2(fd, 1);
		dup2(fd, 2);
		execv(path, (char **)argv);
		_exit(127);
	}
	wait(NULL);
	while (!ready && clock_now() < until) {
		rest_ms(5);
		ready = strstr(slurp(in_dir(t, "target.out")), "ready pid=");
	}
	if (!ready)
		return bad(t, "the target is not ready");
	t->target = (pid_t)strtol(ready + strlen("ready pid="), NULL, 10);
	return NULL;
}

static inline const char *target_end(struct trial *t)
{
	uint64_t until = clock_now() + 20 * NSEC_PER_SEC;

	if (t->target <= 0)
		return NULL;
	kill(t->target, SIGTERM);
	while (!kill(t->target, 0) && clock_now() < until)
		rest_ms(5);
	if (!kill(t->target, SIGKILL))
		return bad(t, "the target does not end");
	if (!strstr(slurp(in_dir(t, "target.out")), "\nok "))
		return bad(t, "target says: %.300s", slurp(in_dir(t, "target.out")));
	return NULL;
}

static inline long progress(const struct trial *t)
{
	return strtol(slurp(in_dir(t, "count")), NULL, 10);
}

/* Nothing of ours is in it. */
static inline const char *touched(struct trial *t)
{
	const char *status = of_proc(t, "status");
	const char *state = strstr(status, "State:\t");

	if (!state || state[7] == 'Z')
		return bad(t, "the target is gone: %.300s", slurp(in_dir(t, "target.out")));
	if (strchr("tT", state[7]) || !strstr(status, "TracerPid:\t0\n"))
		return bad(t, "the target is stopped or traced");
	for (const char *p = of_proc(t, "smaps"); (p = strstr(p, "VmFlags:")); p++) {
		const char *end = strchr(p, '\n');

		for (const char *f = p; end && f + 3 < end; f++)
			if (!strncmp(f, " um", 3) || !strncmp(f, " uw", 3) ||
			    !strncmp(f, " ui", 3))
				return bad(t, "mappings of the target have a userfaultfd still");
	}
	return NULL;
}

static inline const char *target_intact(struct trial *t)
{
	uint64_t until = clock_now() + 10 * NSEC_PER_SEC;
	const char *wrong;
	long before;

	while ((wrong = touched(t)) && clock_now() < until)
		rest_ms(5);
	before = progress(t);
	while (!wrong && progress(t) == before) {
		if (clock_now() > until)
			wrong = bad(t, "the target stands still");
		rest_ms(2);
	}
	return wrong;
}

/* The child's part: becomes pagetap. */
static inline void trial_exec(const struct trial *t)
{
	char pid[16], trace[128];
	const char *argv[] = {
		t->pagetap, "record", "-p", pid, "-d", "0.06", "--rearm", "20", "-o", trace,
		t->setup->follow ? "-f" : NULL, NULL,
	};
	int fd = open(in_dir(t, "err"), O_CREAT | O_TRUNC | O_WRONLY, 0600);

	snprintf(pid, sizeof(pid), "%d", (int)t->target);
	snprintf(trace, sizeof(trace), "%s", in_dir(t, "t.ndjson"));
	unlink(in_dir(t, "t.ndjson"));
	unlink(in_dir(t, "t.ndjson.old"));
	close(open(in_dir(t, "report"), O_CREAT | O_TRUNC | O_WRONLY, 0600));
	setenv("SWEEP_REPORT", in_dir(t, "report"), 1);
	setenv("LD_PRELOAD", t->preload, 1);
	dup2(fd, 2);
	dup2(fd, 1);
	execv(t->pagetap, (char **)argv);
	_exit(127);
}

static void complaint(void *arg, uint64_t line, const char *words)
{
	struct trial *t = arg;

	if (!t->words[0])
		bad(t, "trace, line %llu: %s", (unsigned long long)line, words);
}

static inline const char *check_trace(struct trial *t, int status)
{
	const char *path = in_dir(t, "t.ndjson");
	struct validate_outcome o = { 0 };
	int r;

	if (access(path, F_OK))
		return status ? NULL : bad(t, "no trace, and yet status 0");
	t->words[0] = '\0';
	r = validate_file(path, status != 0, complaint, t, &o);
	if (t->words[0])
		return t->words;
	/* With an error at the first line there may be none. */
	if (r < 0 && !(status && !o.lines))
		return bad(t, "trace: %s", o.words);
	return NULL;
}

/* What must hold when all of pagetap's processes have ended. */
static inline const char *trial_check(struct trial *t, int status)
{
	const char *err, *wrong = target_intact(t);

	if (wrong)
		return wrong;
	if (!WIFEXITED(status))
		return bad(t, "pagetap was killed by signal %d: %.300s", WTERMSIG(status),
			   slurp(in_dir(t, "err")));
	status = WEXITSTATUS(status);
	err = slurp(in_dir(t, "err"));
	if (status > 6)
		return bad(t, "status %d: %.300s", status, err);
	if (status && strncmp(err, "pagetap: ", 9) && !strstr(err, "\npagetap: "))
		return bad(t, "status %d and no word why: %.300s", status, err);
	return check_trace(t, status);
}

static inline const char *trial_begin(struct trial *t, const struct setup *setup,
				      const char *build)
{
	*t = (struct trial){ .setup = setup, .dir = "/tmp/pagetap-sweep.XXXXXX" };
	if (!mkdtemp(t->dir))
		return bad(t, "no folder");
	snprintf(t->pagetap, sizeof(t->pagetap), "%s/pagetap", build);
	snprintf(t->preload, sizeof(t->preload), "%s/tests/preload/starve.so", build);
	close(open(in_dir(t, "report"), O_CREAT | O_WRONLY, 0600));
	return target_start(t, build);
}

static inline const char *trial_end(struct trial *t)
{
	static const char *const files[] = {
		"count", "target.out", "err", "report", "t.ndjson", "t.ndjson.old",
	};
	const char *wrong = target_end(t);

	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(in_dir(t, files[i]));
	rmdir(t->dir);
	return wrong;
}

#endif
