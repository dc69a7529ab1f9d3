/* SPDX-License-Identifier: MIT */
/*
 * Lazy-pages: in the place of CRIU's daemon of that name.
 *
 * Takes the options that `criu restore --lazy-pages` and its callers give to theirs.
 * pagetap-lazy-pages(1).
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd-status-fd.h"
#include "cmd.h"
#include "exit.h"
#include "lazy-serve.h"

/* CRIU's levels: 1 errors, 2 warnings (its default), 3 information, 4 everything. */
#define LEVEL_DEFAULT 2
#define LEVEL_MAX 4

struct lazy_args {
	struct cmd_voice voice;
	struct lazy_options lazy;
	const char *log, *pidfile;
	uint64_t status_fd;
	bool daemon, no_config;
};

/* -v4, -v, -vv, --verbosity=4: into voice.verbose and voice.quiet. */
static int parse_level(void *member, const char *arg, struct options_error *e)
{
	struct cmd_voice *voice = member;
	uint64_t level = LEVEL_DEFAULT + voice->verbose;

	if (!arg)
		level++;
	else if (strspn(arg, "v") == strlen(arg))
		level += strlen(arg) + 1;
	else if (!options_number(arg, 0, LEVEL_MAX, &level))
		return options_wrong(e, "'%s' is not a level from 0 to %d", arg, LEVEL_MAX);
	voice->quiet = level < LEVEL_DEFAULT;
	voice->verbose = level < LEVEL_DEFAULT ? 0 : (unsigned int)level - LEVEL_DEFAULT;
	return 0;
}

#define AT(member) .offset = offsetof(struct lazy_args, member)

static const struct option_spec options[] = {
	{ 'D', "images-dir", "DIR", "the checkpoint; also http:// or https://", OPTION_TEXT,
	  AT(lazy.images.path) },
	{ 'W', "work-dir", "DIR", "socket and log are there, not in the checkpoint", OPTION_TEXT,
	  AT(lazy.work) },
	REMOTE_ARGS_OPTIONS(struct lazy_args, lazy.remote),
	{ 'o', "output", "FILE", "a trace of the restore; - is stdout, .zst compresses",
	  OPTION_TEXT, AT(lazy.trace) },
	{ .name = "prefetch", .arg = "TRACE",
	  .help = "fill first what was touched first in that one",
	  .type = OPTION_TEXT, AT(lazy.prefetch) },
	{ .name = "cold", .arg = "WHAT", .help = "what nobody touches: fill or leave it",
	  .type = OPTION_WORD, .words = "fill\0leave\0", AT(lazy.cold) },
	IMAGES_ARGS_OPTIONS(struct lazy_args, lazy.images),
	{ .name = "mode", .arg = "MODE", .help = "what the trace tells of: missing, or also write",
	  .type = OPTION_WORD, .words = "missing\0write\0", AT(lazy.mode) },
	{ .name = "threads", .arg = "N", .help = "that copy in the background",
	  .type = OPTION_NUMBER, AT(lazy.threads), .min = 1, .max = 16 },
	{ .name = "on-death", .arg = "WHAT", .help = "of the pager: restart, or kill the restored",
	  .type = OPTION_WORD, AT(lazy.on_death), .words = "restart\0kill\0" },
	{ .name = "status-fd", .arg = "FD", .help = "write a zero byte there once we listen",
	  .type = OPTION_NUMBER, AT(status_fd), .max = 1 << 20 },
	{ 'd', "daemon", NULL, "go to the background once we listen", OPTION_FLAG, AT(daemon) },
	{ .name = "pidfile", .arg = "FILE", .help = "write the daemon's number there",
	  .type = OPTION_TEXT, AT(pidfile) },
	{ .name = "log-file", .arg = "FILE", .help = "messages go there, not to standard error",
	  .type = OPTION_TEXT, AT(log) },
	{ .name = "no-default-config", .help = "nothing: there is no configuration",
	  .type = OPTION_FLAG, AT(no_config) },
	{ 'v', "verbose", "LEVEL", "say more; or a level as CRIU counts: 4 is all",
	  OPTION_MAYBE, AT(voice), .parse = parse_level },
	{ .name = "verbosity", .arg = "LEVEL", .help = "the same", .type = OPTION_MAYBE,
	  AT(voice), .parse = parse_level },
	{ 'q', "quiet", NULL, "say nothing but errors", OPTION_FLAG, AT(voice.quiet) },
	{ .name = "color", .arg = "WHEN", .help = "auto, always or never", .type = OPTION_WORD,
	  .words = "auto\0always\0never\0", AT(voice.color) },
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap lazy-pages -D checkpoint/",
	"pagetap lazy-pages -D copy/ --page-server --address 10.0.0.1 --port 2727",
	"criu restore --lazy-pages -D checkpoint/ -W /run/restore",
	NULL,
};

static const struct option_page page = {
	.command = "lazy-pages",
	.about = "Bring the pages of a CRIU checkpoint to processes that are restored lazily.",
	.options = options,
	.examples = examples,
};

/* A name in the working directory, as CRIU takes those of log and pid file. */
static int open_at_work(const struct lazy_args *a, const char *name, int flags)
{
	_close_ int dir = open(a->lazy.work, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (dir < 0)
		return -errno;
	fd = openat(dir, name, flags | O_CLOEXEC | O_NOCTTY, 0600);
	return fd < 0 ? -errno : fd;
}

static int log_to_file(const struct lazy_args *a)
{
	_close_ int fd = -1;

	if (!a->log)
		return EXIT_OK;
	fd = open_at_work(a, a->log, O_WRONLY | O_CREAT | O_TRUNC);
	if (fd < 0) {
		log_error("%s: %s", a->log, strerror(-fd));
		return EXIT_RUNTIME;
	}
	if (dup2(fd, STDERR_FILENO) < 0) {
		log_error("%s: %s", a->log, strerror(errno));
		return EXIT_RUNTIME;
	}
	return EXIT_OK;
}

static int write_pidfile(const struct lazy_args *a, pid_t pid)
{
	_close_ int fd = -1;

	if (!a->pidfile)
		return EXIT_OK;
	fd = open_at_work(a, a->pidfile, O_WRONLY | O_CREAT | O_TRUNC);
	if (fd >= 0 && dprintf(fd, "%d", pid) > 0)
		return EXIT_OK;
	log_error("%s: %s", a->pidfile, strerror(fd < 0 ? -fd : errno));
	return EXIT_RUNTIME;
}

/* True: this is the parent, and *ret_status its exit status. */
static bool go_to_background(const struct lazy_args *a, int *ret_status)
{
	pid_t pid;
	int null;

	if (!a->daemon) {
		*ret_status = write_pidfile(a, getpid());
		return *ret_status != EXIT_OK;
	}
	pid = fork();
	if (pid < 0)
		log_error("fork: %s", strerror(errno));
	if (pid) {
		*ret_status = pid < 0 ? EXIT_RUNTIME : write_pidfile(a, pid);
		return true;
	}
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (!a->log)
			dup2(null, STDERR_FILENO);
		close(null);
	}
	return false;
}

static int run(const struct lazy_args *a)
{
	struct lazy l = LAZY_NULL;
	int status = lazy_open(&a->lazy, &l);

	if (status != EXIT_OK)
		goto out;
	if (go_to_background(a, &status)) {
		if (a->daemon && status == EXIT_OK)
			lazy_leave(&l);
		goto out;
	}
	status = status_fd_tell(a->status_fd);
	if (status == EXIT_OK)
		status = lazy_serve(&a->lazy, &l);
out:
	lazy_close(&l);
	return status;
}

int cmd_lazy_pages(int argc, char **argv)
{
	struct lazy_args a = { .lazy.resumed = -1 };
	int operand, status = EXIT_OK;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand < argc)
		return cmd_usage(&page, "unexpected argument '%s'", argv[operand]);
	if (!a.lazy.images.path)
		a.lazy.images.path = ".";
	if (!a.lazy.work)
		a.lazy.work = http_url_is(a.lazy.images.path) ? "." : a.lazy.images.path;
	/* With the name of the program. */
	a.lazy.argv = (const char *const *)argv - 1;
	status = lazy_check(&a.lazy, &page);
	if (status != EXIT_OK)
		return status;
	status = status_fd_check(a.status_fd, &page);
	if (status == EXIT_OK)
		status = log_to_file(&a);
	return status == EXIT_OK ? run(&a) : status;
}
