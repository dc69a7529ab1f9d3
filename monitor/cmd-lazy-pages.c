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
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "exit.h"
#include "remote-args.h"
#include "restore/handoff.h"
#include "restore/image-dir.h"
#include "restore/image-process.h"
#include "restore/pager.h"
#include "restore/source-files.h"
#include "sandbox.h"
#include "signals.h"
#include "words.h"

#define FILLERS_MIN 2
#define FILLERS_MOST 4
/* CRIU's levels: 1 errors, 2 warnings (its default), 3 information, 4 everything. */
#define LEVEL_DEFAULT 2
#define LEVEL_MAX 4

struct lazy_args {
	struct cmd_voice voice;
	const char *images, *work, *log, *pidfile;
	struct remote_args remote;
	uint64_t status_fd, threads;
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
	{ 'D', "images-dir", "DIR", "the checkpoint", OPTION_TEXT, AT(images) },
	{ 'W', "work-dir", "DIR", "socket and log are there, not in the checkpoint", OPTION_TEXT,
	  AT(work) },
	REMOTE_ARGS_OPTIONS(struct lazy_args, remote),
	{ .name = "threads", .arg = "N", .help = "that copy in the background",
	  .type = OPTION_NUMBER, AT(threads), .min = 1, .max = 16 },
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

static void say(void *arg, enum pager_tone tone, const char *words)
{
	(void)arg;
	switch (tone) {
	case PAGER_DETAIL:
		log_verbose("%s", words);
		break;
	case PAGER_NOTE:
		log_info("%s", words);
		break;
	case PAGER_WARNING:
		log_warn("%s", words);
		break;
	case PAGER_ERROR:
		log_error("%s", words);
		break;
	}
}

/* A name in the working directory, as CRIU takes those of log and pid file. */
static int open_at_work(const struct lazy_args *a, const char *name, int flags)
{
	_close_ int dir = open(a->work, O_PATH | O_DIRECTORY | O_CLOEXEC);
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

static int read_image(const struct lazy_args *a, struct image_dir **ret_dir, struct image *ret)
{
	struct image_problem why;
	int r = image_folder_open(a->images, ret_dir);

	if (r < 0) {
		log_error("%s: %s", a->images, strerror(-r));
		return EXIT_RUNTIME;
	}
	r = image_read_apart(*ret_dir, sandbox_parser, ret, &why);
	if (r < 0) {
		log_error("%s: %s", a->images, why.text);
		return r == -EOPNOTSUPP ? EXIT_UNSUPPORTED : EXIT_RUNTIME;
	}
	return EXIT_OK;
}

/* Of this folder, or (then *ret_remote is one) of a page server. */
static int open_source(const struct lazy_args *a, struct image_dir *dir, const struct image *image,
		       struct source **ret, struct remote *ret_remote)
{
	size_t file;
	int r;

	if (a->remote.on) {
		r = remote_source_open(&a->remote, dir, image, ret_remote);
		*ret = ret_remote->source;
		return r;
	}
	r = source_files_open(dir, image, ret, &file);

	if (!r)
		return EXIT_OK;
	if (r == -ENODATA)
		log_error("%s: pages of this checkpoint are at a page server: --page-server",
			  a->images);
	else if (file < image->nfiles)
		log_error("%s: pages-%u.img: %s", a->images, image->files[file].id, strerror(-r));
	else
		log_error("%s: %s", a->images, strerror(-r));
	return EXIT_RUNTIME;
}

/* Every process brings a descriptor, and every fork of one another. */
static void raise_descriptors(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static unsigned int fillers(const struct lazy_args *a)
{
	cpu_set_t cpus;
	unsigned int n = FILLERS_MIN;

	if (a->threads)
		return (unsigned int)a->threads;
	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		n = (unsigned int)CPU_COUNT(&cpus);
	return n < FILLERS_MIN ? FILLERS_MIN : n > FILLERS_MOST ? FILLERS_MOST : n;
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

static int tell_listening(const struct lazy_args *a)
{
	if (!a->status_fd)
		return EXIT_OK;
	if (write((int)a->status_fd, "", 1) != 1) {
		log_error("status fd %" PRIu64 ": %s", a->status_fd, strerror(errno));
		return EXIT_RUNTIME;
	}
	close((int)a->status_fd);
	return EXIT_OK;
}

static int verdict(const struct pager_result *r)
{
	const struct owed_totals *t = &r->totals;
	uint64_t came = t->ended[OWED_ARRIVED] + t->ended[OWED_THERE];
	struct words a, b, c, d;

	if (r->end == PAGER_NO_RESTORE)
		return EXIT_RUNTIME;
	log_info("%s of %s pages in %s, %s of them for faults", words_count(came, &a),
		 words_count(t->added, &b), words_duration(r->took_ns, &c),
		 words_count(r->counts.faults, &d));
	if (came < t->added)
		log_info("not wanted any more: %s unmapped, %s dropped, %s of processes that ended",
			 words_count(t->ended[OWED_UNMAPPED], &a),
			 words_count(t->ended[OWED_REMOVED], &b),
			 words_count(t->ended[OWED_GONE], &c));
	if (t->ended[OWED_POISONED])
		log_error("%s pages could not be read: who touches one gets SIGBUS",
			  words_count(t->ended[OWED_POISONED], &a));
	if (t->ended[OWED_LOST])
		log_error("%s pages have no place: their addresses were not handed over",
			  words_count(t->ended[OWED_LOST], &a));
	return r->end == PAGER_COMPLETE ? EXIT_OK : EXIT_RUNTIME;
}

static int serve(const struct lazy_args *a, const struct image *image, struct source *source,
		 int listener)
{
	_close_ int signals = -1;
	struct pager_setup setup = {
		.image = image, .source = source, .listener = listener, .fillers = fillers(a),
		.say = say,
	};
	struct pager_result result;
	sigset_t old;
	int r = signals_take(&signals, &old);

	setup.signals = signals;
	if (!r)
		r = pager_run(&setup, &result);
	else
		close(listener);
	handoff_unlink(a->work);
	if (r < 0) {
		log_error("cannot serve: %s", strerror(-r));
		return EXIT_RUNTIME;
	}
	return verdict(&result);
}

static int run(const struct lazy_args *a)
{
	struct image_dir *dir = NULL;
	struct image image = IMAGE_NULL;
	struct source *source = NULL;
	struct remote remote = REMOTE_NULL;
	struct handoff_problem why;
	int listener, status = read_image(a, &dir, &image);

	if (status == EXIT_OK)
		status = open_source(a, dir, &image, &source, &remote);
	if (status != EXIT_OK)
		goto out;
	raise_descriptors();
	listener = handoff_listen(a->work, &why);
	if (listener < 0) {
		log_error("%s: %s", a->work, why.text);
		status = listener == -EPERM ? EXIT_NOT_PERMITTED : EXIT_RUNTIME;
		goto out;
	}
	if (go_to_background(a, &status) || (status = tell_listening(a))) {
		close(listener);
		/* The connection is the daemon's now: no goodbye of ours. */
		if (a->daemon && status == EXIT_OK) {
			source = NULL;
			remote = REMOTE_NULL;
		}
		goto out;
	}
	status = serve(a, &image, source, listener);
	if (remote.source && status == EXIT_OK)
		remote_source_finish(&remote);
out:
	if (remote.source || remote.tls)
		remote_source_close(&remote);
	else if (source)
		source->ops->free(source);
	image_free(&image);
	if (dir)
		dir->ops->free(dir);
	return status;
}

int cmd_lazy_pages(int argc, char **argv)
{
	struct lazy_args a = { 0 };
	int operand, status = EXIT_OK;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand < argc)
		return cmd_usage(&page, "unexpected argument '%s'", argv[operand]);
	if (!a.images)
		a.images = ".";
	if (!a.work)
		a.work = a.images;
	if (a.remote.on && !a.remote.port)
		return cmd_usage(&page, "--page-server needs a --port");
	if (!a.remote.on && (a.remote.address || a.remote.port || a.remote.tls.on))
		return cmd_usage(&page, "options of a page server, but no --page-server");
	if (a.status_fd && fcntl((int)a.status_fd, F_GETFD) < 0)
		return cmd_usage(&page, "option --status-fd: %" PRIu64 " is not open", a.status_fd);
	status = log_to_file(&a);
	return status == EXIT_OK ? run(&a) : status;
}
