/* SPDX-License-Identifier: MIT */
/*
 * Words: numbers as people read them.
 *
 * Pure.  Every function writes into the caller's buffer and returns it, so that
 * calls nest in the arguments of one message.
 */
#ifndef MONITOR_WORDS_H
#define MONITOR_WORDS_H

#include <stdint.h>

struct words {
	char s[32];
};

/* 61,204 */
const char *words_count(uint64_t n, struct words *w);
/* 132 KiB, 8.0 MiB: below ten with one decimal */
const char *words_bytes(uint64_t bytes, struct words *w);
/* 820 ns, 6.1 us, 1.9 ms, 12.4 s */
const char *words_duration(uint64_t ns, struct words *w);
/* The name of a signal (SIGTERM), or its number. */
const char *words_signal(int sig, struct words *w);

#endif
