/* SPDX-License-Identifier: MIT */
/* Tally: how much of what.  See tally.h. */

#include "report/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More in one record is no memory of a process: 2 TiB of 4 KiB pages. */
#define SPAN_PAGES_MAX (UINT64_C(1) << 29)

enum tally_engine tally_engine_of(const struct reader_header *h)
{
	if (!strcmp(h->engine, "async"))
		return TALLY_ASYNC;
	return !strcmp(h->engine, "both") ? TALLY_BOTH : TALLY_SYNC;
}

static bool is_witness(enum tally_engine engine, const struct record *r)
{
	return engine != TALLY_SYNC && r->fault.via == VIA_PERF;
}

uint64_t tally_written(enum tally_engine engine, const struct record *r)
{
	if (r->kind == RECORD_DIRTY)
		return r->npages;
	if (r->kind != RECORD_FAULT || !r->fault.write)
		return 0;
	return !is_witness(engine, r);
}

int tally_new(struct tally **ret, const struct reader_header *h, const struct model *m)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->model = m;
	t->page_size = h->page_size;
	t->engine = tally_engine_of(h);
	for (char **mode = h->modes; *mode; mode++)
		t->watches_writes |= !strcmp(*mode, "write");
	t->arm_ts = t->first_ts = UINT64_MAX;
	*ret = t;
	return 0;
}

struct tally *tally_free(struct tally *t)
{
	if (!t)
		return NULL;
	pages_done(&t->pages);
	heat_done(&t->heat);
	keys_done(&t->thread_keys);
	keys_done(&t->space_keys);
	keys_done(&t->stack_keys);
	keys_done(&t->ip_keys);
	free(t->labels);
	free(t->threads);
	free(t->spaces);
	free(t->stacks);
	free(t->ips);
	free(t);
	return NULL;
}

/* ---- rows ----------------------------------------------------------------------------- */

static struct tally_label *label_row(struct tally *t, const struct model_vma *v)
{
	uint32_t i = v ? v->label->index : 0;

	while (t->nr_labels <= i) {
		struct tally_label *more = keys_room(t->labels, t->nr_labels, &t->label_room,
						     sizeof(*more));

		if (!more)
			return NULL;
		t->labels = more;
		t->labels[t->nr_labels++] = (struct tally_label){ .first = UINT64_MAX };
	}
	return &t->labels[i];
}

static struct tally_thread *thread_row(struct tally *t, const struct record *r)
{
	struct tally_thread *more;
	uint32_t i;
	int new = keys_index(&t->thread_keys, (uint32_t)r->pid, (uint32_t)r->fault.tid, &i);

	if (new < 0)
		return NULL;
	if (new) {
		more = keys_room(t->threads, t->nr_threads, &t->thread_room, sizeof(*more));
		if (!more)
			return NULL;
		t->threads = more;
		more[t->nr_threads++] = (struct tally_thread){ .pid = r->pid,
							       .tid = r->fault.tid };
	}
	t->threads[i].mm = r->mm;
	return &t->threads[i];
}

static struct tally_space *space_row(struct tally *t, uint32_t mm)
{
	struct tally_space *more;
	uint32_t i;
	int new = keys_index(&t->space_keys, mm, 0, &i);

	if (new > 0) {
		more = keys_room(t->spaces, t->nr_spaces, &t->space_room, sizeof(*more));
		if (!more)
			return NULL;
		t->spaces = more;
		more[t->nr_spaces++] = (struct tally_space){ .mm = mm };
	}
	return new < 0 ? NULL : &t->spaces[i];
}

static struct tally_stack *stack_row(struct tally *t, uint32_t id)
{
	struct tally_stack *more;
	uint32_t i;
	int new = keys_index(&t->stack_keys, id, 0, &i);

	if (new > 0) {
		more = keys_room(t->stacks, t->nr_stacks, &t->stack_room, sizeof(*more));
		if (!more)
			return NULL;
		t->stacks = more;
		more[t->nr_stacks++] = (struct tally_stack){ .id = id };
	}
	return new < 0 ? NULL : &t->stacks[i];
}

static struct tally_ip *ip_row(struct tally *t, const struct record *r)
{
	struct tally_ip *more;
	uint32_t i;
	int new = keys_index(&t->ip_keys, r->fault.ip, r->mm, &i);

	if (new > 0) {
		more = keys_room(t->ips, t->nr_ips, &t->ip_room, sizeof(*more));
		if (!more)
			return NULL;
		t->ips = more;
		more[t->nr_ips++] = (struct tally_ip){
			.ip = r->fault.ip, .mm = r->mm,
			.vma = model_find(t->model, r->mm, r->fault.ip),
		};
	}
	return new < 0 ? NULL : &t->ips[i];
}

/* ---- counting --------------------------------------------------------------------------- */

static void count_fault(struct tally_counts *c, const struct record *r, bool witness)
{
	c->faults++;
	c->kind[r->fault.kind]++;
	c->writes += r->fault.write;
	c->unsure += r->fault.unsure;
	c->witnesses += r->fault.write && witness;
}

/* Pages that were written, where and when; or, where writes are not watched, touched. */
static int mark(struct tally *t, const struct record *r, struct tally_label *l,
		struct tally_space *s, uint64_t n)
{
	uint64_t page = r->addr / t->page_size, fresh = 0;
	uint32_t label = (uint32_t)(l - t->labels);
	int err;

	if (n > SPAN_PAGES_MAX) {
		t->unreported += n;
		return 0;
	}
	err = pages_write(&t->pages, r->mm, page, n, course_tick(r->ts), &t->course, &fresh);
	t->total.pages += fresh;
	l->c.pages += fresh;
	s->c.pages += fresh;
	return err ? err : heat_add(&t->heat, label, page, n, r->ts);
}

static int add_who(struct tally *t, const struct record *r, bool witness)
{
	struct tally_thread *thread = thread_row(t, r);
	struct tally_stack *stack = NULL;
	struct tally_ip *ip = NULL;

	if (!thread)
		return -ENOMEM;
	count_fault(&thread->c, r, witness);
	thread->stop_ns += r->fault.stop_ns;
	if (r->fault.stack) {
		stack = stack_row(t, r->fault.stack);
		if (!stack)
			return -ENOMEM;
		count_fault(&stack->c, r, witness);
	}
	if (r->fault.ip) {
		ip = ip_row(t, r);
		if (!ip)
			return -ENOMEM;
		count_fault(&ip->c, r, witness);
	}
	return 0;
}

static void note(struct tally_label *l, const struct record *r)
{
	l->first = r->ts < l->first ? r->ts : l->first;
	l->last = r->ts > l->last ? r->ts : l->last;
}

static int on_fault(struct tally *t, const struct record *r)
{
	bool witness = is_witness(t->engine, r);
	uint64_t written = tally_written(t->engine, r);
	struct tally_label *l = label_row(t, model_place(t->model, r));
	struct tally_space *s = l ? space_row(t, r->mm) : NULL;
	int err;

	if (!s)
		return -ENOMEM;
	note(l, r);
	count_fault(&t->total, r, witness);
	count_fault(&l->c, r, witness);
	count_fault(&s->c, r, witness);
	t->total.written += written;
	l->c.written += written;
	s->c.written += written;
	t->src[r->fault.src]++;
	if (r->fault.via == VIA_UFFD) {
		spread_add(&t->latency, r->fault.lat_ns);
		spread_add(&t->stop, r->fault.stop_ns);
	}
	err = add_who(t, r, witness);
	if (!err)
		err = pages_fault(&t->pages, r->mm, r->addr / t->page_size);
	if (err || (t->watches_writes && !written))
		return err;
	return mark(t, r, l, s, 1);
}

static int on_dirty(struct tally *t, const struct record *r)
{
	struct tally_label *l = label_row(t, model_place(t->model, r));
	struct tally_space *s = l ? space_row(t, r->mm) : NULL;

	if (!s)
		return -ENOMEM;
	note(l, r);
	spread_add(&t->interval, r->ts - r->ts0);
	t->total.dirty += r->npages;
	t->total.written += r->npages;
	l->c.dirty += r->npages;
	l->c.written += r->npages;
	s->c.dirty += r->npages;
	s->c.written += r->npages;
	return mark(t, r, l, s, r->npages);
}

static int on_gap(struct tally *t, const struct record *r)
{
	struct tally_gap *g = &t->gap[r->gap.reason];
	uint64_t ns = r->ts - r->ts0;
	struct tally_label *l;

	g->n++;
	g->ns += ns;
	g->longest_ns = ns > g->longest_ns ? ns : g->longest_ns;
	g->pages += r->npages;
	g->whole += !r->npages;
	if (!r->npages)
		return 0;
	l = label_row(t, model_place(t->model, r));
	if (!l)
		return -ENOMEM;
	l->gaps++;
	return 0;
}

static void on_lost(struct tally *t, const struct record *r)
{
	struct tally_lost *l = &t->lost[r->lost.reason];

	l->records++;
	if (r->lost.n == RECORD_UNKNOWN)
		l->uncounted = true;
	else
		l->n += (uint64_t)r->lost.n;
}

/* A child of vfork(2) had its parent's: that goes on. */
static int on_exec(struct tally *t, const struct record *r)
{
	const struct model_space *s = model_space(t->model, r->mm);

	return s && s->pid == r->pid ? pages_end(&t->pages, r->mm) : 0;
}

static void on_error(struct tally *t, const struct record *r)
{
	struct tally_error *e = &t->first_error;

	if (t->records[RECORD_ERROR] > 1 || !r->text)
		return;
	e->len = r->text->len[1] < sizeof(e->msg) ? r->text->len[1] : sizeof(e->msg);
	memcpy(e->msg, r->text->bytes + r->text->len[0], e->len);
}

int tally_record(struct tally *t, const struct record *r)
{
	if (r->kind >= RECORD_NR)
		return 0;
	t->records[r->kind]++;
	t->first_ts = r->ts < t->first_ts ? r->ts : t->first_ts;
	t->last_ts = r->ts > t->last_ts ? r->ts : t->last_ts;
	switch (r->kind) {
	case RECORD_FAULT:
		return on_fault(t, r);
	case RECORD_DIRTY:
		return on_dirty(t, r);
	case RECORD_ARM:
		t->arm_ts = r->ts < t->arm_ts ? r->ts : t->arm_ts;
		t->armed_pages += r->npages;
		return 0;
	case RECORD_GAP:
		return on_gap(t, r);
	case RECORD_LOST:
		on_lost(t, r);
		return 0;
	case RECORD_ERROR:
		on_error(t, r);
		return 0;
	case RECORD_REMOVE:
	case RECORD_UNMAP:
		t->dropped_pages += r->npages;
		return 0;
	case RECORD_EXEC:
		return on_exec(t, r);
	case RECORD_EXIT:
		return pages_end(&t->pages, r->mm);
	case RECORD_STATS:
		t->stats = r->stats;
		t->has_stats = true;
		return 0;
	case RECORD_DETACH:
		t->detached = true;
		t->detach_reason = r->detach.reason;
		t->clean = r->detach.clean;
		return 0;
	default:
		return 0;
	}
}
