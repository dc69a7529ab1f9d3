/* SPDX-License-Identifier: MIT */
/*
 * The pieces of layout.c that layout-reconcile.c works with too; nobody else does.
 */
#ifndef WATCH_LAYOUT_TREE_H
#define WATCH_LAYOUT_TREE_H

#include "watch/layout.h"

/* A copy of the part r of a region, unlinked, with its own name.  NULL: no memory. */
struct region *region_copy(const struct region *from, struct range r);
void region_free(struct region *r);
/* Other bounds for a linked region; the order of the tree must stay as it is. */
void region_resize(struct region *r, struct range to);
void layout_link(struct layout *l, struct region *r);
void layout_unlink(struct layout *l, struct region *r);

#endif
