/* SPDX-License-Identifier: MIT */
/*
 * Trace: attach to processes, or start one, and show what their memory does while it does,
 * a line an event.
 *
 * A recording whose lines are for people: the writer's thread makes them, so that a slow
 * terminal holds nobody, and what it has no time for is counted.  pagetap-trace(1).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd-summary.h"
#include "cmd-watch.h"
#include "exit.h"
#include "report/code-name.h"
#include "report/live-sum.h"
#include "report/live.h"
#include "sandbox.h"

struct trace_args {
	struct cmd_voice voice;
	struct cmd_watch watch;
	const char *output;
	uint64_t lines;
	bool wall, no_who, only_summary, summary;
};

#define AT(member) .offset = offsetof(struct trace_args, member)

static const struct option_spec options[] = {
	WATCH_ARGS_OPTIONS(struct trace_args, watch.a),
	WATCH_ARGS_EVENTS_OPTION(struct trace_args, watch.a),
	{ 'o', "output", "FILE", "where to write the lines (standard output)",
	  OPTION_TEXT, AT(output) },
	{ 'd', "duration", "SEC", "stop after so many seconds", OPTION_SECONDS,
	  AT(watch.a.duration_ns) },
	{ 'n', "count", "COUNT", "stop after so many lines", OPTION_NUMBER, AT(lines), .min = 1 },
	{ 't', "time", NULL, "the time of day, not that since the start", OPTION_FLAG, AT(wall) },
	{ 'c', "summary-only", NULL, "no lines, but tables of counts at the end", OPTION_FLAG,
	  AT(only_summary) },
	{ 'C', "summary", NULL, "lines, and the tables at the end", OPTION_FLAG, AT(summary) },
	{ 0, "no-who", NULL, "async: which pages, not who wrote them", OPTION_FLAG, AT(no_who) },
	WATCH_ARGS_ENGINE_OPTIONS(struct trace_args, watch.a),
	CMD_VOICE_OPTIONS(struct trace_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap trace -p 4242                     (Ctrl-C ends it; 4242 goes on)",
	"pagetap trace -p 4242 -m heap -d 10 -C",
	"pagetap trace -f -c --engine sync -- make -j2",
	NULL,
};

static const struct option_page page = {
	.command = "trace",
	.operands = "{-p PID[,PID...] | -- COMMAND [ARG...]}",
	.about = "Attach to processes and show what their memory does, a line an event.",
	.options = options,
	.examples = examples,
};

/* The writer's, once it has begun. */
struct view {
	struct writer_form form;
	struct live_opts opts;
	struct model *model;
	struct symbols *symbols;
	struct live *live;
	struct live_sum *sum;		/* NULL: no tables */
	bool lines;
};

static int64_t begin_lines(void *arg, const struct record_header *h, char *buf, size_t cap)
{
	struct view *v = arg;

	(void)buf;
	(void)cap;
	v->opts.base_real_ns = h->base_real_ns;
	return live_new(&v->live, &v->opts);
}

static int64_t make_line(void *arg, const struct record *r, uint64_t seq, char *buf, size_t cap)
{
	struct view *v = arg;
	int err = model_record(v->model, r);
	int64_t n;

	(void)seq;
	_Static_assert(LIVE_LINE_MAX <= RECORD_TEXT_LINE_MAX, "a line has room");
	(void)cap;
	if (err)
		return err;
	n = live_line(v->live, r, buf);
	if (n > 0 && v->sum)
		err = live_sum_add(v->sum, r);
	return err ? err : v->lines ? n : 0;
}

static void view_done(struct view *v)
{
	v->sum = live_sum_free(v->sum);
	v->live = live_free(v->live);
	v->symbols = symbols_free(v->symbols);
	v->model = model_free(v->model);
}

static int64_t utc_offset(void)
{
	time_t now = time(NULL);
	struct tm tm;

	return localtime_r(&now, &tm) ? tm.tm_gmtoff : 0;
}

static int view_begin(struct view *v, const struct trace_args *a)
{
	const struct watch_args *w = &a->watch.a;
	int r = model_new(&v->model, (uint32_t)sysconf(_SC_PAGESIZE));

	if (!r)
		r = symbols_new(&v->symbols, &(struct symbols_options){ 0 });
	if (!r && (a->summary || a->only_summary))
		r = live_sum_new(&v->sum, v->model);
	v->opts = (struct live_opts){
		.model = v->model,
		.color = log_color_on(a->output ? -1 : STDOUT_FILENO),
		.who = w->who,
		.maps = !w->filter.kinds || w->filter.kinds & WATCH_KIND_MAP,
		.wall = a->wall,
		.utc_offset_s = utc_offset(),
		.code = code_name,
		.code_arg = v->symbols,
	};
	v->form = (struct writer_form){
		.arg = v, .most = a->lines, .head = begin_lines, .line = make_line,
	};
	v->lines = !a->only_summary;
	if (r < 0)
		log_error("cannot start tracing: %s", strerror(-r));
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}

/* Lines are the progress; without them it is told as record does. */
static void tick(void *arg, const struct session_summary *now)
{
	const struct trace_args *a = arg;

	if (now->asked || a->only_summary)
		summary_tick(NULL, now);
}

static int say_sum(const struct live_sum *sum)
{
	int r = live_sum_print(sum, stdout);

	if (r < 0)
		log_error("no tables: %s", strerror(-r));
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}

static int ending(const struct trace_args *a, const struct view *v, int session_error)
{
	const struct cmd_watch *w = &a->watch;
	const struct recording *rec = &w->rec;

	if (rec->result.error == -EPIPE)
		launch_die_by(SIGPIPE);
	summary_output_error(w->path, rec);
	if (session_error < 0)
		log_error("tracing stopped: %s", strerror(-session_error));
	else
		summary_ending(&w->name[0], w->a.targets.pid[0], w->a.targets.n, rec);
	summary_losses(rec, w->a.ring);
	if (v->sum && say_sum(v->sum))
		return EXIT_RUNTIME;
	return rec->result.error || session_error < 0 ? EXIT_RUNTIME : EXIT_OK;
}

static int open_output(struct cmd_watch *w)
{
	int r = recording_output(&w->rec, w->path);

	if (r >= 0)
		return EXIT_OK;
	r = summary_refused_output(w->path, r);
	return w->a.command ? EXIT_COMMAND_FAILED : r;
}

static int trace(struct trace_args *a, struct view *v)
{
	struct cmd_watch *w = &a->watch;
	int status, error;

	w->path = a->output ? a->output : "-";
	w->rec.form = &v->form;
	w->rec.begin = sandbox_viewer;
	status = watch_begin(w);
	/* Only now it is known that the engine can: it has not been asked for. */
	w->a.who = w->async && !a->no_who;
	if (!status)
		status = view_begin(v, a);
	if (!status)
		status = open_output(w);
	if (!status)
		status = watch_start(w, 0, tick, a);
	if (!status)
		status = watch_attach(w, true);
	if (status || !w->attached)
		return status;
	if (!watch_run(w, &error))
		launch_die_by(w->rec.ended_by);
	return watch_end(w, ending(a, v, error));
}

int cmd_trace(int argc, char **argv)
{
	static struct trace_args a = { .watch = CMD_WATCH_NULL };
	static struct view v = { .lines = true };
	int status;

	a.watch.a.may_who = true;
	if (watch_parse(&page, argc, argv, &a, &a.voice, &a.watch, &status)) {
		if (a.summary && a.only_summary)
			status = cmd_usage(&page, "-c and -C contradict each other");
		else if (a.no_who && a.watch.a.sure)
			status = cmd_usage(&page, "--sure does not go with --no-who");
		else
			status = trace(&a, &v);
	}
	watch_free(&a.watch);
	view_done(&v);
	return status;
}
