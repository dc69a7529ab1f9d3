/* SPDX-License-Identifier: MIT */
/* Prefetch: records in, runs of pages out.  See prefetch.h. */

#include "restore/prefetch.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Pages that come along with one that is touched: those of the same trace did, so nobody had
 * to wait for them, and it does not name them.
 */
#define BLOCK_PAGES 4u
/* So many pages are put in order of address: it takes less than a millisecond to copy them. */
#define WINDOW 512u
/* Address spaces of a trace; those beyond are passed over. */
#define SPACES_MAX 65536u

/* An address space of the trace, and the task that it is. */
struct space {
	RB_ENTRY(space) node;
	uint32_t mm;
	size_t task;		/* ntasks: none */
};
RB_HEAD(space_tree, space);

/* A task of the image. */
struct making {
	uint64_t *seen;		/* a bit for each lazy page */
	uint64_t *before;	/* lazy pages in front of each piece */
	uint64_t window[WINDOW];
	size_t nwindow;
	struct prefetch_list list;
	uint64_t pages;
};

struct prefetch_maker {
	const struct image *image;
	struct making *tasks;
	struct space_tree spaces;
	unsigned int nspaces;
	struct space *recent;
	size_t only;		/* the one task that has memory; ntasks: there are several */
};

static int compare(const struct space *a, const struct space *b)
{
	return a->mm < b->mm ? -1 : a->mm > b->mm;
}

RB_GENERATE_INTERNAL(space_tree, space, node, compare, __attribute__((unused)) static)

void prefetch_free(struct prefetch *p)
{
	for (size_t i = 0; i < p->ntasks; i++)
		free(p->lists[i].v);
	free(p->lists);
	*p = PREFETCH_NULL;
}

const struct prefetch_list *prefetch_of(const struct prefetch *p, const struct image *image,
					int32_t pid)
{
	const struct image_task *task = image_task(image, pid);
	size_t i = task ? (size_t)(task - image->tasks) : p->ntasks;

	return i < p->ntasks && p->lists[i].n ? &p->lists[i] : NULL;
}

static int prepare(const struct image_task *task, struct making *ret)
{
	uint64_t sum = 0;

	ret->seen = calloc((size_t)(task->lazy_pages / 64 + 1), sizeof(uint64_t));
	ret->before = calloc(task->npieces + 1, sizeof(uint64_t));
	if (!ret->seen || !ret->before)
		return -ENOMEM;
	for (size_t i = 0; i < task->npieces; i++) {
		ret->before[i] = sum;
		sum += task->pieces[i].lazy ? task->pieces[i].npages : 0;
	}
	return 0;
}

int prefetch_maker_new(const struct image *image, struct prefetch_maker **ret)
{
	struct prefetch_maker *m = calloc(1, sizeof(*m));
	size_t with_memory = 0;
	int r = 0;

	if (!m)
		return -ENOMEM;
	m->image = image;
	m->only = image->ntasks;
	RB_INIT(&m->spaces);
	m->tasks = calloc(image->ntasks + 1, sizeof(*m->tasks));
	if (!m->tasks)
		r = -ENOMEM;
	for (size_t i = 0; !r && i < image->ntasks; i++) {
		r = prepare(&image->tasks[i], &m->tasks[i]);
		if (image->tasks[i].memory)
			m->only = with_memory++ ? image->ntasks : i;
	}
	if (r) {
		prefetch_maker_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void prefetch_maker_free(struct prefetch_maker *m)
{
	struct space *s;

	if (!m)
		return;
	while ((s = RB_ROOT(&m->spaces))) {
		RB_REMOVE(space_tree, &m->spaces, s);
		free(s);
	}
	for (size_t i = 0; m->tasks && i < m->image->ntasks; i++) {
		free(m->tasks[i].seen);
		free(m->tasks[i].before);
		free(m->tasks[i].list.v);
	}
	free(m->tasks);
	free(m);
}

/* Whose number is this?  The only one's, if nobody has it. */
static size_t task_of(const struct prefetch_maker *m, int64_t pid)
{
	const struct image_task *t = NULL;

	if (pid > 0 && pid <= INT32_MAX)
		t = image_task(m->image, (int32_t)pid);
	return t ? (size_t)(t - m->image->tasks) : m->only;
}

static struct space *find(struct prefetch_maker *m, uint32_t mm)
{
	struct space key = { .mm = mm };

	if (!m->recent || m->recent->mm != mm)
		m->recent = RB_FIND(space_tree, &m->spaces, &key);
	return m->recent;
}

/* What was said first holds. */
static int introduce(struct prefetch_maker *m, uint32_t mm, size_t task)
{
	struct space *s;

	if (find(m, mm) || m->nspaces == SPACES_MAX)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->mm = mm;
	s->task = task;
	RB_INSERT(space_tree, &m->spaces, s);
	m->nspaces++;
	m->recent = s;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int append(struct prefetch_list *l, uint64_t addr)
{
	size_t room = l->room ? l->room * 2 : 64;
	void *v;

	if (l->n && l->v[l->n - 1].hi == addr) {
		l->v[l->n - 1].hi += IMAGE_PAGE;
		return 0;
	}
	if (l->n == l->room) {
		v = realloc(l->v, room * sizeof(*l->v));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = (struct range){ addr, addr + IMAGE_PAGE };
	return 0;
}

static int flush(struct making *k)
{
	int r = 0;

	qsort(k->window, k->nwindow, sizeof(*k->window), by_number);
	for (size_t i = 0; !r && i < k->nwindow; i++)
		r = append(&k->list, k->window[i]);
	k->pages += k->nwindow;
	k->nwindow = 0;
	return r;
}

static int touch(struct making *k, uint64_t number, uint64_t addr)
{
	uint64_t *word = &k->seen[number / 64], bit = UINT64_C(1) << number % 64;

	if (*word & bit)
		return 0;
	*word |= bit;
	k->window[k->nwindow++] = addr;
	return k->nwindow == WINDOW ? flush(k) : 0;
}

/* Of these addresses what is lazy, and its neighbours. */
static int touch_all(struct prefetch_maker *m, size_t at, struct range r)
{
	const struct image_task *task = &m->image->tasks[at];
	struct making *k = &m->tasks[at];
	int e = 0;

	r.lo = align_down(r.lo, BLOCK_PAGES * IMAGE_PAGE);
	r.hi = align_down(r.hi - 1, BLOCK_PAGES * IMAGE_PAGE) + BLOCK_PAGES * IMAGE_PAGE;
	for (size_t i = image_seek(task, r.lo); !e && i < task->npieces; i++) {
		const struct image_piece *p = &task->pieces[i];
		struct range all = { p->vaddr, p->vaddr + p->npages * IMAGE_PAGE }, part;

		if (all.lo >= r.hi)
			break;
		part = range_common(all, r);
		for (uint64_t a = part.lo; p->lazy && !e && a < part.hi; a += IMAGE_PAGE)
			e = touch(k, k->before[i] + (a - all.lo) / IMAGE_PAGE, a);
	}
	return e;
}

static int add_touch(struct prefetch_maker *m, const struct record *r)
{
	const struct space *s = find(m, r->mm);
	size_t task = s ? s->task : task_of(m, r->pid);
	struct range span = { align_down(r->addr, IMAGE_PAGE), 0 };
	uint64_t npages = r->npages;

	/* Nothing is lazy up there; so it does not wrap. */
	if (task == m->image->ntasks || span.lo >= IMAGE_TASK_SIZE)
		return 0;
	if (npages > (IMAGE_TASK_SIZE - span.lo) / IMAGE_PAGE)
		npages = (IMAGE_TASK_SIZE - span.lo) / IMAGE_PAGE;
	/* A fault of several pages is about the block of them that its own one is in. */
	if (r->kind == RECORD_FAULT && npages && !(npages & (npages - 1)))
		span.lo = align_down(span.lo, npages * IMAGE_PAGE);
	span.hi = span.lo + npages * IMAGE_PAGE;
	return range_empty(span) ? 0 : touch_all(m, task, span);
}

static int add_fork(struct prefetch_maker *m, const struct record *r)
{
	const struct space *parent = find(m, r->mm);
	const struct image_task *own = NULL;
	size_t task = parent ? parent->task : task_of(m, r->pid);

	if (r->fork.child > 0 && r->fork.child <= INT32_MAX)
		own = image_task(m->image, (int32_t)r->fork.child);
	if (own)
		task = (size_t)(own - m->image->tasks);
	return r->fork.child_mm ? introduce(m, r->fork.child_mm, task) : 0;
}

int prefetch_maker_add(struct prefetch_maker *m, const struct record *r)
{
	switch ((enum record_kind)r->kind) {
	case RECORD_ATTACH:
		return introduce(m, r->mm, task_of(m, r->attach.image_pid ? r->attach.image_pid :
						   r->pid));
	case RECORD_FORK:
		return add_fork(m, r);
	case RECORD_EXEC:
		return r->exec.new_mm ? introduce(m, r->exec.new_mm, task_of(m, r->pid)) : 0;
	case RECORD_FAULT:
	case RECORD_DIRTY:
		return add_touch(m, r);
	default:
		return 0;
	}
}

int prefetch_maker_end(struct prefetch_maker *m, struct prefetch *ret)
{
	size_t n = m->image->ntasks;
	struct prefetch p = { .ntasks = n };

	for (size_t i = 0; i < n; i++)
		if (flush(&m->tasks[i]))
			return -ENOMEM;
	p.lists = calloc(n + 1, sizeof(*p.lists));
	if (!p.lists)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		p.lists[i] = m->tasks[i].list;
		p.pages += m->tasks[i].pages;
		m->tasks[i].list = (struct prefetch_list){ 0 };
	}
	*ret = p;
	return 0;
}
