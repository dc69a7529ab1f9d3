/* SPDX-License-Identifier: MIT */
/* Tenant: what had been asked for, put in place, or not to be had.  See tenant.h. */

#include "restore/tenant-parts.h"
#include "restore/tenant.h"

/* A page that somebody waits for, if it is still where he touched it. */
static bool find_touched(struct tenant *t, uint64_t id, struct range page, struct owed_part *ret)
{
	bool found;

	pthread_mutex_lock(&t->lock);
	found = owed_find(&t->owed, page.lo, ret) && ret->id == id;
	pthread_mutex_unlock(&t->lock);
	if (found) {
		ret->image += page.lo - ret->at.lo;
		ret->at = page;
	}
	return found;
}

static enum place_end put(struct tenant *t, const struct owed_part *part,
			  const struct source_want *want, const void *data,
			  struct tenant_aim *aim)
{
	enum place_end end = tenant_place(t, part, (const char *)data + (part->image - want->vaddr),
					  aim);

	/* Free again; who waits for one of them asks again. */
	if (end == PLACE_BUSY || end == PLACE_NO_MEMORY)
		place_wake(t->uffd, part->at);
	return end;
}

enum tenant_deed tenant_arrived(struct tenant *t, const struct source_want *want,
				const void *data, const struct tenant_touch *touch)
{
	struct tenant_aim aim = {
		.page = touch ? page_at(touch->addr).lo : UINT64_MAX,
		.plain = touch && touch->write,
	};
	uint64_t image = want->vaddr;
	struct owed_part part;
	enum place_end end = PLACE_ALL;
	bool found;

	/* The others are copied while he wakes up. */
	if (touch && find_touched(t, want->id, page_at(touch->addr), &part))
		end = put(t, &part, want, data, &aim);
	while (end != PLACE_GONE) {
		pthread_mutex_lock(&t->lock);
		found = owed_flight(&t->owed, want->id, image, &part);
		pthread_mutex_unlock(&t->lock);
		if (!found)
			break;
		end = put(t, &part, want, data, &aim);
		image = part.image + range_len(part.at);
	}
	return aim.deed;
}

void tenant_refused(struct tenant *t, const struct source_want *want, enum tenant_refusal how)
{
	uint64_t image = want->vaddr;
	struct owed_part part;
	bool found;

	for (;;) {
		pthread_mutex_lock(&t->lock);
		found = owed_flight(&t->owed, want->id, image, &part);
		if (found && how != TENANT_LOST)
			owed_give_back(&t->owed, part.at);
		pthread_mutex_unlock(&t->lock);
		if (!found)
			return;
		image = part.image + range_len(part.at);
		for (uint64_t a = part.at.lo; how == TENANT_LOST && a < part.at.hi; a += IMAGE_PAGE)
			tenant_unreadable(t, page_at(a));
		if (how == TENANT_AGAIN)
			place_wake(t->uffd, part.at);
	}
}
