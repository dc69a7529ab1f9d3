/* SPDX-License-Identifier: MIT */
/* Follow: layout events applied to layout and cover.  See follow.h. */

#include "watch/follow.h"

#include <errno.h>

/* madvise() and munmap() name whole pages; be safe about what we are told. */
static struct range whole_pages(const struct cover *c, struct range r)
{
	return (struct range){
		align_down(r.lo, c->page_size),
		align_up(r.hi, c->page_size),
	};
}

static int follow_remap(struct layout *l, struct cover *c, uint32_t *next_id,
			layout_notify notify, void *arg, struct follow_change *ret)
{
	struct range dest;
	int r;

	if (!range_make(ret->to, range_len(ret->span), &dest))
		return -EINVAL;
	r = layout_move(l, ret->span, ret->to, next_id, notify, arg);
	if (r < 0)
		return r;
	ret->reread = true;
	return cover_move(c, ret->span, ret->to);
}

int follow_apply(struct layout *l, struct cover *c, const struct event *ev, uint32_t *next_id,
		 layout_notify notify, void *arg, struct follow_change *ret)
{
	*ret = (struct follow_change){ 0 };
	switch (ev->kind) {
	case EVENT_REMAP:
		ret->span = whole_pages(c, ev->remap.from);
		ret->to = ev->remap.to;
		return follow_remap(l, c, next_id, notify, arg, ret);
	case EVENT_REMOVE:
		ret->span = whole_pages(c, ev->span);
		ret->uncovered = cover_drop(c, ret->span);
		ret->rearm = true;
		return 0;
	case EVENT_UNMAP:
		ret->span = whole_pages(c, ev->span);
		ret->uncovered = cover_drop(c, ret->span);
		ret->reread = true;
		return layout_cut(l, ret->span, next_id, notify, arg);
	case EVENT_FAULT:
	case EVENT_FORK:
		break;
	}
	return -EINVAL;
}
