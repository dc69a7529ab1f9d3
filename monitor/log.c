/* SPDX-License-Identifier: MIT */
/* Log: lines for people, on standard error.  See log.h. */

#include "log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES 2048
#define PROGRESS_MAX 160
#define PROGRESS_EVERY (NSEC_PER_SEC / 4)

#define RED "\033[31m"
#define BOLD_RED "\033[1;31m"
#define CYAN "\033[36m"
#define PLAIN "\033[m"
#define ERASE "\r\033[K"

static int log_verbosity;
static enum log_color log_wanted;
static bool progress_shown;
static uint64_t progress_next;

void log_setup(int verbosity, enum log_color color)
{
	log_verbosity = verbosity;
	log_wanted = color;
}

static bool fd_is_terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb");
}

bool log_color_on(int fd)
{
	const char *no = getenv("NO_COLOR");

	if (log_wanted != LOG_COLOR_AUTO)
		return log_wanted == LOG_COLOR_ALWAYS;
	return fd_is_terminal(fd) && !(no && *no);
}

const char *log_escape(const char *bytes, size_t len, char *buf, size_t cap)
{
	utf8_escape(bytes, len, buf, cap);
	return buf;
}

static void put(const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, bytes, len);

		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

struct tone {
	const char *before;	/* of the word in front */
	const char *lead;
	bool all;		/* the colour lasts to the end of the line */
};

static void say(const struct tone *t, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void say(const struct tone *t, const char *fmt, va_list ap)
{
	bool color = *t->before && log_color_on(STDERR_FILENO);
	char raw[LINE_MAX_BYTES], text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 64];
	int n = vsnprintf(raw, sizeof(raw), fmt, ap);

	if (n < 0)
		return;
	log_escape(raw, strlen(raw), text, sizeof(text));
	log_progress_clear();
	n = snprintf(line, sizeof(line), "%s%s%s%s%s\n", color ? t->before : "", t->lead,
		     color && !t->all ? PLAIN : "", text, color && t->all ? PLAIN : "");
	if (n > 0)
		put(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

#define SAY(...)                                       \
	do {                                           \
		static const struct tone t = { __VA_ARGS__ }; \
		va_list ap;                            \
		va_start(ap, fmt);                     \
		say(&t, fmt, ap);                      \
		va_end(ap);                            \
	} while (0)

void log_error(const char *fmt, ...)
{
	SAY(BOLD_RED, "pagetap: ", false);
}

void log_hint(const char *fmt, ...)
{
	SAY(CYAN, "hint: ", false);
}

void log_plain(const char *fmt, ...)
{
	SAY("", "", false);
}

void log_result(const char *fmt, ...)
{
	if (log_verbosity >= 0)
		SAY("", "", false);
}

void log_info(const char *fmt, ...)
{
	if (log_verbosity >= 0)
		SAY("", "pagetap: ", false);
}

void log_verbose(const char *fmt, ...)
{
	if (log_verbosity >= 1)
		SAY("", "pagetap: ", false);
}

void log_warn(const char *fmt, ...)
{
	SAY(RED, "pagetap: ", true);
}

void log_progress(const char *fmt, ...)
{
	char raw[PROGRESS_MAX], text[PROGRESS_MAX], line[PROGRESS_MAX + 16];
	uint64_t now = clock_now();
	va_list ap;
	int n;

	if (log_verbosity < 0 || !fd_is_terminal(STDERR_FILENO) || now < progress_next)
		return;
	progress_next = now + PROGRESS_EVERY;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	log_escape(raw, strlen(raw), text, sizeof(text));
	n = snprintf(line, sizeof(line), "%s%s", ERASE, text);
	if (n > 0)
		put(line, (size_t)n);
	progress_shown = true;
}

void log_progress_clear(void)
{
	if (!progress_shown)
		return;
	progress_shown = false;
	put(ERASE, sizeof(ERASE) - 1);
}
