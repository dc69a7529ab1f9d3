/* SPDX-License-Identifier: MIT */
/*
 * Failure: words for what went wrong, put into the caller's struct without allocation.
 *
 * First error wins; only damage to the target outranks it.  Async-signal-safe but
 * for vsnprintf(3), which libc in use keeps free of locks for these formats.
 */
#ifndef INJECT_FAILURE_H
#define INJECT_FAILURE_H

#include "pagetap/inject.h"

/* Zero everything: no failure. */
void failure_clear(struct pagetap_failure *f);

/*
 * Say what failed.  error is a positive errno; 0 takes the one that belongs to the
 * reason.  Returns -errno, also when an earlier failure is kept.
 */
int failure_set(struct pagetap_failure *f, enum pagetap_phase phase, enum pagetap_reason reason,
		int error, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* What to do about it. */
void failure_hint(struct pagetap_failure *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Undoing failed: replaces any earlier failure, because the target is damaged now. */
int failure_damage(struct pagetap_failure *f, enum pagetap_phase phase, int error,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Add the state of the target, and words for it, to the text. */
void failure_conclude(struct pagetap_failure *f, enum pagetap_target_state state);

/* Bytes of the target made harmless: control bytes, backslash and non-ASCII as \ooo. */
void failure_escape(char *to, size_t size, const char *from);

#endif
