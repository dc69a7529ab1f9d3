/* SPDX-License-Identifier: MIT */
/* Model, mappings: where they are, and how they are called.  Pure.  See model.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/model-parts.h"

/* ---- where they are ------------------------------------------------------------------- */

static struct model_vma *at(const struct model *m, const struct model_space *s, size_t i)
{
	return pool_at(&m->vmas, s->there[i]);
}

/* The place, among those that are there, of the first that ends behind the address. */
static size_t from(const struct model *m, const struct model_space *s, uint64_t addr)
{
	size_t lo = 0, hi = s->nr_there;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (at(m, s, mid)->hi > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

const struct model_vma *model_find(const struct model *m, uint32_t mm, uint64_t addr)
{
	const struct model_space *s = model_space(m, mm);
	size_t i = s ? from(m, s, addr) : 0;

	if (!s || i == s->nr_there || at(m, s, i)->lo > addr)
		return NULL;
	return at(m, s, i);
}

const struct model_vma *model_vma_of(const struct model *m, uint32_t id)
{
	uint32_t index, number = 0;

	if (id < m->vma_now_room)
		number = m->vma_now[id];
	if (!number && keys_find(&m->far_ids, id, 0, &index))
		number = m->vma_far[index];
	return number ? pool_at(&m->vmas, number - 1) : NULL;
}

const struct model_vma *model_place(const struct model *m, const struct record *r)
{
	switch (r->kind) {
	case RECORD_FAULT:
		return model_vma_of(m, r->fault.vma);
	case RECORD_DIRTY:
		return model_vma_of(m, r->dirty.vma);
	case RECORD_VMA:
		return model_vma_of(m, r->vma.id);
	case RECORD_ARM:
	case RECORD_REMAP:
	case RECORD_REMOVE:
	case RECORD_UNMAP:
	case RECORD_GAP:
		return r->npages ? model_find(m, r->mm, r->addr) : NULL;
	default:
		return NULL;
	}
}

/* ---- names ------------------------------------------------------------------------ */

/* What follows the last slash of a path; a name in brackets is whole. */
static struct model_text short_name(const struct model_text *name, uint8_t kind)
{
	const char *word = vma_kind_name(kind), *slash;

	if (!name->len)
		return (struct model_text){ strlen(word), word };
	slash = memrchr(name->s, '/', name->len);
	if (name->s[0] != '/' || !slash || slash + 1 == name->s + name->len)
		return *name;
	slash++;
	return (struct model_text){ name->len - (size_t)(slash - name->s), slash };
}

/* Two of one short name are told apart by the whole one. */
static int choose_text(struct model *m, struct model_label *l)
{
	struct model_text brief = short_name(&l->name, l->kind);
	const struct model_text *kept = texts_keep(&m->texts, brief.s, brief.len);
	uint32_t index;
	int r = kept ? keys_index(&m->label_texts, (uintptr_t)kept, 0, &index) : -ENOMEM;

	if (r < 0)
		return r;
	l->text = r || !l->name.len ? *kept : l->name;
	return 0;
}

static const struct model_label *label_of(struct model *m, const char *name, size_t len,
					  uint8_t kind)
{
	const struct model_text *text = texts_keep(&m->texts, name, len);
	struct model_label *l;
	uint32_t index;
	int r = text ? keys_index(&m->label_keys, (uintptr_t)text, kind, &index) : -ENOMEM;

	if (r < 0)
		return NULL;
	if (!r)
		return pool_at(&m->labels, index);
	l = pool_add(&m->labels);
	if (!l)
		return NULL;
	*l = (struct model_label){ .index = index, .kind = kind, .name = *text };
	return choose_text(m, l) < 0 ? NULL : l;
}

int model_label_unknown(struct model *m)
{
	const struct model_text *text = texts_keep(&m->texts, "unknown", 7);
	struct model_label *l;
	uint32_t index;

	/* Under a kind that no mapping has. */
	if (!text || keys_index(&m->label_keys, 0, VMA_KIND_NR, &index) < 0)
		return -ENOMEM;
	l = pool_add(&m->labels);
	if (!l)
		return -ENOMEM;
	*l = (struct model_label){ .kind = VMA_KIND_SPECIAL, .name = { 0, "" }, .text = *text };
	return keys_index(&m->label_texts, (uintptr_t)text, 0, &index) < 0 ? -ENOMEM : 0;
}

/* ---- coming and going --------------------------------------------------------------- */

static void leave(struct model *m, struct model_space *s, struct model_vma *v)
{
	size_t i;

	if (!v->there)
		return;
	v->there = false;
	i = from(m, s, v->lo);
	s->nr_there--;
	memmove(s->there + i, s->there + i + 1, (s->nr_there - i) * sizeof(*s->there));
}

/* At most one is at one place: who stands in the way has gone unseen. */
static int enter(struct model *m, struct model_space *s, struct model_vma *v)
{
	size_t i = from(m, s, v->lo);
	uint32_t *more;

	while (i < s->nr_there && at(m, s, i)->lo < v->hi)
		leave(m, s, at(m, s, i));
	more = keys_room(s->there, s->nr_there, &s->there_room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->there = more;
	memmove(more + i + 1, more + i, (s->nr_there - i) * sizeof(*more));
	more[i] = v->index;
	s->nr_there++;
	v->there = true;
	return 0;
}

static void set(struct model *m, struct model_vma *v, const struct record *r)
{
	v->lo = r->addr;
	v->hi = r->addr + r->npages * m->page_size;
	if (v->hi <= v->lo)		/* up to the last byte there is */
		v->hi = UINT64_MAX;
	v->off = r->vma.off;
	v->ino = r->vma.ino;
	v->prot = r->vma.prot;
	v->why = r->vma.why;
	v->watch = r->vma.watch;
}

/* Ids come in order, but for those of somebody who makes traces up. */
static bool is_far(const struct model *m, uint32_t id)
{
	uint32_t index;

	return id >= 65536 + 8 * m->vmas.n || keys_find(&m->far_ids, id, 0, &index);
}

static int set_far(struct model *m, uint32_t id, uint32_t number)
{
	uint32_t index, *far;

	if (keys_index(&m->far_ids, id, 0, &index) < 0)
		return -ENOMEM;
	far = keys_room(m->vma_far, index, &m->vma_far_room, sizeof(*far));
	if (!far)
		return -ENOMEM;
	m->vma_far = far;
	far[index] = number;
	return 0;
}

/* From now on that mapping has the id. */
static int set_now(struct model *m, uint32_t id, uint32_t number)
{
	if (is_far(m, id))
		return set_far(m, id, number);
	while (m->vma_now_room <= id) {
		uint32_t *now = keys_room(m->vma_now, m->vma_now_room, &m->vma_now_room,
					  sizeof(*now));

		if (!now)
			return -ENOMEM;
		m->vma_now = now;
	}
	m->vma_now[id] = number;
	return 0;
}

/* For the first time, or because it is another mapping from now on. */
static struct model_vma *add(struct model *m, const struct model_space *s, const struct record *r,
			     const struct model_label *label)
{
	struct model_vma *v = pool_add(&m->vmas);

	if (!v)
		return NULL;
	v->index = (uint32_t)m->vmas.n - 1;
	v->id = r->vma.id;
	v->mm = s->mm;
	v->pid = s->pid;
	v->label = label;
	((struct model_label *)label)->mappings++;
	return set_now(m, v->id, v->index + 1) < 0 ? NULL : v;
}

void model_vma_done(struct model *m)
{
	for (size_t i = 0; i < m->spaces.n; i++)
		free(((struct model_space *)pool_at(&m->spaces, i))->there);
	free(m->vma_now);
	free(m->vma_far);
	keys_done(&m->far_ids);
}

static int set_build_id(struct model *m, struct model_vma *v, const struct record_text *t)
{
	if (!t || !t->len[1])
		return 0;
	v->build_id = texts_keep(&m->texts, t->bytes + t->len[0], t->len[1]);
	return v->build_id ? 0 : -ENOMEM;
}

int model_vma_record(struct model *m, const struct record *r)
{
	struct model_space *s = model_space_get(m, r->mm, r->pid, r->ts);
	struct model_vma *v = (struct model_vma *)model_vma_of(m, r->vma.id);
	const struct model_label *label;

	if (!s)
		return -ENOMEM;
	if (v && v->mm != s->mm)
		v = NULL;
	if (v)
		leave(m, s, v);
	if (r->vma.op == VMA_OP_GONE)
		return 0;
	label = label_of(m, r->text ? r->text->bytes : "", r->text ? r->text->len[0] : 0,
			 r->vma.kind);
	if (!label)
		return -ENOMEM;
	if (!v || v->label != label)
		v = add(m, s, r, label);
	if (!v)
		return -ENOMEM;
	set(m, v, r);
	if (enter(m, s, v) < 0)
		return -ENOMEM;
	return set_build_id(m, v, r->text);
}
