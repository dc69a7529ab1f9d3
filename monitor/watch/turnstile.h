/* SPDX-License-Identifier: MIT */
/*
 * Turnstile: one pagetap after the other attaches to a process.
 *
 * Whether a process is watched already shows in its mappings, but only once they are
 * registered; two that look at the same time would both go on, and the one would arm
 * the memory that the other is about to put back.  An abstract socket address, which
 * the kernel gives to one at a time and takes back from the dead, is the turnstile; it
 * is of a network namespace, and anybody could sit on it: so it is waited for, and not
 * for ever.
 */
#ifndef WATCH_TURNSTILE_H
#define WATCH_TURNSTILE_H

#include <stdint.h>
#include <sys/types.h>

/* A descriptor to be closed once the process is registered; -1: go on without. */
int turnstile_enter(pid_t pid, uint64_t wait_ns);

#endif
