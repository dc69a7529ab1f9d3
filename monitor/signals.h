/* SPDX-License-Identifier: MIT */
/*
 * Signals: those of a recording come through a descriptor, and interrupt nothing.
 */
#ifndef MONITOR_SIGNALS_H
#define MONITOR_SIGNALS_H

#include <signal.h>

/*
 * Before any thread exists: they inherit the mask.  INT, TERM, HUP and USR1 are
 * blocked and readable from *ret_fd; PIPE, TSTP and TTOU are blocked.  *ret_old is the
 * mask from before.  -errno.
 */
int signals_take(int *ret_fd, sigset_t *ret_old);

#endif
