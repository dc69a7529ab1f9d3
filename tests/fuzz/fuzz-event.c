/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: event decoder, follow, layout and cover together.
 *
 * The input is a row of messages as a userfaultfd would write them, applied to a
 * small world.  Whatever it holds, regions stay disjoint and the counts right.
 */

#include <stdlib.h>
#include <string.h>

#include "compat/uffd.h"
#include "watch/follow.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x10000000)
#define PAGES 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *arg, enum vma_op op, struct region *r)
{
	(void)arg;
	(void)op;
	if (r->r.lo >= r->r.hi)
		abort();
}

/* Addresses near the mappings, or the events would hardly ever hit one. */
static uint64_t near(uint64_t v)
{
	return BASE + v % (2 * PAGES * PAGE);
}

/* What names one of the mappings already stays as it is: so do the seeds. */
static void bring_near(struct uffd_msg *m)
{
	if (m->event < UFFD_EVENT_PAGEFAULT || m->event > UFFD_EVENT_UNMAP)
		m->event = (uint8_t)(UFFD_EVENT_PAGEFAULT + m->event % 5);
	if (m->event == UFFD_EVENT_REMAP) {
		m->arg.remap.from = near(m->arg.remap.from) & ~(PAGE - 1);
		m->arg.remap.to = near(m->arg.remap.to) & ~(PAGE - 1);
		m->arg.remap.len %= 64 * PAGE;
	} else if (m->event != UFFD_EVENT_PAGEFAULT && m->event != UFFD_EVENT_FORK) {
		uint64_t len = (m->arg.remove.end - m->arg.remove.start) % (64 * PAGE);

		m->arg.remove.start = near(m->arg.remove.start);
		m->arg.remove.end = m->arg.remove.start + len;
	}
}

static void check(const struct layout *l, const struct cover *c)
{
	uint64_t last = 0;
	size_t n = 0;

	for (struct region *g = layout_from(l, 0); g; g = layout_next(l, g), n++) {
		if (g->r.lo < last || g->r.lo >= g->r.hi)
			abort();
		last = g->r.hi;
	}
	if (n != l->n || c->armed > c->claimed)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct map_entry v[] = {
		{ .lo = BASE, .hi = BASE + PAGES * PAGE, .prot = 3, .name = "" },
		{ .lo = BASE + (PAGES + 16) * PAGE, .hi = BASE + (PAGES + 64) * PAGE, .prot = 3,
		  .ino = 4, .name = "/f", .name_len = 2 },
	};
	struct maps m = { .v = v, .n = 2 };
	struct follow_change change;
	struct layout layout;
	struct cover cover;
	uint32_t next_id = 1;

	layout_init(&layout, 512);
	cover_init(&cover, PAGE);
	layout_reconcile(&layout, &m, true, &next_id, ignore, NULL);
	cover_arm(&cover, (struct range){ v[0].lo, v[0].hi });
	for (; size >= EVENT_SIZE; data += EVENT_SIZE, size -= EVENT_SIZE) {
		struct uffd_msg msg;
		struct event ev;

		if (event_decode(data, EVENT_SIZE, &ev) == 0 && ev.kind == EVENT_REMAP &&
		    ev.remap.from.lo > ev.remap.from.hi)
			abort();
		memcpy(&msg, data, sizeof(msg));
		bring_near(&msg);
		if (event_decode(&msg, sizeof(msg), &ev) < 0)
			continue;
		/* mremap(2) refuses overlapping source and destination. */
		if (ev.kind == EVENT_REMAP &&
		    range_overlaps(ev.remap.from,
				   (struct range){ ev.remap.to,
						   ev.remap.to + range_len(ev.remap.from) }))
			continue;
		follow_apply(&layout, &cover, &ev, &next_id, ignore, NULL, &change);
		check(&layout, &cover);
	}
	layout_done(&layout);
	cover_done(&cover);
	return 0;
}
