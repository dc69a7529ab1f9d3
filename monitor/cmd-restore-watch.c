/* SPDX-License-Identifier: MIT */
/*
 * Restore, while it lasts: who says what, who ends, and what follows from it.
 *
 * Who decides whether the processes run is the pager, for it reads the word of it.  So to
 * undo a restore is to end the pager first: either it has read the word, and nothing is
 * undone any more, or criu can get it rid no more, fails, and takes back what it made.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd-restore.h"
#include "exit.h"
#include "words.h"

#define DRAW_MS 250
/* For criu to fail by itself, when it has nobody to hand over to; for a pager to end. */
#define FAIL_MS 2000
#define PAGER_MS 10000
#define STEP_MS 50

/* What it says is complete lines, in one write(2) each. */
static void hear_pager(struct restore *r)
{
	char buf[4096];
	ssize_t n;

	while (r->crew.words >= 0 && (n = read(r->crew.words, buf, sizeof(buf)))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		log_progress_clear();
		for (ssize_t at = 0, m; at < n; at += m) {
			m = write(STDERR_FILENO, buf + at, (size_t)(n - at));
			if (m <= 0)
				break;
		}
	}
	close_fd(&r->crew.words);
}

static void see_resumed(struct restore *r)
{
	struct words w;
	uint64_t n;

	if (r->resumed_at || read(r->lazy.resumed, &n, sizeof(n)) < 0)
		return;
	r->resumed_at = figures_get(&r->figures->resumed_at);
	crew_let_go();
	log_verbose("the processes run after %s",
		    words_duration(r->resumed_at - r->begun_at, &w));
}

/* Until it listens.  False: it does not, and has said why, or somebody has ended us. */
static bool await_pager(struct restore *r)
{
	struct signalfd_siginfo si;
	char byte;

	for (;;) {
		struct pollfd p[] = {
			{ .fd = r->crew.ready, .events = POLLIN },
			{ .fd = r->crew.words, .events = POLLIN },
			{ .fd = r->signals, .events = POLLIN },
		};

		if (poll(p, 3, -1) < 0)
			continue;
		hear_pager(r);
		if (p[0].revents)
			return read(r->crew.ready, &byte, 1) == 1;
		if (!p[2].revents || read(r->signals, &si, sizeof(si)) != sizeof(si) ||
		    si.ssi_signo == SIGUSR1)
			continue;
		/* Nobody has handed anything over to it yet. */
		crew_signal(&r->crew.pager, SIGKILL);
		log_error("ended before anything was restored");
		return false;
	}
}

static int start_criu(struct restore *r)
{
	const char *fixed[] = {
		r->args->criu, "restore", "--lazy-pages", "--images-dir", r->args->criu_dir,
		"--work-dir", r->work, "--log-file", RESTORE_LOG,
	};
	size_t n = sizeof(fixed) / sizeof(fixed[0]), more = 0;
	_free_ char **argv = NULL;
	int e;

	while (r->args->options[more])
		more++;
	argv = calloc(n + more + 1, sizeof(*argv));
	if (argv) {
		memcpy(argv, fixed, sizeof(fixed));
		memcpy(argv + n, r->args->options, more * sizeof(*argv));
	}
	e = argv ? crew_start_criu(&r->crew, argv, &r->old_mask, r->args->json) : -ENOMEM;
	if (!e)
		return EXIT_OK;
	log_error("%s: %s", r->args->criu, strerror(-e));
	return EXIT_RUNTIME;
}

/*
 * True: nothing is left of it.  False: too late, the processes run.  The pager is never killed:
 * it may not have read yet that they do.
 */
static bool undo(struct restore *r)
{
	unsigned int left;

	crew_signal(&r->crew.pager, SIGTERM);
	do {
		crew_await(&r->crew, &r->crew.pager, STEP_MS);
		hear_pager(r);
		see_resumed(r);
	} while (!r->crew.pager.ended && !r->resumed_at);
	if (r->resumed_at)
		return false;
	crew_await(&r->crew, &r->crew.criu, FAIL_MS);
	left = crew_undo(&r->crew);
	if (left)
		log_error("%u processes of the restore cannot be ended", left);
	return true;
}

/*
 * Is nothing more to come from it?  When it is killed another process takes its place, which
 * is not our child (restore/keeper.h): then all is over when nobody can say anything any more.
 */
static bool pager_is_over(const struct restore *r)
{
	const struct crew_member *m = &r->crew.pager;

	return m->ended && (WIFEXITED(m->status) || r->crew.words < 0);
}

/* True: all is over, with this status. */
static bool heed_signal(struct restore *r, int *ret_status)
{
	struct signalfd_siginfo si;

	if (read(r->signals, &si, sizeof(si)) != sizeof(si))
		return false;
	if (si.ssi_signo == SIGUSR1) {
		restore_interim(r);
		return false;
	}
	see_resumed(r);
	if (!r->resumed_at && undo(r)) {
		log_error("ended before the processes ran; nothing of them is left");
		*ret_status = EXIT_RUNTIME;
		return true;
	}
	/* It says that it ends with the last page. */
	if (!pager_is_over(r)) {
		crew_signal(&r->crew.pager, SIGTERM);
		return false;
	}
	/* It does nothing but wait, and its end is not theirs. */
	crew_signal(&r->crew.criu, SIGTERM);
	log_info("not waiting any longer; the processes run on");
	*ret_status = EXIT_OK;
	return true;
}

static int pager_status(struct restore *r)
{
	const struct figures *f = r->figures;
	int s = r->crew.pager.status;

	if (WIFEXITED(s))
		return WEXITSTATUS(s);
	log_warn("the process that brings the pages was ended by signal %d, and another one "
		 "took its place", WTERMSIG(s));
	return figures_get(&f->ended_at) && !figures_get(&f->left) &&
	       !figures_get(&f->unreadable) && !figures_get(&f->placeless) ? EXIT_OK :
	       EXIT_RUNTIME;
}

/* One of the two has ended before the processes ran. */
static int failed_early(struct restore *r)
{
	bool by_pager = r->crew.pager.ended && !r->crew.criu.ended;

	/* They run, and it has not come to reading that; or nobody has said anything to it. */
	for (int ms = 0; ms < FAIL_MS && !r->resumed_at && !r->crew.pager.ended &&
	     !r->crew.criu.status; ms += STEP_MS) {
		crew_await(&r->crew, &r->crew.pager, STEP_MS);
		see_resumed(r);
	}
	if (r->resumed_at || !undo(r))
		return -EAGAIN;
	if (r->crew.pager.ended && WIFSIGNALED(r->crew.pager.status))
		log_error("the process that brings the pages was ended by signal %d",
			  WTERMSIG(r->crew.pager.status));
	if (!by_pager || r->crew.criu.status)
		restore_criu_failed(r, r->crew.criu.status);
	return EXIT_RUNTIME;
}

/* Once, in the form that is wanted. */
static void tell(struct restore *r, int status)
{
	log_progress_clear();
	if (!r->args->json)
		restore_sum_up(r);
	else if (!r->printed)
		r->json_status = restore_print_json(r, status);
	r->printed = true;
}

/* True: all is over, with this status. */
static bool judge(struct restore *r, int *ret_status)
{
	const struct crew *c = &r->crew;

	if (!r->resumed_at && (c->criu.ended || c->pager.ended))
		see_resumed(r);
	if (!r->resumed_at) {
		if (!c->criu.ended && !c->pager.ended)
			return false;
		*ret_status = failed_early(r);
		return *ret_status != -EAGAIN;
	}
	hear_pager(r);
	if (!pager_is_over(r))
		return false;
	*ret_status = pager_status(r);
	if (!r->told_at) {
		r->told_at = clock_now();
		tell(r, *ret_status);
	}
	if (!c->criu.ended) {
		/* With -d it just has something to put in order. */
		if (!r->waiting && clock_now() - r->told_at > NSEC_PER_SEC)
			log_info("waiting for the restored processes to end, as criu does; "
				 "SIGINT or SIGTERM: without that");
		r->waiting = clock_now() - r->told_at > NSEC_PER_SEC;
		return false;
	}
	if (c->criu.status) {
		restore_criu_failed(r, c->criu.status);
		*ret_status = EXIT_RUNTIME;
	}
	return true;
}

static int follow(struct restore *r)
{
	int status = EXIT_RUNTIME;

	for (;;) {
		struct pollfd p[] = {
			{ .fd = r->signals, .events = POLLIN },
			{ .fd = r->resumed_at ? -1 : r->lazy.resumed, .events = POLLIN },
			{ .fd = r->crew.words, .events = POLLIN },
			{ .fd = r->crew.pager.ended ? -1 : r->crew.pager.fd, .events = POLLIN },
			{ .fd = r->crew.criu.ended ? -1 : r->crew.criu.fd, .events = POLLIN },
		};

		poll(p, sizeof(p) / sizeof(p[0]), DRAW_MS);
		hear_pager(r);
		see_resumed(r);
		crew_reap(&r->crew);
		if (p[0].revents && heed_signal(r, &status))
			return status;
		if (judge(r, &status))
			return status;
		restore_draw(r);
	}
}

int restore_watch(struct restore *r)
{
	int status;

	if (!await_pager(r)) {
		crew_await(&r->crew, &r->crew.pager, PAGER_MS);
		hear_pager(r);
		status = WIFEXITED(r->crew.pager.status) ? WEXITSTATUS(r->crew.pager.status) : 0;
		return status ? status : EXIT_RUNTIME;
	}
	status = start_criu(r);
	if (status == EXIT_OK)
		status = follow(r);
	else
		undo(r);
	log_progress_clear();
	/* What has failed has a summary only for machines. */
	if (r->args->json)
		tell(r, status);
	return status ? status : r->json_status;
}
