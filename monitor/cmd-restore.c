/* SPDX-License-Identifier: MIT */
/*
 * Restore: `criu restore --lazy-pages` and the daemon that it wants, in one command.
 *
 * pagetap-restore(1).
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd-restore.h"
#include "exit.h"
#include "launch.h"
#include "restore-options.h"
#include "restore/handoff.h"
#include "signals.h"

#define CRIU "criu"

#define AT(member) .offset = offsetof(struct restore_args, member)

static const struct option_spec options[] = {
	{ 'D', "images-dir", "DIR", "the checkpoint; also http:// or https://", OPTION_TEXT,
	  AT(lazy.images.path) },
	{ 'W', "work-dir", "DIR", "socket and log are there [a folder of its own]", OPTION_TEXT,
	  AT(lazy.work) },
	{ .name = "criu", .arg = "PROGRAM", .help = "the one to run [" CRIU ", in PATH]",
	  .type = OPTION_TEXT, AT(criu) },
	{ .name = "criu-dir", .arg = "DIR", .help = "what criu reads itself, where -D is no folder",
	  .type = OPTION_TEXT, AT(criu_dir) },
	IMAGES_ARGS_OPTIONS(struct restore_args, lazy.images),
	REMOTE_ARGS_OPTIONS(struct restore_args, lazy.remote),
	{ 'o', "output", "FILE", "a trace of the restore; .zst compresses", OPTION_TEXT,
	  AT(lazy.trace) },
	{ .name = "mode", .arg = "MODE", .help = "what the trace tells of: missing, or also write",
	  .type = OPTION_WORD, .words = "missing\0write\0", AT(lazy.mode) },
	{ .name = "prefetch", .arg = "TRACE",
	  .help = "fill first what was touched first in that one",
	  .type = OPTION_TEXT, AT(lazy.prefetch) },
	{ .name = "cold", .arg = "WHAT", .help = "what nobody touches: fill or leave it",
	  .type = OPTION_WORD, .words = "fill\0leave\0", AT(lazy.cold) },
	{ .name = "threads", .arg = "N", .help = "that copy in the background",
	  .type = OPTION_NUMBER, AT(lazy.threads), .min = 1, .max = 16 },
	{ .name = "on-death", .arg = "WHAT", .help = "of the pager: restart, or kill the restored",
	  .type = OPTION_WORD, AT(lazy.on_death), .words = "restart\0kill\0" },
	{ 'J', "json", NULL, "one JSON object instead of the summary", OPTION_FLAG, AT(json) },
	CMD_VOICE_OPTIONS(struct restore_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap restore -D checkpoint/ -- --shell-job",
	"pagetap restore -D checkpoint/ --json -- -d --tcp-established",
	"pagetap restore -D copy/ --page-server --address 10.0.0.1 --port 2727 -- -d",
	NULL,
};

static const struct option_page page = {
	.command = "restore",
	.operands = "[-- CRIU-OPTION...]",
	.about = "Restore a CRIU checkpoint whose processes run before their memory is there.",
	.options = options,
	.examples = examples,
};

static int find_criu(const struct restore_args *a)
{
	int r = launch_find(a->criu);

	if (!r)
		return EXIT_OK;
	if (r == -EACCES) {
		log_error("%s: it may not be executed", a->criu);
		return EXIT_RUNTIME;
	}
	log_error("%s: no such program", a->criu);
	log_hint(strcmp(a->criu, CRIU) ? "--criu PROGRAM names the CRIU to run" :
		 "install CRIU 4.1 or later (Debian 13: apt install criu), or name one: "
		 "--criu PROGRAM");
	return EXIT_RUNTIME;
}

static bool is_folder_of_ours(const char *path)
{
	struct stat st;

	return path && path[0] == '/' && !stat(path, &st) && S_ISDIR(st.st_mode) &&
	       !access(path, W_OK | X_OK);
}

/* Of mode 0700, and gone at the end. */
static int make_work(struct restore *r)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (!is_folder_of_ours(base))
		base = is_folder_of_ours("/run") ? "/run" : "/tmp";
	if (snprintf(r->work, sizeof(r->work), "%s/pagetap-restore.XXXXXX", base) >=
	    (int)sizeof(r->work) || !mkdtemp(r->work)) {
		log_error("%s: no folder can be made there: %s", base, strerror(errno));
		return EXIT_RUNTIME;
	}
	r->own_work = true;
	return EXIT_OK;
}

static int take_work(struct restore *r)
{
	const char *given = r->args->lazy.work;

	if (!given)
		return make_work(r);
	if (snprintf(r->work, sizeof(r->work), "%s", given) < (int)sizeof(r->work))
		return EXIT_OK;
	log_error("%s: %s", given, strerror(ENAMETOOLONG));
	return EXIT_RUNTIME;
}

/*
 * Of a folder of ours nothing stays that criu or the pager puts there; what an option behind --
 * has made (--pidfile) does, and a log that was told of.
 */
static void leave_work(const struct restore *r)
{
	static const char *const files[] = { RESTORE_LOG, HANDOFF_SOCKET, "stats-restore" };
	_close_ int folder = -1;

	if (!r->own_work)
		return;
	folder = open(r->work, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = r->log_told ? 1 : 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(folder, files[i], 0);
	if (rmdir(r->work) < 0 && !r->log_told)
		log_info("what criu has put into %s stays there", r->work);
}

/* In a process of its own, for all of its life. */
static int pager_main(void *arg, int ready)
{
	struct restore *r = arg;
	struct lazy l = LAZY_NULL;
	int status = lazy_open(&r->lazy, &l);

	if (status == EXIT_OK && write(ready, "", 1) != 1)
		status = EXIT_RUNTIME;
	close(ready);
	if (status == EXIT_OK)
		status = lazy_serve(&r->lazy, &l);
	lazy_close(&l);
	return status;
}

/* The pager's lines come through a pipe: what goes to a terminal here is coloured there. */
static int pager_begin(void *arg, int ready)
{
	const struct restore *r = arg;
	const struct cmd_voice *v = &r->args->voice;

	log_setup(v->quiet ? -1 : (int)v->verbose,
		  log_color_on(STDERR_FILENO) ? LOG_COLOR_ALWAYS : LOG_COLOR_NEVER);
	return pager_main(arg, ready);
}

static int begin(struct restore *r)
{
	int e = signals_take(&r->signals, &r->old_mask);

	if (e < 0) {
		log_error("signals cannot be taken: %s", strerror(-e));
		return EXIT_RUNTIME;
	}
	r->figures = mmap(NULL, sizeof(*r->figures), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	r->lazy = r->args->lazy;
	r->lazy.work = r->work;
	r->lazy.figures = r->figures;
	r->lazy.accompanied = true;
	r->lazy.resumed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->figures == MAP_FAILED || r->lazy.resumed < 0) {
		log_error("no restore can be begun: %s", strerror(errno));
		return EXIT_RUNTIME;
	}
	e = crew_start_pager(&r->crew, pager_begin, r);
	if (!e)
		return EXIT_OK;
	log_error("no process can be made: %s", strerror(-e));
	return EXIT_RUNTIME;
}

static int run(struct restore *r)
{
	int status = find_criu(r->args);

	if (status == EXIT_OK)
		status = take_work(r);
	if (status != EXIT_OK)
		return status;
	r->begun_at = clock_now();
	status = begin(r);
	if (status == EXIT_OK)
		status = restore_watch(r);
	leave_work(r);
	crew_close(&r->crew);
	close_fd(&r->lazy.resumed);
	close_fd(&r->signals);
	return status;
}

int cmd_restore(int argc, char **argv)
{
	struct restore_args a = { .lazy.images.path = ".", .criu = CRIU };
	struct restore r = {
		.args = &a, .crew = CREW_NULL, .signals = -1, .lazy.resumed = -1,
	};
	const char *refused, *why = "";
	int operand, status;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand < argc && strcmp(argv[operand - 1], "--"))
		return cmd_usage(&page, "unexpected argument '%s' (options of criu come after --)",
				 argv[operand]);
	if (a.lazy.trace && !strcmp(a.lazy.trace, "-"))
		return cmd_usage(&page, "-o - would mix with what is restored: give a file");
	/* With the name of the program. */
	a.lazy.argv = (const char *const *)argv - 1;
	a.options = argv + operand;
	refused = restore_refused_option(a.options, &why);
	if (refused)
		return cmd_usage(&page, "criu cannot be given %s: %s", refused, why);
	if (!http_url_is(a.lazy.images.path) == !!a.criu_dir)
		return cmd_usage(&page, a.criu_dir ? "--criu-dir is for -D with an address" :
				 "criu reads no address: give it a folder with --criu-dir");
	if (!a.criu_dir)
		a.criu_dir = a.lazy.images.path;
	status = lazy_check(&a.lazy, &page);
	return status == EXIT_OK ? run(&r) : status;
}
