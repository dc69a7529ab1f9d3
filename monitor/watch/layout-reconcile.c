/* SPDX-License-Identifier: MIT */
/*
 * Layout, reconciliation: make the map equal to a reading of /proc/PID/maps.
 *
 * Every entry of the reading finds the region that it continues, if any; regions
 * that nothing continues are gone.  Then bounds change in an order in which no
 * region ever overlaps another: shrink first, then grow, then add.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "watch/layout-tree.h"
#include "watch/watchable.h"

/* One entry of the reading, and what it continues. */
struct match {
	const struct map_entry *m;
	struct region *g;		/* NULL: new */
	bool altered;			/* protection or name, not only bounds */
};

struct pass {
	struct layout *l;
	struct range within;
	layout_notify notify;
	void *arg;
	struct match *v;
	size_t n;
};

static struct range bounds(const struct map_entry *m)
{
	return (struct range){ m->lo, m->hi };
}

static bool same_name(const struct region *g, const struct map_entry *m)
{
	return g->name_len == m->name_len &&
	       (!m->name_len || !memcmp(g->name, m->name, m->name_len));
}

/* Does the entry go on being what the region was? */
static bool continues(const struct region *g, const struct map_entry *m)
{
	if (g->ino != m->ino || g->dev_major != m->dev_major || g->dev_minor != m->dev_minor)
		return false;
	if (g->ino)
		return g->off - g->r.lo == m->off - m->lo;
	return g->kind == map_kind(m) && same_name(g, m);
}

static bool altered(const struct region *g, const struct map_entry *m)
{
	return g->again || g->prot != m->prot || !same_name(g, m);
}

static struct region *region_new(const struct map_entry *m)
{
	struct region as = {
		.r = bounds(m), .off = m->off, .ino = m->ino, .dev_major = m->dev_major,
		.dev_minor = m->dev_minor, .prot = m->prot, .kind = (uint8_t)map_kind(m),
		.name = (char *)(uintptr_t)m->name, .name_len = m->name_len,
	};

	return region_copy(&as, as.r);
}

/*
 * Both are sorted, so one walk suffices.  A region is continued by the first entry
 * that overlaps it and fits; what is not continued goes.
 */
static void match_all(struct pass *p, const struct maps *maps)
{
	struct region *g = layout_from(p->l, p->within.lo), *next;
	size_t i = 0;

	for (i = 0; i < maps->n; i++)
		p->v[i] = (struct match){ .m = &maps->v[i] };
	p->n = maps->n;
	i = 0;
	for (; g && g->r.lo < p->within.hi; g = next) {
		bool kept = false;

		next = layout_next(p->l, g);
		while (i < p->n && p->v[i].m->hi <= g->r.lo)
			i++;
		for (size_t j = i; j < p->n && p->v[j].m->lo < g->r.hi && !kept; j++) {
			if (p->v[j].g || !continues(g, p->v[j].m))
				continue;
			p->v[j].g = g;
			p->v[j].altered = altered(g, p->v[j].m);
			kept = true;
		}
		if (kept)
			continue;
		layout_unlink(p->l, g);
		p->notify(p->arg, VMA_OP_GONE, g);
		region_free(g);
	}
}

static int take_name(struct region *g, const struct map_entry *m)
{
	char *name = NULL;

	if (same_name(g, m))
		return 0;
	if (m->name_len) {
		name = malloc(m->name_len);
		if (!name)
			return -ENOMEM;
		memcpy(name, m->name, m->name_len);
	}
	free(g->name);
	g->name = name;
	g->name_len = m->name_len;
	return 0;
}

/* First to what old and new bounds have in common, with the new attributes. */
static int shrink_all(struct pass *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct match *x = &p->v[i];
		struct range common;

		if (!x->g)
			continue;
		common = range_common(x->g->r, bounds(x->m));
		if (!x->altered && common.lo == x->g->r.lo && common.hi == x->g->r.hi)
			continue;
		if (take_name(x->g, x->m) < 0)
			return -ENOMEM;
		x->g->prot = x->m->prot;
		region_resize(x->g, common);
		p->notify(p->arg, VMA_OP_CHANGE, x->g);
	}
	return 0;
}

static void grow_all(struct pass *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct match *x = &p->v[i];
		struct range to = bounds(x->m);

		if (!x->g || (to.lo == x->g->r.lo && to.hi == x->g->r.hi))
			continue;
		region_resize(x->g, to);
		p->notify(p->arg, VMA_OP_CHANGE, x->g);
	}
}

static int add_all(struct pass *p, bool snapshot, uint32_t *next_id)
{
	for (size_t i = 0; i < p->n; i++) {
		struct region *g;

		if (p->v[i].g)
			continue;
		if (p->l->n >= p->l->limit)
			return -EOVERFLOW;
		g = region_new(p->v[i].m);
		if (!g)
			return -ENOMEM;
		g->id = (*next_id)++;
		layout_link(p->l, g);
		p->notify(p->arg, snapshot ? VMA_OP_SNAPSHOT : VMA_OP_ADD, g);
	}
	return 0;
}

bool layout_widen(const struct layout *l, struct range *r)
{
	const struct range before = *r;
	const struct region *g;

	for (g = layout_from(l, r->lo); g && g->r.lo < r->hi; g = layout_next(l, g)) {
		if (g->r.lo < r->lo)
			r->lo = g->r.lo;
		if (g->r.hi > r->hi)
			r->hi = g->r.hi;
	}
	return r->lo != before.lo || r->hi != before.hi;
}

int layout_reconcile(struct layout *l, const struct maps *m, bool snapshot, uint32_t *next_id,
		     layout_notify notify, void *arg)
{
	return layout_reconcile_part(l, (struct range){ 0, UINT64_MAX }, m, snapshot, next_id,
				     notify, arg);
}

int layout_reconcile_part(struct layout *l, struct range within, const struct maps *m,
			  bool snapshot, uint32_t *next_id, layout_notify notify, void *arg)
{
	struct pass p = { .l = l, .within = within, .notify = notify, .arg = arg };
	int r;

	p.v = calloc(m->n ? m->n : 1, sizeof(*p.v));
	if (!p.v)
		return -ENOMEM;
	match_all(&p, m);
	r = shrink_all(&p);
	if (!r) {
		grow_all(&p);
		r = add_all(&p, snapshot, next_id);
	}
	free(p.v);
	return r;
}
