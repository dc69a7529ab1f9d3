/* SPDX-License-Identifier: MIT */
/*
 * Follow: one layout event, the layout and the cover in; what changed out.
 *
 * Pure: no fd, no clock, no log.  Faults and forks are not its business.
 */
#ifndef WATCH_FOLLOW_H
#define WATCH_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"
#include "watch/cover.h"
#include "watch/event.h"
#include "watch/layout.h"

struct follow_change {
	struct range span;	/* whole pages that the event names */
	uint64_t to;		/* REMAP: where the span lives now */
	uint64_t uncovered;	/* pages that were armed and are no more */
	bool reread;		/* the layout must be read again */
	bool rearm;		/* the span stays mapped and wants arming, after the zap */
};

/*
 * notify is called for each region that comes, goes or changes (layout.h).
 * -EINVAL: no layout event.  -ENOMEM, -EOVERFLOW: layout and cover are still
 * consistent, but the event was not applied: seed them anew and declare a gap.
 */
int follow_apply(struct layout *l, struct cover *c, const struct event *ev, uint32_t *next_id,
		 layout_notify notify, void *arg, struct follow_change *ret);

#endif
