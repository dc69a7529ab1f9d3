/* SPDX-License-Identifier: MIT */
/*
 * Sweep: each allocation of pagetap fails, and each of its system calls, in a run of
 * its own, over attaching, recording and detaching.
 *
 *	live-sweep [PART-OF-A-NAME]
 *
 * SWEEP_SECONDS is how long a case may take; what does not fit into it is left out,
 * evenly.  0 is for ever: all of them, each error of each call, and on after what is
 * wrong.  SWEEP_AT=N[:ROUND] tries only that one, SWEEP_CALL=read only that call.
 *
 * limit: 400
 */

#include "sweep/calls.h"
#include "sweep/trial.h"

#define SECONDS_DEFAULT 10
#define TRIED_MIN 10
#define WRONG_MAX 20

static const struct setup writer = { "writer", { "-p", "8", "-t", "2" }, false };
static const struct setup forker = { "forker", { "-p", "8", "-x" }, true };

enum what { ALLOC_ONCE, ALLOC_ON, CALL };

struct sweep_case {
	const char *name;
	enum what what;
	const struct setup *setup;
};

static const struct sweep_case cases[] = {
	{ "each allocation fails once", ALLOC_ONCE, &writer },
	{ "each allocation fails once, with children", ALLOC_ONCE, &forker },
	{ "from each allocation on none succeeds", ALLOC_ON, &writer },
	{ "each system call fails", CALL, &writer },
	{ "each system call fails, with children", CALL, &forker },
};

struct sums {
	long tried, hit, ended;
};

static const char *build;

/* Until no process of pagetap's is left; their own status. */
static const char *reap(struct trial *t, pid_t ours, int *ret_status)
{
	uint64_t until = clock_now() + TRIAL_SECONDS * NSEC_PER_SEC;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) >= 0) {
		if (pid == ours)
			*ret_status = status;
		if (pid)
			continue;
		if (clock_now() > until) {
			kill(ours, SIGKILL);
			return bad(t, "not over after %d s: %.300s", TRIAL_SECONDS,
				   slurp(in_dir(t, "err")));
		}
		rest_ms(1);
	}
	return NULL;
}

static const char *trial_of_alloc(struct trial *t, long at, bool on, int *ret_status)
{
	const char *wrong;
	char n[24];
	pid_t ours;

	snprintf(n, sizeof(n), "%ld", at);
	fflush(stdout);
	ours = fork();
	if (!ours) {
		setenv("SWEEP_ALLOC", n, 1);
		if (on)
			setenv("SWEEP_ON", "1", 1);
		trial_exec(t);
	}
	wrong = reap(t, ours, ret_status);
	return wrong ? wrong : trial_check(t, *ret_status);
}

/* One of them, and its words if it went wrong. */
static bool try(struct trial *t, const struct sweep_case *c, long at, unsigned int round,
		struct sums *sums)
{
	struct tracing tr = { 0 };
	const char *wrong;
	char what[64];
	int status = 0;

	snprintf(what, sizeof(what), "allocation %ld", at);
	if (c->what == CALL) {
		wrong = trial_of_call(t, at, round, &tr);
		status = tr.status;
		sums->hit += tr.call != NULL;
		if (tr.call)
			snprintf(what, sizeof(what), "call %ld:%u, %s gives %s", at, round,
				 tr.call->name, strerrorname_np(tr.error));
	} else {
		wrong = trial_of_alloc(t, at, c->what == ALLOC_ON, &status);
		sums->hit += strstr(slurp(in_dir(t, "report")), "hit ") != NULL;
	}
	sums->tried++;
	sums->ended += status != 0;
	if (wrong)
		printf("  wrong: %s: %s\n", what, wrong);
	return !wrong;
}

/* How many there are in a run in which nothing fails. */
static long how_many(struct trial *t, const struct sweep_case *c)
{
	struct tracing tr;
	const char *end;
	int status;

	if (c->what == CALL)
		return trial_of_call(t, 0, 0, &tr) ? -1 : tr.seen;
	if (trial_of_alloc(t, 0, false, &status))
		return -1;
	end = strrchr(slurp(in_dir(t, "report")), ' ');
	return end ? strtol(end, NULL, 10) : -1;
}

/* What was wrong may have cost the target. */
static bool begin_anew(struct trial *t)
{
	const struct setup *setup = t->setup;
	const char *wrong;

	prctl(PR_SET_CHILD_SUBREAPER, 0);
	trial_end(t);
	wrong = trial_begin(t, setup, build);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (wrong)
		printf("  wrong: %s\n", wrong);
	return !wrong;
}

static long greatest_divisor(long a, long b)
{
	return b ? greatest_divisor(b, a % b) : a;
}

/* In an order in which any beginning is spread evenly, from a place drawn. */
static bool sweep(struct trial *t, const struct sweep_case *c, struct sums *sums)
{
	const char *seconds = getenv("SWEEP_SECONDS"), *only = getenv("SWEEP_AT");
	long budget = seconds ? strtol(seconds, NULL, 10) : SECONDS_DEFAULT;
	long n = how_many(t, c), again = how_many(t, c), step, first;
	long rounds = c->what == CALL && !budget ? 4 : 1;
	uint64_t until = clock_now() + (uint64_t)budget * NSEC_PER_SEC;
	int left = budget ? 1 : WRONG_MAX, wrong = 0;
	char *rest;

	if (only) {
		n = strtol(only, &rest, 10);
		return try(t, c, n, *rest ? (unsigned int)strtoul(rest + 1, NULL, 10) : 0, sums);
	}
	/* A run that waited for others says more than there is in most. */
	if (budget && again < n)
		n = again;
	if (n < 1) {
		printf("  wrong: %ld in a run without a failure: %s\n", n, t->words);
		return false;
	}
	step = (long)((double)n * 0.618);
	while (greatest_divisor(step, n) != 1)
		step++;
	first = (long)(clock_now() / 1000 % (uint64_t)n);
	for (long i = 0; i < n * rounds && wrong < left; i++) {
		if (budget && i >= TRIED_MIN && clock_now() > until)
			break;
		if (!try(t, c, 1 + (first + i * step) % n, (unsigned int)(first + i / n), sums) &&
		    ++wrong < left && !begin_anew(t))
			return false;
	}
	printf("  %ld of %ld tried, %ld met, %ld ended in an error\n", sums->tried, n * rounds,
	       sums->hit, sums->ended);
	/* Two runs are never the same; but none may be all misses. */
	return !wrong && sums->hit > 0;
}

static bool run_case(const struct sweep_case *c)
{
	struct sums sums = { 0 };
	const char *wrong;
	struct trial t;
	bool fine;

	wrong = trial_begin(&t, c->setup, build);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fine = !wrong && sweep(&t, c, &sums);
	if (wrong)
		printf("  wrong: %s\n", wrong);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	wrong = trial_end(&t);
	if (wrong && fine)
		printf("  wrong: %s\n", wrong);
	return fine && !wrong;
}

int main(int argc, char **argv)
{
	unsigned int passed = 0, failed = 0;

	build = getenv("O") ? getenv("O") : "build";
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t begin = clock_now();
		bool fine;

		if (argc > 1 && !strstr(cases[i].name, argv[1]))
			continue;
		fine = run_case(&cases[i]);
		passed += fine;
		failed += !fine;
		printf("%s %s (%.1f s)\n", fine ? "ok   " : "FAIL ", cases[i].name,
		       (double)(clock_now() - begin) / (double)NSEC_PER_SEC);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
