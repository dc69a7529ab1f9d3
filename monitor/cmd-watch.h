/* SPDX-License-Identifier: MIT */
/*
 * Watch: from arguments to a running session, and back; for record, trace and top.
 *
 *	watch_begin(&w)		everything was looked at, nothing is touched; the agent runs
 *	...			the command opens its output, into w.rec
 *	watch_start(&w, ..)	line 1 is written
 *	watch_attach(&w)	the targets are watched; what is not needed any more is given up
 *	watch_run(&w)		until it ends; the targets are free then, and all is written
 *	watch_end(&w, status)	what the command ends with
 *	watch_free(&w)		in every case
 *
 * Speaks: what is wrong, and what -v wants to know.
 */
#ifndef MONITOR_CMD_WATCH_H
#define MONITOR_CMD_WATCH_H

#include "cmd.h"
#include "launch.h"
#include "recording.h"
#include "watch-args.h"

struct cmd_watch {
	struct watch_args a;
	struct launch launch;
	struct recording rec;
	struct cmd_name name[TARGET_ARGS_MAX];
	const char *path;		/* of the output; NULL: pagetap-PID.ndjson */
	char default_path[64];
	sigset_t old_mask;
	int signal_fd;
	uint64_t features;
	bool async;			/* what the engine came to */
	bool attached;
};

#define CMD_WATCH_NULL                                                                         \
	{ .a = WATCH_ARGS_NULL, .launch = LAUNCH_NULL, .rec = RECORDING_NULL, .signal_fd = -1 }

/* Parse, and refuse what does not go together; as cmd_begin(), w being a member of into. */
bool watch_parse(const struct option_page *page, int argc, char **argv, void *into,
		 const struct cmd_voice *voice, struct cmd_watch *w, int *ret_status);
/* Each: EXIT_OK, or the exit status after saying why not. */
int watch_begin(struct cmd_watch *w);
/* max_bytes: of the output, 0 any.  tick: session_on_tick(), may be NULL. */
int watch_start(struct cmd_watch *w, uint64_t max_bytes,
		void (*tick)(void *arg, const struct session_summary *now), void *arg);
/*
 * EXIT_OK with w->attached false: the COMMAND has ended before, and said so.  say: tell of
 * each target how it was attached to.
 */
int watch_attach(struct cmd_watch *w, bool say);
/*
 * *ret_error: of session_run().  False: it was told to stop at once, and whoever asked
 * shall see a death by rec.ended_by.
 */
bool watch_run(struct cmd_watch *w, int *ret_error);
/* With a COMMAND its own end is ours, whatever the recording came to. */
int watch_end(struct cmd_watch *w, int status);
void watch_free(struct cmd_watch *w);

#endif
