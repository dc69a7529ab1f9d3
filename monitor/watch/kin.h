/* SPDX-License-Identifier: MIT */
/*
 * Kin: which processes descend from the targets.
 *
 * A set of process ids that grows with the forks the proc connector tells of, so that
 * a daemon is still known after its parents have gone; where there is no connector,
 * or one of its events was lost, the living parents are asked.
 */
#ifndef WATCH_KIN_H
#define WATCH_KIN_H

#include <stdbool.h>
#include <sys/types.h>

#include "watch/procwatch.h"

struct kin;

/* Knows nobody yet.  -ENOMEM. */
int kin_new(struct kin **ret);
struct kin *kin_free(struct kin *k);
/* A target: it and all who come from it belong. */
void kin_add(struct kin *k, pid_t pid);
/* Pure: what a fork or an exit changes.  `lives`: a process that exits has other threads. */
void kin_follow(struct kin *k, const struct procwatch_event *ev, bool lives);
bool kin_has(const struct kin *k, pid_t pid);
/* Is it one of them, or is a living ancestor?  Reads /proc, remembers a yes. */
bool kin_find(struct kin *k, pid_t pid);

#endif
