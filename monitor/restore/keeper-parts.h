/* SPDX-License-Identifier: MIT */
/* What the files of the keeper share; nobody else does. */
#ifndef RESTORE_KEEPER_PARTS_H
#define RESTORE_KEEPER_PARTS_H

#include "restore/keeper.h"

/* Close what a dead pager has left; connections that it had just accepted are taken over. */
void keeper_sweep(const struct keeper_setup *k, const struct keeper_fds *at_start);

/*
 * Kill all that was handed over, and what came of it.  False: some of it is still there, and
 * has to be served; n: how many.
 */
bool keeper_kill(const struct keeper_setup *k, unsigned int *ret_left);

#endif
