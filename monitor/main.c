/* SPDX-License-Identifier: MIT */
/*
 * Main: the table of commands.  Knows no option of any of them.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "exit.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *about;	/* NULL: not for people */
};

static const struct command commands[] = {
	{ "record", cmd_record, "attach to a process and write what its memory does" },
	{ "trace", cmd_trace, "show what a process's memory does, a line an event" },
	{ "top", cmd_top, "show which memory is written now, and by whom" },
	{ "map", cmd_map, "show a process's mappings and what can be watched" },
	{ "check", cmd_check, "say what this machine, user and process allow" },
	{ "report", cmd_report, "say what a trace tells: who wrote what, where and when" },
	{ "validate", cmd_validate, "read a trace strictly and say what is wrong with it" },
	{ "diff", cmd_diff, "say what changed from one trace to another" },
	{ "export", cmd_export, "write a trace in the format of another tool" },
	{ "demo", cmd_demo, "watch a small program for three seconds" },
	{ "restore", cmd_restore, "restore a checkpoint that runs before its memory is there" },
	{ "lazy-pages", cmd_lazy_pages, "bring the pages of a checkpoint when they are wanted" },
	{ "page-server", cmd_page_server, "give the pages of a checkpoint to lazy restores" },
	{ "demo-target", cmd_demo_target, NULL },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	puts("Usage: pagetap COMMAND [OPTIONS] [ARGUMENTS]\n"
	     "Attach to a running process from outside and follow its memory, page by page.\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (commands[i].about)
			printf("  %-11s  %s\n", commands[i].name, commands[i].about);
	puts("\n"
	     "  -h, --help     print this and exit\n"
	     "  -V, --version  print the version and exit\n"
	     "\n"
	     "Examples:\n"
	     "  pagetap check\n"
	     "  pagetap record -p 4242 -o t.ndjson\n"
	     "  pagetap record --help");
}

static void print_version(void)
{
	puts("pagetap " PAGETAP_VERSION "\n"
	     "Licence: MIT.  Comes with no warranty.\n"
	     "Built with: engines async and sync; write, missing and minor faults; zstd; "
#ifdef WITHOUT_NCURSES
	     "no ncurses.");
#else
	     "ncurses.");
#endif
}

/*
 * Buffered output may fail as late as here, and a full disk or a closed pipe must
 * not look like success.
 */
static int close_stdout(int status)
{
	int lost = fflush(stdout) ? errno : ferror(stdout) ? EIO : 0;

	if (fclose(stdout) && !lost)
		lost = errno;
	if (!lost || lost == EBADF)
		return status;
	if (lost == EPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	log_error("standard output: %s", strerror(lost));
	return status ? status : EXIT_RUNTIME;
}

static int run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word) {
		log_error("no command given");
	} else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
		print_help();
		return EXIT_OK;
	} else if (!strcmp(word, "-V") || !strcmp(word, "--version")) {
		print_version();
		return EXIT_OK;
	} else {
		for (size_t i = 0; i < NR_COMMANDS; i++)
			if (!strcmp(word, commands[i].name))
				return commands[i].run(argc - 1, argv + 1);
		log_error(word[0] == '-' ? "unknown option %s" : "unknown command '%s'", word);
	}
	log_plain("Try 'pagetap --help'.");
	return EXIT_USAGE;
}

/*
 * A file opened while descriptor 2 is closed becomes descriptor 2, and our
 * messages would go into it.
 */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	fill_standard_fds();
	return close_stdout(run(argc, argv));
}
