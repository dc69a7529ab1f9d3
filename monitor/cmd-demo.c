/* SPDX-License-Identifier: MIT */
/*
 * Demo: start a small program, attach to it from outside, show what it did.
 *
 * The whole way of `record` on a target that is always there.  pagetap-demo(1).
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd-summary.h"
#include "demo-view.h"
#include "exit.h"
#include "launch.h"
#include "signals.h"
#include "words.h"

#define RING 131072
#define REARM (500 * NSEC_PER_MSEC)
#define READY_MS 10000
#define END_MS 20000

struct demo_args {
	struct cmd_voice voice;
	const char *output;
	uint64_t duration_ns;
};

struct demo {
	struct demo_args a;
	struct recording rec;
	struct cmd_name name;
	const char *path;
	char default_path[64];
	pid_t pid;
	int input, output;		/* our ends of its standard ones */
	int signal_fd;
};

#define AT(member) .offset = offsetof(struct demo_args, member)

static const struct option_spec options[] = {
	{ 'o', "output", "FILE", "where to write (default: pagetap-PID.ndjson)", OPTION_TEXT,
	  AT(output) },
	{ 'd', "duration", "SEC", "watch for so many seconds (default: 3)", OPTION_SECONDS,
	  AT(duration_ns) },
	CMD_VOICE_OPTIONS(struct demo_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap demo",
	"pagetap demo -d 10 -o /tmp/demo.ndjson",
	"pagetap demo -q",
	NULL,
};

static const struct option_page page = {
	.command = "demo",
	.about = "Start a small program, attach to it from outside and show what it did.",
	.options = options,
	.examples = examples,
};

static void be_target(int in, int out, const sigset_t *mask)
{
	char *argv[] = { (char *)"pagetap", (char *)"demo-target", NULL };

	sigprocmask(SIG_SETMASK, mask, NULL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execv("/proc/self/exe", argv);
	_exit(EXIT_RUNTIME);
}

static int start_target(struct demo *d)
{
	_close_ int in = -1, in_end = -1, out = -1, out_end = -1;
	struct pollfd p = { .events = POLLIN };
	sigset_t mask;
	int pipes[2];
	char ready;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	in = pipes[0];
	in_end = pipes[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	out_end = pipes[0];
	out = pipes[1];
	sigprocmask(SIG_SETMASK, NULL, &mask);
	d->pid = fork();
	if (d->pid < 0)
		return -errno;
	if (!d->pid)
		be_target(in, out, &mask);
	d->input = steal_fd(&in_end);
	d->output = steal_fd(&out_end);
	close_fd(&out);
	p.fd = d->output;
	if (poll(&p, 1, READY_MS) != 1 || read(d->output, &ready, 1) != 1)
		return -ETIMEDOUT;
	return 0;
}

/* Its input ends, so it checks its memory and ends.  The wait(2) status; -ETIMEDOUT. */
static int end_target(struct demo *d)
{
	/* It holds the only writing end: when it has gone, the pipe hangs up. */
	struct pollfd p = { .fd = d->output, .events = POLLIN };
	bool late;
	int status;

	close_fd(&d->input);
	late = poll(&p, 1, END_MS) != 1;
	if (late)
		kill(d->pid, SIGKILL);
	while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
		;
	close_fd(&d->output);
	d->pid = 0;
	return late ? -ETIMEDOUT : status;
}

static int failed(const char *what, int r)
{
	log_error("%s: %s", what, strerror(-r));
	return EXIT_RUNTIME;
}

static int attach(struct demo *d, uint64_t features)
{
	static const char *const argv[] = { "pagetap", "demo", NULL };
	struct session_opts o = {
		.filter.modes = WATCH_MODE_WRITE | WATCH_MODE_MISSING,
		.kinds = WATCH_KIND_ALL,
		.rearm_ns = REARM,
		.duration_ns = d->a.duration_ns,
		.watchdog_ns = SESSION_WATCHDOG_NS,
		.output_fd = -1,
		.limit_fd = -1,
	};
	struct session_summary none = { 0 }, now;
	struct pagetap_failure f = { 0 };
	sigset_t old;
	bool output;
	int r;

	if (pagetap_look(d->pid, NULL, &f) < 0)
		return cmd_attach_failed(&d->name, &f);
	r = recording_output(&d->rec, d->path);
	if (r < 0)
		return failed(d->path, r);
	r = signals_take(&d->signal_fd, &old);
	o.signal_fd = d->signal_fd;
	if (!r)
		r = recording_start(&d->rec, &o, RING, 0, features, argv, &output);
	if (r < 0)
		return failed("cannot start recording", r);
	session_on_tick(d->rec.session, summary_tick, NULL);
	if (session_attach(d->rec.session, d->pid, &f) < 0)
		return cmd_attach_failed(&d->name, &f);
	session_summary(d->rec.session, &now);
	summary_attached(&d->name, &none, &now);
	return EXIT_OK;
}

static void print_view(const struct demo *d, const struct demo_view *v)
{
	const struct record_stats *t = &d->rec.summary.stats;
	struct words faults, wp, missing, lost, p50, p99, bytes, n;
	char strip[PICTURE_COLUMNS + 1], name[64];

	printf("\n  %s faults   %s writes   %s write-protect   %s missing   %s lost\n"
	       "  handled in %s (p50), %s (p99)\n\n",
	       words_count(t->faults, &faults), words_count(t->writes, &n),
	       words_count(v->wp, &wp), words_count(v->missing, &missing),
	       words_count(t->lost, &lost), words_duration(t->lat_p50_ns, &p50),
	       words_duration(t->lat_p99_ns, &p99));
	for (unsigned int i = 0; i < v->n; i++) {
		const struct picture *p = &v->picture[i];
		uint64_t pages = range_len(p->r) / p->page_size;

		printf("  %-10s %8s  |%s|  %7s faults on %3llu %% of its pages\n",
		       log_escape(v->name[i], strlen(v->name[i]), name, sizeof(name)),
		       words_bytes(range_len(p->r), &bytes), picture_draw(p, strip),
		       words_count(p->faults, &n),
		       (unsigned long long)(100 * p->touched / pages));
	}
	puts("");
	fflush(stdout);
}

/* What the target itself found, and what got lost, decide. */
static int verdict(struct demo *d, int target)
{
	bool sound = target >= 0 && WIFEXITED(target) && !WEXITSTATUS(target);
	const struct session_summary *s = &d->rec.summary;

	if (target == -ETIMEDOUT)
		log_error("the target did not end in %d s and was killed", END_MS / 1000);
	else if (WIFEXITED(target))
		log_info("detached cleanly, target exited with %d", WEXITSTATUS(target));
	else
		log_error("the target was killed by signal %d", WTERMSIG(target));
	if (!sound)
		log_error("the target found its memory changed, or did not live to look");
	if (!s->clean)
		log_error("the detach was not clean");
	summary_losses(&d->rec, RING);
	return sound && s->clean && !s->stats.lost ? EXIT_OK : EXIT_RUNTIME;
}

static int watch(struct demo *d)
{
	struct demo_view view = { 0 };
	struct words time;
	int r, shown, status;

	log_info("recording for %s", words_duration(d->a.duration_ns, &time));
	r = session_run(d->rec.session);
	log_progress_clear();
	if (recording_finish(&d->rec) < 0 || d->rec.summary.at_once)
		launch_die_by(d->rec.ended_by);
	status = verdict(d, end_target(d));
	if (r < 0)
		return failed("recording stopped", r);
	if (d->rec.result.error) {
		summary_output_error(d->path, &d->rec);
		return EXIT_RUNTIME;
	}
	shown = demo_view_read(d->path, &view);
	if (shown < 0)
		return failed(d->path, shown);
	print_view(d, &view);
	demo_view_done(&view);
	summary_next(d->path, &d->rec);
	return status;
}

static int demo(struct demo *d)
{
	uint64_t features;
	int status = cmd_probe(WATCH_MODE_WRITE | WATCH_MODE_MISSING, &features), r;

	if (status)
		return status;
	r = start_target(d);
	if (r < 0)
		return failed("cannot start the target", r);
	cmd_name_of(d->pid, &d->name);
	log_info("demo target running as pid %d (3 threads, 72 MiB)", (int)d->pid);
	d->path = d->a.output ? d->a.output : d->default_path;
	snprintf(d->default_path, sizeof(d->default_path), "pagetap-%d.ndjson", (int)d->pid);
	status = attach(d, features);
	return status ? status : watch(d);
}

int cmd_demo(int argc, char **argv)
{
	static struct demo d = {
		.a.duration_ns = 3 * NSEC_PER_SEC,
		.rec = RECORDING_NULL,
		.input = -1,
		.output = -1,
		.signal_fd = -1,
	};
	int operand, status;
	size_t len;

	if (!cmd_begin(&page, argc, argv, &d.a, &d.a.voice, &operand, &status))
		return status;
	if (operand < argc)
		return cmd_usage(&page, "unexpected argument '%s'", argv[operand]);
	len = d.a.output ? strlen(d.a.output) : 0;
	if (len && (!strcmp(d.a.output, "-") ||
		    (len > 4 && !strcmp(d.a.output + len - 4, ".zst"))))
		return cmd_usage(&page, "the demo reads its trace again: a plain FILE only");
	status = demo(&d);
	recording_end(&d.rec);
	if (d.pid)
		end_target(&d);
	close_fd(&d.signal_fd);
	return status;
}
