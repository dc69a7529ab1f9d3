/* SPDX-License-Identifier: MIT */
/*
 * Top: attach to processes, or start one, and show what is written now, and by whom.
 *
 * A recording without an output: a thread takes the records and draws a screen of them.
 * pagetap-top(1).
 */

#include "cmd-top.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd-summary.h"
#include "exit.h"
#include "report/code-name.h"
#include "top-loop.h"
#include "top-paint.h"

#define INTERVAL_NS NSEC_PER_SEC
#define INTERVAL_MIN (100 * NSEC_PER_MSEC)
#define INTERVAL_MAX (60 * NSEC_PER_SEC)

struct top_args {
	struct cmd_voice voice;
	struct cmd_watch watch;
	uint64_t interval_ns;
	bool once, json;
};

#define AT(member) .offset = offsetof(struct top_args, member)

static const struct option_spec options[] = {
	WATCH_ARGS_OPTIONS(struct top_args, watch.a),
	{ 'd', "duration", "SEC", "stop after so many seconds", OPTION_SECONDS,
	  AT(watch.a.duration_ns) },
	{ 'i', "interval", "SEC", "from one picture to the next (1)", OPTION_SECONDS,
	  AT(interval_ns) },
	{ 0, "once", NULL, "one interval, printed; no terminal is needed", OPTION_FLAG, AT(once) },
	{ 'J', "json", NULL, "--once: as one JSON object", OPTION_FLAG, AT(json) },
	{ 0, "who", NULL, "async: also who wrote each page, and from where", OPTION_FLAG,
	  AT(watch.a.who) },
	WATCH_ARGS_ENGINE_OPTIONS(struct top_args, watch.a),
	CMD_VOICE_OPTIONS(struct top_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap top -p 4242                       (q ends it; 4242 goes on)",
	"pagetap top -p 4242 --who -i 0.5",
	"pagetap top -p 4242 --once --json",
	NULL,
};

static const struct option_page page = {
	.command = "top",
	.operands = "{-p PID[,PID...] | -- COMMAND [ARG...]}",
	.about = "Show which memory is written now: by mapping, by thread, by function.",
	.options = options,
	.examples = examples,
};

static int check(const struct top_args *a)
{
	if (a->json && !a->once)
		return cmd_usage(&page, "--json needs --once");
	if (a->interval_ns < INTERVAL_MIN || a->interval_ns > INTERVAL_MAX)
		return cmd_usage(&page, "--interval is from 0.1 to 60 seconds");
	return EXIT_OK;
}

/* Before anything is touched. */
static int check_terminal(const struct top_args *a)
{
	int r = a->once ? 0 : top_paint_check();

	if (!r)
		return EXIT_OK;
	if (r == -EOPNOTSUPP)
		log_error("this pagetap was built without ncurses, and cannot draw on a terminal");
	else if (r == -ENOTTY)
		log_error("standard input and output are not a terminal");
	else
		log_error("TERM names no terminal that is known here and can be drawn on");
	log_hint("--once prints one interval, --once --json for programs; or pagetap trace");
	return EXIT_USAGE;
}

static const char *engine_name(const struct cmd_watch *w)
{
	return w->a.engine == ENGINE_BOTH ? "both" :
	       !w->async ? "sync" : w->a.who ? "async --who" : "async";
}

static struct top_loop_opts loop_opts(const struct top_args *a, struct symbols *symbols)
{
	const struct cmd_watch *w = &a->watch;
	const uint64_t epoch = w->a.epoch_ms * NSEC_PER_MSEC;
	const bool sync = !w->async || w->a.engine == ENGINE_BOTH;

	return (struct top_loop_opts){
		.once = a->once,
		.color = log_color_on(STDOUT_FILENO),
		.view = {
			.interval_ns = a->interval_ns,
			.interval_min_ns = w->async && epoch > INTERVAL_MIN ? epoch : INTERVAL_MIN,
			.target = w->name[0].s,
			.engine = engine_name(w),
			.who = sync || w->a.who,
		},
		.watched = {
			.page_size = (uint32_t)sysconf(_SC_PAGESIZE),
			.engine = w->a.engine == ENGINE_BOTH ? TALLY_BOTH :
				  w->async ? TALLY_ASYNC : TALLY_SYNC,
			.writes = filter_args_filter(&w->a.filter).modes & WATCH_MODE_WRITE,
			.epoch_ns = epoch,
			.code = code_name_function,
			.code_arg = symbols,
		},
	};
}

static void tick(void *arg, const struct session_summary *now)
{
	(void)arg;
	(void)now;
}

static int print(const struct top_args *a, const struct top_loop *l)
{
	const struct top_view *v = top_loop_view(l);

	return a->json ? top_print_json(v, top_loop_watched(l), &a->watch) :
			 top_print_text(v, top_loop_watched(l));
}

static int ending(const struct top_args *a, const struct top_loop *l, int session_error)
{
	const struct cmd_watch *w = &a->watch;
	int error = w->rec.result.error;

	if (error)
		log_error("the screen has ended: %s", strerror(-error));
	if (session_error < 0)
		log_error("watching stopped: %s", strerror(-session_error));
	else
		summary_ending(&w->name[0], w->a.targets.pid[0], w->a.targets.n, &w->rec);
	summary_losses(&w->rec, w->a.ring);
	if (a->once && print(a, l))
		return EXIT_RUNTIME;
	return error || session_error < 0 ? EXIT_RUNTIME : EXIT_OK;
}

static int watch(struct top_args *a, struct recording_taker *taker, struct top_loop *l)
{
	struct cmd_watch *w = &a->watch;
	int status, error;

	w->rec.taker = taker;
	status = watch_start(w, 0, tick, NULL);
	if (!status)
		status = watch_attach(w, a->once);
	if (status || !w->attached)
		return status;
	if (!watch_run(w, &error))
		launch_die_by(w->rec.ended_by);
	return watch_end(w, ending(a, l, error));
}

/* A picture has what one collection has found, or what was written since all was armed anew. */
static void every_interval(struct top_args *a)
{
	struct watch_args *w = &a->watch.a;
	const bool writes = filter_args_filter(&w->filter).modes & WATCH_MODE_WRITE;

	if (a->watch.async && !w->epoch_ms)
		w->epoch_ms = a->interval_ns / NSEC_PER_MSEC;
	if (!a->watch.async && !w->rearm_ms && writes)
		w->rearm_ms = a->interval_ns / NSEC_PER_MSEC;
}

static int top(struct top_args *a)
{
	struct recording_taker taker;
	struct cmd_watch *w = &a->watch;
	struct symbols *symbols = NULL;
	struct top_loop *loop = NULL;
	struct top_loop_opts o;
	int status, r;

	w->path = "-";
	status = watch_begin(w);
	if (status)
		return status;
	every_interval(a);
	r = symbols_new(&symbols, &(struct symbols_options){ 0 });
	o = loop_opts(a, symbols);
	if (!r)
		r = top_loop_new(&loop, &o, &taker);
	if (r < 0)
		log_error("cannot start: %s", strerror(-r));
	status = r < 0 ? EXIT_RUNTIME : watch(a, &taker, loop);
	/* The thread ends first. */
	recording_end(&w->rec);
	top_loop_free(loop);
	symbols_free(symbols);
	return status;
}

int cmd_top(int argc, char **argv)
{
	static struct top_args a = { .watch = CMD_WATCH_NULL, .interval_ns = INTERVAL_NS };
	int status;

	if (watch_parse(&page, argc, argv, &a, &a.voice, &a.watch, &status)) {
		status = check(&a);
		if (!status)
			status = check_terminal(&a);
		if (!status)
			status = top(&a);
	}
	watch_free(&a.watch);
	return status;
}
