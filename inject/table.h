/* SPDX-License-Identifier: MIT */
/*
 * Table: is there anybody but one thread who uses the descriptors of a process?
 *
 * If not, nobody can copy one of them, close it, or take its number while that thread
 * stands still.
 */
#ifndef INJECT_TABLE_H
#define INJECT_TABLE_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Does another process use it (clone(2) with CLONE_FILES and without CLONE_THREAD)?  Its
 * parent and its children are asked, kcmp(2); true also where they cannot be.
 */
bool table_is_shared(int procfd, pid_t pid, pid_t parent);
/* Are there other threads?  taskdir: a descriptor of its /proc/PID/task. */
bool table_has_threads(int taskdir);

#endif
