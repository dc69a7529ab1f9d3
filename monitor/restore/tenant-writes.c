/* SPDX-License-Identifier: MIT */
/* Tenant: first writes are told of as well.  See tenant.h. */

#include <errno.h>

#include "restore/tenant-parts.h"

/*
 * CRIU has registered its mappings for missing pages; registered once more by the same
 * userfaultfd they have both (userfaultfd_register() asks only that it is the same one).
 * A mapping that does not take it stays as it was, and its pages come unprotected.
 */
int tenant_writes(struct tenant *t)
{
	int r = -ENOENT, one;

	gate_close(&t->gate);
	for (size_t i = 0; i < t->task->nvmas; i++) {
		const struct image_vma *v = &t->task->vmas[i];

		if (!image_vma_lazy(v))
			continue;
		one = place_watch_writes(t->uffd, (struct range){ v->start, v->end });
		if (!one)
			t->wp = true;
		r = t->wp ? 0 : one;
	}
	gate_open(&t->gate);
	return r;
}

int tenant_arm(struct tenant *t, struct range r)
{
	int e;

	gate_close(&t->gate);
	e = place_protect(t->uffd, r);
	gate_open(&t->gate);
	return e;
}

enum tenant_deed tenant_unprotect(struct tenant *t, struct range page)
{
	switch (place_unprotect(t->uffd, page)) {
	case PLACE_ALL:
		return TENANT_DID_UNPROTECT;
	case PLACE_GONE:
		tenant_gone(t);
		return TENANT_DID_NOTHING;
	default:	/* the layout is changing; it faults again if need be */
		place_wake(t->uffd, page);
		return TENANT_DID_NOTHING;
	}
}
