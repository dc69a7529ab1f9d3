/* SPDX-License-Identifier: MIT */
/* Model: address spaces, threads and stacks; mappings are in model-vma.c.  See model.h. */

#include "report/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/model-parts.h"

/* Frames of all chains together: of those that are as deep as can be, some 33,000. */
#define STACK_BYTES_MAX (UINT64_C(64) << 20)

int model_new(struct model **ret, uint32_t page_size)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->page_size = page_size;
	m->texts.all.size = sizeof(struct model_text);
	m->labels.size = sizeof(struct model_label);
	m->vmas.size = sizeof(struct model_vma);
	m->spaces.size = sizeof(struct model_space);
	m->threads.size = sizeof(struct model_thread);
	m->stacks.size = sizeof(struct model_stack);
	if (model_label_unknown(m) < 0) {
		model_free(m);
		return -ENOMEM;
	}
	*ret = m;
	return 0;
}

struct model *model_free(struct model *m)
{
	if (!m)
		return NULL;
	model_vma_done(m);
	texts_done(&m->texts);
	pool_done(&m->labels);
	pool_done(&m->vmas);
	pool_done(&m->spaces);
	pool_done(&m->threads);
	pool_done(&m->stacks);
	keys_done(&m->label_keys);
	keys_done(&m->label_texts);
	keys_done(&m->mms);
	keys_done(&m->tids);
	keys_done(&m->stack_ids);
	free(m);
	return NULL;
}

uint32_t model_page_size(const struct model *m)
{
	return m->page_size;
}

/* ---- address spaces ------------------------------------------------------------------ */

static struct model_space *find_space(const struct model *m, uint32_t mm)
{
	uint32_t index;

	if (m->last && m->last->mm == mm)
		return m->last;
	return keys_find(&m->mms, mm, 0, &index) ? pool_at(&m->spaces, index) : NULL;
}

const struct model_space *model_space(const struct model *m, uint32_t mm)
{
	return find_space(m, mm);
}

struct model_space *model_space_get(struct model *m, uint32_t mm, int32_t pid, uint64_t ts)
{
	struct model_space *s = find_space(m, mm);
	uint32_t index;

	if (!s) {
		if (keys_index(&m->mms, mm, 0, &index) < 0)
			return NULL;
		s = pool_add(&m->spaces);
		if (!s)
			return NULL;
		s->index = index;
		s->mm = mm;
		s->begin = ts;
		s->code = s->signal = RECORD_UNKNOWN;
		s->comm = s->exe = (struct model_text){ 0, "" };
	}
	if (!s->pid)
		s->pid = pid;
	s->end = ts;
	m->last = s;
	return s;
}

/* Both strings, where there are any. */
static int set_names(struct model *m, struct model_space *s, const struct record_text *t)
{
	const struct model_text *comm, *exe;

	if (!t)
		return 0;
	comm = texts_keep(&m->texts, t->bytes, t->len[0]);
	exe = texts_keep(&m->texts, t->bytes + t->len[0], t->len[1]);
	if (!comm || !exe)
		return -ENOMEM;
	s->comm = *comm;
	s->exe = *exe;
	return 0;
}

static int on_attach(struct model *m, const struct record *r)
{
	struct model_space *s = model_space_get(m, r->mm, r->pid, r->ts);

	if (!s)
		return -ENOMEM;
	s->ppid = r->attach.ppid;
	return set_names(m, s, r->text);
}

/* A child begins as what its parent is. */
static int on_fork(struct model *m, const struct record *r)
{
	const struct model_space *parent = model_space_get(m, r->mm, r->pid, r->ts);
	struct model_space *s;

	if (!parent)
		return -ENOMEM;
	if (!r->fork.child_mm)
		return 0;
	s = model_space_get(m, r->fork.child_mm,
			    r->fork.child == RECORD_UNKNOWN ? 0 : (int32_t)r->fork.child, r->ts);
	if (!s)
		return -ENOMEM;
	s->ppid = r->pid;
	s->parent_mm = r->mm;
	if (!s->comm.len) {
		s->comm = parent->comm;
		s->exe = parent->exe;
	}
	return 0;
}

static int on_exec(struct model *m, const struct record *r)
{
	const struct model_space *old = model_space_get(m, r->mm, r->pid, r->ts);
	struct model_space *s;

	if (!old)
		return -ENOMEM;
	if (!r->exec.new_mm)
		return 0;
	s = model_space_get(m, r->exec.new_mm, r->pid, r->ts);
	if (!s)
		return -ENOMEM;
	s->ppid = old->ppid;
	s->parent_mm = old->mm;
	return set_names(m, s, r->text);
}

static int on_end(struct model *m, const struct record *r)
{
	struct model_space *s = model_space_get(m, r->mm, r->pid, r->ts);

	if (!s)
		return -ENOMEM;
	s->exited = true;
	s->code = r->exit.code;
	s->signal = r->exit.signal;
	return 0;
}

/* ---- threads and stacks ---------------------------------------------------------------- */

static int on_thread(struct model *m, const struct record *r)
{
	const struct model_text *comm;
	struct model_thread *t;
	uint32_t index;
	int new = keys_index(&m->tids, (uint32_t)r->pid, (uint32_t)r->thread.tid, &index);

	if (new < 0)
		return new;
	t = new ? pool_add(&m->threads) : pool_at(&m->threads, index);
	if (!t)
		return -ENOMEM;
	comm = r->text ? texts_keep(&m->texts, r->text->bytes, r->text->len[0]) :
			 texts_keep(&m->texts, "", 0);
	if (!comm)
		return -ENOMEM;
	*t = (struct model_thread){ index, r->pid, r->thread.tid, *comm };
	return 0;
}

const struct model_thread *model_thread(const struct model *m, int32_t pid, int32_t tid)
{
	uint32_t index;

	if (!keys_find(&m->tids, (uint32_t)pid, (uint32_t)tid, &index))
		return NULL;
	return pool_at(&m->threads, index);
}

struct model_text model_comm(const struct model *m, int32_t pid, uint32_t mm, int32_t tid)
{
	const struct model_thread *t = model_thread(m, pid, tid);
	const struct model_space *s;

	if (t && t->comm.len)
		return t->comm;
	s = model_space(m, mm);
	return s ? s->comm : (struct model_text){ 0, "" };
}

static int set_frames(struct model *m, struct model_stack *st, const struct record_text *t)
{
	size_t bytes = t ? t->len[0] : 0, n = bytes / sizeof(uint64_t);
	const struct model_vma **vma;
	uint64_t *frame;

	/* Without frames: nobody knows where it came from. */
	if (m->stack_bytes + 2 * bytes > STACK_BYTES_MAX) {
		m->stacks_left_out++;
		return 0;
	}
	m->stack_bytes += 2 * bytes;
	frame = texts_room(&m->texts, n * sizeof(*frame));
	vma = texts_room(&m->texts, n * sizeof(*vma));
	if (!frame || !vma)
		return -ENOMEM;
	if (n)
		memcpy(frame, t->bytes, n * sizeof(*frame));
	/* The address a call returns to may be the first of another mapping. */
	for (size_t i = 0; i < n; i++)
		vma[i] = model_find(m, st->mm, frame[i] - (i && frame[i]));
	st->n = (uint32_t)n;
	st->frame = frame;
	st->vma = vma;
	return 0;
}

static int on_stack(struct model *m, const struct record *r)
{
	struct model_stack *st;
	uint32_t index;
	int new = keys_index(&m->stack_ids, r->stack.id, 0, &index);

	if (new < 0)
		return new;
	st = new ? pool_add(&m->stacks) : pool_at(&m->stacks, index);
	if (!st)
		return -ENOMEM;
	*st = (struct model_stack){ .index = index, .id = r->stack.id, .mm = r->mm };
	return set_frames(m, st, r->text);
}

const struct model_stack *model_stack(const struct model *m, uint32_t id)
{
	uint32_t index;

	return id && keys_find(&m->stack_ids, id, 0, &index) ? pool_at(&m->stacks, index) : NULL;
}

uint64_t model_stacks_left_out(const struct model *m)
{
	return m->stacks_left_out;
}

/* ---- all of it ------------------------------------------------------------------------- */

int model_record(struct model *m, const struct record *r)
{
	struct model_space *s;

	switch (r->kind) {
	case RECORD_ATTACH:
		return on_attach(m, r);
	case RECORD_VMA:
		return model_vma_record(m, r);
	case RECORD_FORK:
		return on_fork(m, r);
	case RECORD_EXEC:
		return on_exec(m, r);
	case RECORD_EXIT:
		return on_end(m, r);
	case RECORD_THREAD:
		return on_thread(m, r);
	case RECORD_STACK:
		return on_stack(m, r);
	case RECORD_FAULT:
	case RECORD_DIRTY:
		s = model_space_get(m, r->mm, r->pid, r->ts);
		return s ? 0 : -ENOMEM;
	default:
		return 0;
	}
}

size_t model_labels(const struct model *m)
{
	return m->labels.n;
}

const struct model_label *model_label(const struct model *m, size_t index)
{
	return pool_at(&m->labels, index);
}

size_t model_vmas(const struct model *m)
{
	return m->vmas.n;
}

const struct model_vma *model_vma(const struct model *m, size_t index)
{
	return pool_at(&m->vmas, index);
}

size_t model_spaces(const struct model *m)
{
	return m->spaces.n;
}

const struct model_space *model_space_at(const struct model *m, size_t index)
{
	return pool_at(&m->spaces, index);
}
