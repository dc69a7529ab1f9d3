/* SPDX-License-Identifier: MIT */
/*
 * Record: attach to processes, or start one, and write what their memory does.
 *
 * Everything is parsed and refused before anything is touched; every target is
 * looked at before the output is opened; whatever happens then, the targets are
 * let go before the last line is said.  pagetap-record(1).
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd-summary.h"
#include "cmd-watch.h"
#include "exit.h"

struct record_args {
	struct cmd_voice voice;
	struct cmd_watch watch;
	const char *output;
	uint64_t max_bytes;
	bool strict;
};

#define AT(member) .offset = offsetof(struct record_args, member)

static const struct option_spec options[] = {
	WATCH_ARGS_OPTIONS(struct record_args, watch.a),
	WATCH_ARGS_EVENTS_OPTION(struct record_args, watch.a),
	{ 'o', "output", "FILE", "where to write; - is stdout, .zst compresses",
	  OPTION_TEXT, AT(output) },
	{ 'd', "duration", "SEC", "stop after so many seconds", OPTION_SECONDS,
	  AT(watch.a.duration_ns) },
	{ 'n', "count", "COUNT", "stop after so many faults", OPTION_NUMBER,
	  AT(watch.a.max_faults), .min = 1 },
	{ 0, "max-size", "SIZE", "stop when the output is so large (10M, 2G)", OPTION_SIZE,
	  AT(max_bytes), .min = WRITER_LIMIT_MIN },
	{ 0, "who", NULL, "async: also who wrote each page, and from where", OPTION_FLAG,
	  AT(watch.a.who) },
	WATCH_ARGS_ENGINE_OPTIONS(struct record_args, watch.a),
	{ 0, "strict", NULL, "exit with status 6 if records were lost", OPTION_FLAG, AT(strict) },
	CMD_VOICE_OPTIONS(struct record_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap record -p 4242 -o t.ndjson        (Ctrl-C ends it; 4242 goes on)",
	"pagetap record -p 4242 -d 10 -m heap --rearm 1000",
	"pagetap record -f --engine sync -o t.ndjson.zst -- make",
	NULL,
};

static const struct option_page page = {
	.command = "record",
	.operands = "{-p PID[,PID...] | -- COMMAND [ARG...]}",
	.about = "Attach to processes and write down every fault and first write as NDJSON.",
	.options = options,
	.examples = examples,
};

static int open_output(struct cmd_watch *w)
{
	int r = recording_output(&w->rec, w->path);

	if (r >= 0)
		return EXIT_OK;
	r = summary_refused_output(w->path, r);
	return w->a.command ? EXIT_COMMAND_FAILED : r;
}

/* What the recording alone would end with. */
static int ending(const struct record_args *a, int session_error)
{
	const struct cmd_watch *w = &a->watch;
	const struct recording *rec = &w->rec;

	if (rec->result.error) {
		summary_output_error(w->path, rec);
		if (rec->result.error == -EPIPE)
			launch_die_by(SIGPIPE);
		log_info("recording stopped, %s was detached and runs on; the file ends with a "
			 "whole record", w->name[0].s);
		return EXIT_RUNTIME;
	}
	if (rec->result.gone)
		log_warn("%s was removed while it was written; nothing of the trace is left",
			 w->path);
	if (session_error < 0)
		log_error("recording stopped: %s", strerror(-session_error));
	else
		summary_ending(&w->name[0], w->a.targets.pid[0], w->a.targets.n, rec);
	summary_numbers(rec);
	summary_losses(rec, w->a.ring);
	if (!rec->result.gone)
		summary_next(w->path, rec);
	if (session_error < 0 || rec->result.gone)
		return EXIT_RUNTIME;
	return a->strict && rec->summary.stats.lost ? EXIT_LOSSES : EXIT_OK;
}

/* A trace of nothing: the file that was made for it goes. */
static void discard_output(struct cmd_watch *w)
{
	struct stat st;

	recording_end(&w->rec);
	if (strcmp(w->path, "-") && !lstat(w->path, &st) && S_ISREG(st.st_mode))
		unlink(w->path);
}

static int record(struct record_args *a)
{
	struct cmd_watch *w = &a->watch;
	int status, error;

	w->path = a->output;
	status = watch_begin(w);
	if (!status)
		status = open_output(w);
	if (!status)
		status = watch_start(w, a->max_bytes, summary_tick, NULL);
	if (status)
		return status;
	status = watch_attach(w, true);
	if (!w->attached)
		discard_output(w);
	if (status || !w->attached)
		return status;
	if (!watch_run(w, &error))
		launch_die_by(w->rec.ended_by);
	return watch_end(w, ending(a, error));
}

int cmd_record(int argc, char **argv)
{
	static struct record_args a = { .watch = CMD_WATCH_NULL };
	int status;

	if (watch_parse(&page, argc, argv, &a, &a.voice, &a.watch, &status))
		status = record(&a);
	watch_free(&a.watch);
	return status;
}
