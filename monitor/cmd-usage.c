/* SPDX-License-Identifier: MIT */
/* Cmd: how every command begins, and what it says to a wrong usage.  See cmd.h. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "exit.h"

static enum log_color color_of(const char *word)
{
	if (!word || !strcmp(word, "auto"))
		return LOG_COLOR_AUTO;
	return strcmp(word, "always") ? LOG_COLOR_NEVER : LOG_COLOR_ALWAYS;
}

int cmd_usage(const struct option_page *page, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("%s", text);
	log_plain("Try 'pagetap %s --help'.", page->command);
	return EXIT_USAGE;
}

bool cmd_begin(const struct option_page *page, int argc, char **argv, void *into,
	       const struct cmd_voice *voice, int *ret_operand, int *ret_status)
{
	struct options_error e;
	int r = options_parse(page, argc, argv, into, ret_operand, &e);

	if (r == OPTIONS_HELP) {
		options_help(page, stdout);
		*ret_status = EXIT_OK;
		return false;
	}
	log_setup(voice->quiet ? -1 : (int)voice->verbose, color_of(voice->color));
	if (r < 0) {
		*ret_status = cmd_usage(page, "%s", e.text);
		return false;
	}
	if (voice->quiet && voice->verbose) {
		*ret_status = cmd_usage(page, "-q and -v contradict each other");
		return false;
	}
	return true;
}
