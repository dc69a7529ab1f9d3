/* SPDX-License-Identifier: MIT */
/* Validate: the order of the records, and whom each of them concerns.  See validate.h. */

#include "trace/validate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/validate-parts.h"

void validate_complain_about(struct validator *v, const char *fmt, ...)
{
	char words[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	v->totals.complaints++;
	v->complain(v->arg, v->line, words);
}

uint64_t validate_first(const struct validator *v, const struct record *r)
{
	return r->addr / v->page_size;
}

uint64_t validate_last(const struct validator *v, const struct record *r)
{
	return r->addr / v->page_size + r->npages;
}

/* No list, or an empty one: everything is in. */
static bool list_has(char *const *list, const char *word)
{
	if (!list || !*list)
		return true;
	for (; *list; list++)
		if (!strcmp(*list, word))
			return true;
	return false;
}

int validate_new(struct validator **ret, const struct reader_header *h,
		 validate_complain complain, void *arg)
{
	struct validator *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->complain = complain;
	v->arg = arg;
	v->page_size = h->page_size;
	v->sees_map = list_has(h->events, "map");
	v->sees_fork = list_has(h->events, "fork");
	v->sync = !strcmp(h->engine, "sync") || !strcmp(h->engine, "both");
	v->async = !strcmp(h->engine, "async") || !strcmp(h->engine, "both");
	spans_init(&v->used_ids);
	spans_init(&v->stacks);
	*ret = v;
	return 0;
}

static void check_order(struct validator *v, const struct reader_record *r)
{
	/* A line that is no record may have had a number: one fault, one complaint. */
	if (r->seq <= v->seq || r->seq - v->seq - 1 > v->unread)
		validate_complain_about(v, "seq is %" PRIu64 " after %" PRIu64, r->seq, v->seq);
	v->seq = r->seq;
	v->unread = 0;
	if (r->unknown)
		return;
	if (r->record.ts < v->ts && r->record.kind != RECORD_GAP)
		validate_complain_about(v, "ts goes back from %" PRIu64 " to %" PRIu64, v->ts,
					r->record.ts);
	if (r->record.ts > v->ts)
		v->ts = r->record.ts;
	/* What the ring could not take after the last record is told behind it. */
	if (v->ended && r->record.kind != RECORD_LOST)
		validate_complain_about(v, "a record after the detach");
	else if (v->final && r->record.kind != RECORD_LOST && r->record.kind != RECORD_DETACH)
		validate_complain_about(v, "a record after the final stats");
}

static int check_fault(struct validator *v, const struct record *r, struct address_space *s)
{
	validate_place(v, r);
	validate_names_stack(v, r);
	return validate_coverage(v, r, s);
}

/* Kinds that are about the memory of one address space. */
static int check_memory(struct validator *v, const struct record *r)
{
	struct address_space *s;
	int err = validate_space(v, r, &s);

	v->totals.faults += r->kind == RECORD_FAULT;
	v->totals.writes += r->kind == RECORD_FAULT && r->fault.write;
	if (err || s->over)
		return err;
	if (s->refused && r->kind != RECORD_GAP)
		validate_complain_about(v, "mm %u is that of a child that is not followed", r->mm);
	switch ((enum record_kind)r->kind) {
	case RECORD_VMA:
		return validate_vma(v, r, s);
	case RECORD_ARM:
		return validate_arm(v, r, s);
	case RECORD_FAULT:
		return check_fault(v, r, s);
	case RECORD_DIRTY:
		validate_place(v, r);
		validate_dirty(v, r, s);
		return 0;
	case RECORD_GAP:
		return validate_gap(v, r, s);
	case RECORD_REMAP:
		return validate_remap(v, r, s);
	default:
		return validate_remove(v, r, s);
	}
}

static int check_kind(struct validator *v, const struct record *r)
{
	switch ((enum record_kind)r->kind) {
	case RECORD_ATTACH:
		return validate_attach(v, r);
	case RECORD_FORK:
		return validate_fork(v, r);
	case RECORD_EXEC:
		return validate_exec(v, r);
	case RECORD_EXIT:
		return validate_exit(v, r);
	case RECORD_LOST:
		validate_lost(v, r);
		return 0;
	case RECORD_STACK:
		return validate_stack(v, r);
	case RECORD_STATS:
		validate_stats(v, r);
		return 0;
	case RECORD_DETACH:
		v->ended = v->totals.complete = true;
		if (!v->final)
			validate_complain_about(v, "detach without final stats before it");
		return 0;
	case RECORD_BUDGET:
		return validate_budget(v, r);
	case RECORD_ERROR:
	case RECORD_HEADER:
	case RECORD_THREAD:
	case RECORD_NR:
		return 0;
	default:
		return check_memory(v, r);
	}
}

int validate_record(struct validator *v, uint64_t line, const struct reader_record *r)
{
	v->line = line;
	v->totals.records++;
	check_order(v, r);
	if (!r->unknown)
		return check_kind(v, &r->record);
	v->totals.unknown++;
	return 0;
}

void validate_bad_line(struct validator *v, uint64_t line, const char *words)
{
	v->line = line;
	v->unread++;
	validate_complain_about(v, "%s", words);
}

void validate_end(struct validator *v, uint64_t line, bool allow_cut)
{
	v->line = line;
	if (!v->ended && !allow_cut)
		validate_complain_about(v, "no detach record: the trace was cut off here");
}

const struct validate_totals *validate_totals(const struct validator *v)
{
	return &v->totals;
}

struct validator *validate_free(struct validator *v)
{
	if (!v)
		return NULL;
	validate_spaces_done(v);
	spans_done(&v->used_ids);
	spans_done(&v->stacks);
	free(v);
	return NULL;
}
