/* SPDX-License-Identifier: MIT */
/* What the files of a tenant share; nobody else does. */
#ifndef RESTORE_TENANT_PARTS_H
#define RESTORE_TENANT_PARTS_H

#include "restore/place.h"
#include "restore/tenant.h"

static inline struct range page_at(uint64_t addr)
{
	addr = align_down(addr, IMAGE_PAGE);
	return (struct range){ addr, addr + IMAGE_PAGE };
}

/* Owed nothing, with no userfaultfd yet.  NULL: no memory. */
struct tenant *tenant_blank(int32_t pid, const struct image_task *task);
/* The address space has gone, and all that is owed to it. */
void tenant_gone(struct tenant *t);
/*
 * What has come, or will not: owed_close(), and written down.  Under the lock; after the
 * page is in place.
 */
int64_t tenant_close(struct tenant *t, struct range r, enum owed_end why);
/* The same, for who does not hold the lock; what cannot be written down is owed still. */
void tenant_close_part(struct tenant *t, struct range r, enum owed_end why);
/* What the source is asked for part of what is owed; cuts the part at the piece's end. */
bool tenant_want(const struct tenant *t, struct owed_part *part, struct source_want *ret);
/* Of the page that somebody waits for: what became of it. */
struct tenant_aim {
	uint64_t page;
	bool plain;		/* who waits writes to it: it is not protected */
	enum tenant_deed deed;
};
/* Somebody writes to a page that is protected. */
enum tenant_deed tenant_unprotect(struct tenant *t, struct range page);
/*
 * Copy a part that is in flight, as far as it goes, and write down what became of each
 * page; what could not be done is free again.  aim: may be NULL.
 */
enum place_end tenant_place(struct tenant *t, const struct owed_part *part, const void *data,
			    struct tenant_aim *aim);
/*
 * A page that is in flight cannot be had.  Where the kernel cannot poison, it stays in
 * flight for ever: who touches it waits, which is better than zeroes.
 */
void tenant_unreadable(struct tenant *t, struct range page);

#endif
