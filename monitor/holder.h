/* SPDX-License-Identifier: MIT */
/*
 * Holder: does a process hold the other end of a descriptor of ours?
 *
 * A target that reads our output would wait for us while we wait for it: it parks
 * on a page, we park on its full pipe.  Reads /proc only.
 */
#ifndef MONITOR_HOLDER_H
#define MONITOR_HOLDER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * fd: a pipe or FIFO that pid can read from, or a pseudo-terminal whose master pid
 * holds.  False for everything else, and when /proc does not show pid's descriptors
 * (such a process cannot be attached to either).
 */
bool holder_reads(pid_t pid, int fd);
/* The same for a FIFO by its name, which need not exist. */
bool holder_reads_path(pid_t pid, const char *path);

#endif
