/* SPDX-License-Identifier: MIT */
/*
 * Driver: run a target again and again, each time with another seed.
 *
 *	driver SECONDS FIRST-SEED DIR AHEAD PROGRAM [ARG...]
 *
 * Run i gets `--seed FIRST-SEED+i --truth DIR/i`, and what it says goes to DIR/i/said.
 * It waits while run i - AHEAD has not been judged, that is while DIR/(i - AHEAD) is
 * there: so the disk is never filled.
 * Forks nothing else: whoever watches can count the runs by its forks.  Its last
 * words are DIR/runs, the number of runs and of those that failed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX 64

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_there(const char *dir, unsigned long run)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%lu", dir, run);
	return !stat(path, &st);
}

static void execute(char **argv, int argc, unsigned long seed, const char *truth)
{
	char *args[ARGS_MAX + 6], number[32], said[4112];
	int n = 0, fd;

	snprintf(number, sizeof(number), "%lu", seed);
	while (n < argc)
		args[n] = argv[n], n++;
	args[n++] = "--seed";
	args[n++] = number;
	args[n++] = "--truth";
	args[n++] = (char *)(uintptr_t)truth;
	args[n] = NULL;
	/* Our own output may be the trace. */
	snprintf(said, sizeof(said), "%s/said", truth);
	fd = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
		_exit(126);
	close(fd);
	execv(args[0], args);
	perror(args[0]);
	_exit(127);
}

static bool run(char **argv, int argc, unsigned long seed, const char *dir, unsigned long i)
{
	char truth[4096];
	int status = -1;
	pid_t child;

	snprintf(truth, sizeof(truth), "%s/%lu", dir, i);
	if (mkdir(truth, 0700) < 0) {
		perror(truth);
		return false;
	}
	child = fork();
	if (!child)
		execute(argv, argc, seed, truth);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return child > 0 && WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const struct timespec pause = { 0, 50 * 1000 * 1000 };
	unsigned long first, ahead, i, bad = 0;
	char path[4096];
	double until;
	FILE *f;

	if (argc < 6 || argc - 5 > ARGS_MAX)
		return 2;
	until = now() + strtod(argv[1], NULL);
	first = strtoul(argv[2], NULL, 10);
	ahead = strtoul(argv[4], NULL, 10);
	for (i = 0; now() < until; i++) {
		while (i >= ahead && is_there(argv[3], i - ahead) && now() < until)
			nanosleep(&pause, NULL);
		bad += !run(argv + 5, argc - 5, first + i, argv[3], i);
	}
	snprintf(path, sizeof(path), "%s/runs", argv[3]);
	f = fopen(path, "w");
	if (!f)
		return 1;
	fprintf(f, "%lu %lu\n", i, bad);
	return fclose(f) || bad;
}
