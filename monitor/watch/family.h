/* SPDX-License-Identifier: MIT */
/*
 * Family: which process a forked child's userfaultfd belongs to.
 *
 * A fork event carries a userfaultfd and no pid: the kernel sends it before it has
 * given the child one.  Two things tell: the first fault in the child names its
 * thread; and a page protected through the child's userfaultfd shows bit 57 in the
 * pagemap of the right process and of no other.
 */
#ifndef WATCH_FAMILY_H
#define WATCH_FAMILY_H

#include <stdbool.h>
#include <sys/types.h>

#include "watch/space.h"

/*
 * Does `child`, not yet named, belong to process pid?  1 yes, 0 no, -EAGAIN ask
 * later, -ESRCH the child has gone.  May move the cover of one page of the child,
 * and says so in the trace.
 */
int family_match(struct space *child, pid_t pid);

/*
 * The pid of `child` among what is known: its first fault, then the candidates.
 * 0 if none fits now; -EAGAIN ask again soon; -ESRCH if the child has gone.
 */
pid_t family_find(struct space *child, const pid_t *candidates, unsigned int n);

#endif
