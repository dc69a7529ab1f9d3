/* SPDX-License-Identifier: MIT */
/*
 * Settled: a bit for each lazy page of a task, whether it has come to one process.
 *
 * Pure.  Pages are named by their address in the image, which no mremap changes.  The bits
 * are the caller's, where a pager finds them that takes over from one that died; they are
 * set after a page has been put in place, so that one may have come whose bit is not set
 * (UFFDIO_COPY says so then), and none has not come whose bit is.
 *
 * Who sets bits of the same process excludes the others who do.
 */
#ifndef RESTORE_SETTLED_H
#define RESTORE_SETTLED_H

#include <stddef.h>
#include <stdint.h>

#include "restore/image.h"
#include "restore/owed.h"

/* Which bit is whose, of one task of the image. */
struct settled_index;

/* -ENOMEM.  The task has to outlive it. */
int settled_index_new(const struct image_task *task, struct settled_index **ret);
void settled_index_free(struct settled_index *x);
/* Bytes of all bits; they are all 0 at first. */
size_t settled_bytes(const struct settled_index *x);

/* These pages of the image have come; such as are not lazy are passed over. */
void settled_set(const struct settled_index *x, uint64_t *bits, uint64_t image, uint64_t npages);
/* What has come is not owed any more.  -ENOMEM: some of it still is. */
int settled_close(const struct settled_index *x, const uint64_t *bits, struct owed *o);

#endif
