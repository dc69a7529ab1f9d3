/* SPDX-License-Identifier: MIT */
/* Fuzz: the parser of /proc/PID/maps, and reconciliation with what it yields. */

#include <stdlib.h>

#include "watch/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *arg, enum vma_op op, struct region *r)
{
	(void)arg;
	(void)op;
	if (r->r.lo >= r->r.hi)
		abort();
}

/* The input is two readings, one after the other; the first byte says where to cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maps m = MAPS_NULL;
	struct layout layout;
	uint32_t next_id = 1;
	size_t cut;

	if (size < 2)
		return 0;
	cut = 1 + (size - 1) * data[0] / 256;
	layout_init(&layout, 4096);
	if (!maps_parse((const char *)data + 1, cut - 1, &m))
		layout_reconcile(&layout, &m, true, &next_id, ignore, NULL);
	if (!maps_parse((const char *)data + cut, size - cut, &m) &&
	    !layout_reconcile(&layout, &m, false, &next_id, ignore, NULL) && layout.n != m.n)
		abort();
	layout_done(&layout);
	maps_done(&m);
	return 0;
}
