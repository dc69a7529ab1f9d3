/* SPDX-License-Identifier: MIT */
/* Watched: a session up to now.  See watched.h. */

#include "watched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Slices of a collection follow one another faster than that. */
#define SETTLED_NS (50 * NSEC_PER_MSEC)

int watched_new(struct watched **ret, const struct watched_opts *opts)
{
	struct watched *w = calloc(1, sizeof(*w));
	int r = w ? model_new(&w->model, opts->page_size) : -ENOMEM;

	if (!r)
		r = lexicon_new(&w->words);
	if (r < 0) {
		watched_free(w);
		return r;
	}
	w->o = *opts;
	w->covered = UINT64_MAX;
	*ret = w;
	return 0;
}

struct watched *watched_free(struct watched *w)
{
	if (!w)
		return NULL;
	pulse_done(&w->mappings);
	pulse_done(&w->threads);
	pulse_done(&w->code);
	keys_done(&w->ips);
	free(w->names);
	lexicon_free(w->words);
	model_free(w->model);
	free(w);
	return NULL;
}

/* ---- what records say ------------------------------------------------------------------ */

/* Looked up once for each instruction. */
static const char *name_of(struct watched *w, uint32_t mm, uint64_t ip)
{
	const char **names = keys_room(w->names, w->ips.n, &w->names_room, sizeof(*names));
	const struct model_vma *v;
	char buf[LEXICON_WORD_MAX];
	uint32_t index;
	int new;

	if (!names)
		return NULL;
	w->names = names;
	new = keys_index(&w->ips, mm, ip, &index);
	if (new < 0)
		return NULL;
	if (!new && names[index])
		return names[index];
	v = model_find(w->model, mm, ip);
	if (!w->o.code || !w->o.code(w->o.code_arg, v, ip, buf, sizeof(buf)))
		live_place(v, ip, buf, sizeof(buf));
	names[index] = lexicon_word(w->words, buf, strlen(buf));
	return names[index];
}

static int add_who(struct watched *w, const struct record *r)
{
	const char *name;
	int err;

	if (w->o.writes && !r->fault.write && !r->fault.unsure)
		return 0;
	w->faults_who++;
	err = pulse_add(&w->threads, (uint32_t)r->pid, (uint32_t)r->fault.tid, 1);
	if (err || !r->fault.ip)
		return err;
	name = name_of(w, r->mm, r->fault.ip);
	return name ? pulse_add(&w->code, (uintptr_t)name, 0, 1) : -ENOMEM;
}

static int add_pages(struct watched *w, const struct record *r, uint64_t n)
{
	const struct model_vma *v = model_place(w->model, r);

	return n ? pulse_add(&w->mappings, v ? (uint64_t)v->index + 1 : 0, 0, n) : 0;
}

static int on_dirty(struct watched *w, const struct record *r)
{
	if (w->covered == UINT64_MAX)
		w->covered = r->ts0;
	if (r->ts > w->told)
		w->told = r->ts;
	return add_pages(w, r, tally_written(w->o.engine, r));
}

static void on_lost(struct watched *w, const struct record *r)
{
	if (r->lost.n == RECORD_UNKNOWN)
		w->uncounted = true;
	else
		w->lost += (uint64_t)r->lost.n;
}

static int on_fault(struct watched *w, const struct record *r)
{
	const uint64_t n = w->o.writes ? tally_written(w->o.engine, r) : 1;
	int err = add_pages(w, r, n);

	return err ? err : add_who(w, r);
}

int watched_record(struct watched *w, const struct record *r)
{
	int err = model_record(w->model, r);

	if (err)
		return err;
	switch (r->kind) {
	case RECORD_FAULT:
		return on_fault(w, r);
	case RECORD_DIRTY:
		return on_dirty(w, r);
	case RECORD_ATTACH:
		w->spaces++;
		break;
	case RECORD_GAP:
		w->gaps++;
		break;
	case RECORD_LOST:
		on_lost(w, r);
		break;
	case RECORD_BUDGET:
		if (r->budget.epoch_ns)
			w->o.epoch_ns = r->budget.epoch_ns;
		break;
	case RECORD_STATS:
		w->stats = r->stats;
		w->has_stats = true;
		break;
	}
	return 0;
}

/* ---- intervals ------------------------------------------------------------------------- */

/*
 * What a collection finds was written since the one before, so the time between the two is
 * what rates are made of, and not that at which somebody looked.  One that has just brought
 * something may not be done; the first comes at once, and is about next to no time.  Where
 * nothing is found nothing is told: two and a half epochs of silence are one.
 */
static bool collected(struct watched *w, uint64_t ts)
{
	const bool enough = w->told >= w->covered + w->o.epoch_ns / 2;

	if (enough && ts >= w->told + SETTLED_NS)
		return true;
	if (ts < w->covered + w->o.epoch_ns * 5 / 2)
		return false;
	if (!enough)
		w->told = ts;
	return true;
}

bool watched_close(struct watched *w, uint64_t ts)
{
	uint64_t ns;

	if (w->o.engine == TALLY_SYNC) {
		w->told = ts;
		if (w->covered == UINT64_MAX)
			w->covered = 0;
	} else if (w->covered == UINT64_MAX) {
		return false;
	} else if (!collected(w, ts)) {
		return false;
	}
	ns = w->told > w->covered ? w->told - w->covered : 1;
	w->covered = w->told;
	pulse_close(&w->mappings, ns);
	pulse_close(&w->threads, ns);
	pulse_close(&w->code, ns);
	return true;
}

/* ---- names ----------------------------------------------------------------------------- */

static bool is_others(const struct pulse_row *row)
{
	return row->a == PULSE_OTHERS && row->b == PULSE_OTHERS;
}

const struct model_vma *watched_vma(const struct watched *w, const struct pulse_row *row)
{
	return row->a && !is_others(row) ? model_vma(w->model, row->a - 1) : NULL;
}

const char *watched_mapping(const struct watched *w, const struct pulse_row *row, char *buf,
			    size_t cap)
{
	const struct model_vma *v = watched_vma(w, row);

	if (!v)
		snprintf(buf, cap, "%s", is_others(row) ? "(others)" : "(unknown)");
	else if (v->label->name.len)
		snprintf(buf, cap, "%s", v->label->text.s);
	else
		snprintf(buf, cap, "%s %llx", v->label->text.s, (unsigned long long)v->lo);
	return buf;
}

const char *watched_thread(const struct watched *w, const struct pulse_row *row, char *buf,
			   size_t cap)
{
	const int32_t pid = (int32_t)row->a, tid = (int32_t)row->b;
	struct model_text comm = model_comm(w->model, pid, 0, tid);

	if (is_others(row)) {
		snprintf(buf, cap, "(others)");
		return buf;
	}
	for (size_t i = 0; !comm.len && i < model_spaces(w->model); i++)
		if (model_space_at(w->model, i)->pid == pid)
			comm = model_space_at(w->model, i)->comm;
	snprintf(buf, cap, "%.*s/%d", (int)comm.len, comm.s, (int)tid);
	return buf;
}

const char *watched_code(const struct pulse_row *row)
{
	return is_others(row) ? "(others)" : (const char *)(uintptr_t)row->a;
}
