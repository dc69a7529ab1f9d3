/* SPDX-License-Identifier: MIT */
/* Restore: what the files of the command share; nobody else does. */
#ifndef MONITOR_CMD_RESTORE_H
#define MONITOR_CMD_RESTORE_H

#include <limits.h>

#include "cmd.h"
#include "lazy-serve.h"
#include "restore-bar.h"
#include "restore-crew.h"

#define RESTORE_LOG "restore.log"

struct restore_args {
	struct cmd_voice voice;
	struct lazy_options lazy;
	const char *criu;
	const char *criu_dir;		/* where its own images are */
	bool json;
	char **options;			/* criu's, ends with NULL */
};

struct restore {
	const struct restore_args *args;
	struct lazy_options lazy;	/* as the pager has them */
	char work[PATH_MAX];
	bool own_work;			/* the folder is ours to remove */
	struct figures *figures;
	struct crew crew;
	int signals;
	sigset_t old_mask;
	uint64_t begun_at, resumed_at;	/* CLOCK_MONOTONIC; resumed_at 0: not yet */
	struct bar_rate rate;
	uint64_t told_at;		/* when all pages were there and that was said */
	bool waiting;			/* and we only wait for criu since then */
	bool printed;			/* the summary or the object of --json */
	int json_status;		/* what became of that */
	bool log_told;			/* where criu's log is has been */
};

/* cmd-restore-watch.c: from the first process to the end of the last; the exit status. */
int restore_watch(struct restore *r);

/* cmd-restore-sum.c. */

/* The line that replaces itself, on a terminal. */
void restore_draw(struct restore *r);
/* One line of how far it is. */
void restore_interim(struct restore *r);
/* All is there: the summary. */
void restore_sum_up(struct restore *r);
/* The object of --json on standard output.  EXIT_OK, or what it is when that cannot be. */
int restore_print_json(struct restore *r, int status);
/* criu ended like this, see wait(2), and the last that it said in its log. */
void restore_criu_failed(struct restore *r, int wait_status);

#endif
