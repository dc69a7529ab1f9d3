/* SPDX-License-Identifier: MIT */
/* Writers: counts by thread and code, and their names at the end.  See writers.h. */

#include "report/writers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/keys.h"

/* Frames of a chain with what was inlined; what is outside of them is left out. */
#define FRAMES_MAX 512u

enum { BY_STACK, BY_IP, BY_MAPPING, DIRTY };

struct thread {
	int32_t pid, tid;
	uint32_t mm;
};

/* How a thread came to write. */
struct code {
	uint32_t what;				/* BY_... */
	uint64_t value;				/* id of a stack, address; else index of a label */
	const struct model_vma *vma;		/* BY_IP: where the code lies */
	const struct model_label *label;	/* what was written; NULL: not known */
};

struct pair {
	uint32_t thread, code;
	uint64_t count;
};

struct writers {
	const struct model *model;
	struct keys thread_keys, code_keys, pair_keys;
	struct thread *threads;
	struct code *codes;
	struct pair *pairs;
	size_t thread_room, code_room, pair_room;
	struct writers_sums sums;
};

int writers_new(struct writers **ret, const struct model *m)
{
	struct writers *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->model = m;
	*ret = w;
	return 0;
}

struct writers *writers_free(struct writers *w)
{
	if (!w)
		return NULL;
	keys_done(&w->thread_keys);
	keys_done(&w->code_keys);
	keys_done(&w->pair_keys);
	free(w->threads);
	free(w->codes);
	free(w->pairs);
	free(w);
	return NULL;
}

const struct writers_sums *writers_sums(const struct writers *w)
{
	return &w->sums;
}

/* ---- counting ------------------------------------------------------------------- */

/* The array of a table of keys, with one more at its end if the key is new. */
#define TABLE_ADD(keys, a, b, array, room, ret_index)                                         \
	({                                                                                    \
		int _r = keys_index(keys, a, b, ret_index);                                   \
		void *_v = _r > 0 ? keys_room(array, *(ret_index), room, sizeof(*(array))) :  \
				    (array);                                                  \
		if (_r > 0 && !_v)                                                            \
			_r = -ENOMEM;                                                         \
		else                                                                          \
			(array) = _v;                                                         \
		_r;                                                                           \
	})

static int thread_of(struct writers *w, const struct record *r, int32_t tid, uint32_t *ret)
{
	int added = TABLE_ADD(&w->thread_keys, (uint64_t)(uint32_t)r->pid << 32 | (uint32_t)tid,
			      r->mm, w->threads, &w->thread_room, ret);

	if (added > 0)
		w->threads[*ret] = (struct thread){ r->pid, tid, r->mm };
	return added < 0 ? added : 0;
}

static struct code code_of(const struct writers *w, const struct record *r)
{
	const struct model_vma *v = model_place(w->model, r);
	struct code c = { .what = BY_MAPPING, .label = v ? v->label : NULL };

	c.value = v ? v->label->index : 0;
	if (r->kind == RECORD_DIRTY) {
		c.what = DIRTY;
	} else if (r->fault.stack && model_stack(w->model, r->fault.stack)) {
		c.what = BY_STACK;
		c.value = r->fault.stack;
	} else if (r->fault.ip) {
		c.what = BY_IP;
		c.value = r->fault.ip;
		c.vma = model_find(w->model, r->mm, r->fault.ip);
	}
	return c;
}

static int count(struct writers *w, const struct record *r, int32_t tid, uint64_t n)
{
	struct code c = code_of(w, r);
	uint32_t thread, code, pair;
	int added = thread_of(w, r, tid, &thread);

	if (added < 0)
		return added;
	added = TABLE_ADD(&w->code_keys, (uint64_t)c.what << 32 | (c.vma ? c.vma->index + 1 : 0),
			  c.value, w->codes, &w->code_room, &code);
	if (added < 0)
		return added;
	if (added > 0)
		w->codes[code] = c;
	added = TABLE_ADD(&w->pair_keys, thread, code, w->pairs, &w->pair_room, &pair);
	if (added < 0)
		return added;
	if (added > 0)
		w->pairs[pair] = (struct pair){ thread, code, 0 };
	w->pairs[pair].count += n;
	return 0;
}

int writers_record(struct writers *w, const struct record *r)
{
	if (r->kind == RECORD_DIRTY) {
		w->sums.dirty += r->npages;
		return count(w, r, 0, r->npages);
	}
	if (r->kind != RECORD_FAULT || !r->fault.write)
		return 0;
	w->sums.writes++;
	w->sums.with_code += r->fault.stack || r->fault.ip;
	return count(w, r, r->fault.tid, 1);
}

/* ---- names ---------------------------------------------------------------------- */

struct chain {
	struct chains_frame frame[FRAMES_MAX];	/* innermost first */
	size_t n;
};

struct symbols_where writers_where(const struct model_vma *v)
{
	return (struct symbols_where){
		.name = v->label->name.s,
		.name_len = v->label->name.len,
		.build_id = v->build_id ? (const uint8_t *)v->build_id->s : NULL,
		.build_id_len = v->build_id ? v->build_id->len : 0,
		.lo = v->lo,
		.off = v->off,
		.ino = v->ino,
		.pid = v->pid,
	};
}

static void add_frame(struct chain *c, const struct chains_frame *f)
{
	if (c->n < FRAMES_MAX)
		c->frame[c->n++] = *f;
}

static int add_code(struct chain *c, struct symbols *s, const struct model_vma *v, uint64_t addr,
		    bool caller)
{
	const struct symbol *found;
	struct symbols_where where;
	size_t n;
	int r;

	if (!v) {
		add_frame(c, &(struct chains_frame){ .name = "unknown" });
		return 0;
	}
	where = writers_where(v);
	r = symbols_find(s, &where, addr, caller, &found, &n);
	for (size_t i = 0; !r && i < n; i++)
		add_frame(c, &(struct chains_frame){ found[i].function, found[i].module,
						     found[i].file, found[i].line });
	return r;
}

static int add_codes(struct chain *c, const struct writers *w, const struct code *code,
		     struct symbols *s)
{
	const struct model_stack *stack;
	int r = 0;

	switch (code->what) {
	case BY_STACK:
		stack = model_stack(w->model, (uint32_t)code->value);
		for (uint32_t i = 0; !r && stack && i < stack->n; i++)
			r = add_code(c, s, stack->vma[i], stack->frame[i], i > 0);
		return r;
	case BY_IP:
		return add_code(c, s, code->vma, code->value, false);
	default:
		add_frame(c, &(struct chains_frame){
			.name = code->label ? code->label->text.s : "unknown" });
		return 0;
	}
}

static const char *thread_name(const struct writers *w, const struct thread *t, char *buf,
			       size_t cap)
{
	struct model_text comm = model_comm(w->model, t->pid, t->mm, t->tid);

	if (comm.len)
		snprintf(buf, cap, "%.*s", (int)comm.len, comm.s);
	else if (t->tid || t->pid)
		snprintf(buf, cap, "%s %d", t->tid ? "thread" : "process",
			 t->tid ? t->tid : t->pid);
	else
		snprintf(buf, cap, "unknown");
	return buf;
}

static int add_pair(const struct writers *w, const struct pair *p, struct symbols *s,
		    bool threads, struct chain *c, struct chains *into)
{
	struct chains_frame turned[FRAMES_MAX + 1], *at = turned;
	char name[80];
	int r;

	c->n = 0;
	r = add_codes(c, w, &w->codes[p->code], s);
	if (r)
		return r;
	if (threads)
		*at++ = (struct chains_frame){
			.name = thread_name(w, &w->threads[p->thread], name, sizeof(name)) };
	for (size_t i = c->n; i; i--)
		*at++ = c->frame[i - 1];
	return chains_add(into, turned, (size_t)(at - turned), p->count);
}

int writers_chains(const struct writers *w, struct symbols *s, bool threads,
		   struct chains **ret)
{
	struct chains *into = NULL;
	struct chain *c = malloc(sizeof(*c));
	int r = c ? chains_new(&into) : -ENOMEM;

	for (size_t i = 0; !r && i < w->pair_keys.n; i++) {
		const struct pair *p = &w->pairs[i];

		/* Of a write that a fault tells of the dirty page is the other half. */
		if (w->codes[p->code].what == DIRTY && w->sums.writes)
			continue;
		r = add_pair(w, p, s, threads, c, into);
	}
	free(c);
	if (r) {
		chains_free(into);
		return r;
	}
	chains_sort(into);
	*ret = into;
	return 0;
}
