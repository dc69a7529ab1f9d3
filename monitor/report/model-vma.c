/* SPDX-License-Identifier: MIT */
/* Model, mappings: where they are, and how they are called.  Pure.  See model.h. */

#include <errno.h>
#include <string.h>

#include "report/model-parts.h"

static int compare(const struct model_vma *a, const struct model_vma *b)
{
	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

RB_GENERATE_INTERNAL(model_tree, model_vma, node, compare, __attribute__((unused)) static)

/* The first that ends behind the address. */
static struct model_vma *from(const struct model_space *s, uint64_t addr)
{
	struct model_vma *v = RB_ROOT(&s->tree), *best = NULL;

	while (v) {
		if (v->hi > addr) {
			best = v;
			v = RB_LEFT(v, node);
		} else {
			v = RB_RIGHT(v, node);
		}
	}
	return best;
}

const struct model_vma *model_find(const struct model *m, uint32_t mm, uint64_t addr)
{
	const struct model_space *s = model_space(m, mm);
	const struct model_vma *v = s ? from(s, addr) : NULL;

	return v && v->lo <= addr ? v : NULL;
}

const struct model_vma *model_vma_of(const struct model *m, uint32_t id)
{
	uint32_t index;

	if (!id || !keys_find(&m->vma_ids, id, 0, &index))
		return NULL;
	return pool_at(&m->vmas, m->vma_now[index]);
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

static void leave(struct model_space *s, struct model_vma *v)
{
	if (v->there)
		RB_REMOVE(model_tree, &s->tree, v);
	v->there = false;
}

/* At most one is at one place: who stands in the way has gone unseen. */
static void enter(struct model_space *s, struct model_vma *v)
{
	struct model_vma *old, *next;

	for (old = from(s, v->lo); old && old->lo < v->hi; old = next) {
		next = RB_NEXT(model_tree, &s->tree, old);
		leave(s, old);
	}
	RB_INSERT(model_tree, &s->tree, v);
	v->there = true;
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

/* Its number, for the first time or because it is another mapping from now on. */
static struct model_vma *add(struct model *m, const struct model_space *s, const struct record *r,
			     const struct model_label *label)
{
	struct model_vma *v;
	uint32_t index, *now;

	if (keys_index(&m->vma_ids, r->vma.id, 0, &index) < 0)
		return NULL;
	now = keys_room(m->vma_now, index, &m->vma_now_room, sizeof(*now));
	if (!now)
		return NULL;
	m->vma_now = now;
	v = pool_add(&m->vmas);
	if (!v)
		return NULL;
	v->index = now[index] = (uint32_t)m->vmas.n - 1;
	v->id = r->vma.id;
	v->mm = s->mm;
	v->pid = s->pid;
	v->label = label;
	((struct model_label *)label)->mappings++;
	return v;
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
		leave(s, v);
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
	enter(s, v);
	return set_build_id(m, v, r->text);
}
