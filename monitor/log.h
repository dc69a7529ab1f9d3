/* SPDX-License-Identifier: MIT */
/*
 * Log: the lines for people, on standard error.
 *
 * Only main.c, cmd-*.c and watch/session.c may speak.  One line says what and
 * why; an optional second, `hint:`, what to do.  Text from the target is escaped
 * here: control bytes and invalid UTF-8 come out as \ooo.
 */
#ifndef MONITOR_LOG_H
#define MONITOR_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_color { LOG_COLOR_AUTO, LOG_COLOR_ALWAYS, LOG_COLOR_NEVER };

/* verbosity: -1 quiet, 0 normal, 1 -v, 2 -vv.  Returns nothing, cannot fail. */
void log_setup(int verbosity, enum log_color color);
/* "pagetap: " + text */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* the text alone: the line after a usage error, an answer */
void log_plain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* the text alone, not with -q: the lines of a summary */
void log_result(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* not with -q */
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* only with -v */
void log_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* a warning worth colour: losses and gaps */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* one line that replaces itself; only on a terminal, at most 4 a second */
void log_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_progress_clear(void);
/* True if colour goes to the stream with this descriptor. */
bool log_color_on(int fd);
/*
 * Copy foreign bytes to buf so that no terminal obeys them; always
 * NUL-terminated, cut with "..." when too long.  Returns buf.
 */
const char *log_escape(const char *bytes, size_t len, char *buf, size_t cap);

#endif
