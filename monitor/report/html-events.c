/* SPDX-License-Identifier: MIT */
/* HTML, events.  See html-events.h. */
#include "report/html-events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

#define KEPT 30			/* of each kind, at either end */
#define BLIND_MAX 300
#define WORDS_MAX (2 * HTML_PLAIN_MAX + 160)

struct event {
	uint64_t number, ts;
	uint8_t kind;
	bool bad;
	char *process, *words;	/* owned */
};

struct kind {
	struct event first[KEPT], last[KEPT];	/* the last ones in a ring */
	uint64_t n;
};

struct blind {
	uint64_t ts0, ts, addr, npages;
	uint32_t mm;
};

struct html_events {
	struct kind kinds[RECORD_NR];
	uint64_t n;
	struct blind blind[BLIND_MAX];
	size_t nr_blind, shortest;
};

int html_events_new(struct html_events **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void event_done(struct event *e)
{
	free(e->process);
	free(e->words);
	*e = (struct event){ 0 };
}

struct html_events *html_events_free(struct html_events *e)
{
	if (!e)
		return NULL;
	for (unsigned int k = 0; k < RECORD_NR; k++)
		for (unsigned int i = 0; i < KEPT; i++) {
			event_done(&e->kinds[k].first[i]);
			event_done(&e->kinds[k].last[i]);
		}
	free(e);
	return NULL;
}

/* ---- in words ------------------------------------------------------------------------- */

struct sentence {
	char s[WORDS_MAX];
	size_t used;
};

static void say(struct sentence *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct sentence *to, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(to->s + to->used, sizeof(to->s) - to->used, format, ap);
	va_end(ap);
	if (n > 0)
		to->used += (size_t)n;
	if (to->used >= sizeof(to->s))
		to->used = sizeof(to->s) - 1;
}

static void say_name(struct sentence *to, const char *bytes, size_t len)
{
	char buf[HTML_PLAIN_MAX];

	say(to, "%s", html_plain_name(bytes, len, buf));
}

/* The one or the other string of the record's text. */
static void say_text(struct sentence *to, const struct record *r, unsigned int which)
{
	if (r->text)
		say_name(to, r->text->bytes + (which ? r->text->len[0] : 0), r->text->len[which]);
}

static void say_where(struct sentence *to, const struct model *m, const struct record *r)
{
	const struct model_vma *v = model_place(m, r);

	if (!r->npages) {
		say(to, "the whole address space");
		return;
	}
	say(to, "%" PRIu64 " page%s at 0x%" PRIx64, r->npages, r->npages == 1 ? "" : "s", r->addr);
	if (v) {
		say(to, " of ");
		say_name(to, v->label->text.s, v->label->text.len);
	}
}

static void say_lost(struct sentence *to, const struct record *r)
{
	if (r->lost.n == RECORD_UNKNOWN)
		say(to, "nobody can tell how many records");
	else
		say(to, "%" PRId64 " record%s", r->lost.n, r->lost.n == 1 ? "" : "s");
	say(to, ": %s", lost_reason_name(r->lost.reason));
}

static void say_exit(struct sentence *to, const struct record *r)
{
	struct words w;

	if (r->exit.signal != RECORD_UNKNOWN)
		say(to, "killed by %s", words_signal((int)r->exit.signal, &w));
	else if (r->exit.code != RECORD_UNKNOWN)
		say(to, "status %" PRId64, r->exit.code);
	else
		say(to, "nobody knows with which status");
}

static void say_budget(struct sentence *to, const struct record *r)
{
	struct words w;

	say(to, "slower by %.1f %%, allowed are %.1f %%; ", (double)r->budget.slowdown_ppm / 1e4,
	    (double)r->budget.budget_ppm / 1e4);
	if (r->budget.resting)
		say(to, "nothing is watched for a while");
	else
		say(to, "a collection each %s", words_duration(r->budget.epoch_ns, &w));
}

static void say_fork(struct sentence *to, const struct record *r)
{
	if (r->fork.child == RECORD_UNKNOWN)
		say(to, "a child");
	else
		say(to, "child %" PRId64, r->fork.child);
	say(to, r->fork.followed ? ", watched" : ", not watched");
}

static void say_attach(struct sentence *to, const struct record *r)
{
	struct words w;

	say(to, "%" PRIu32 " threads, %" PRIu32 " mappings, stopped %s: ", r->attach.threads,
	    r->attach.vmas, words_duration(r->attach.stop_ns, &w));
	say_text(to, r, 1);
}

static void say_gap(struct sentence *to, const struct model *m, const struct record *r)
{
	struct words w;

	say(to, "%s, %s: ", gap_reason_name(r->gap.reason), words_duration(r->ts - r->ts0, &w));
	say_where(to, m, r);
}

/* False: not for the table. */
static bool tell(struct sentence *to, const struct model *m, const struct record *r)
{
	switch (r->kind) {
	case RECORD_ATTACH:
		say_attach(to, r);
		return true;
	case RECORD_FORK:
		say_fork(to, r);
		return true;
	case RECORD_EXEC:
		say_text(to, r, 1);
		return true;
	case RECORD_EXIT:
		say_exit(to, r);
		return true;
	case RECORD_REMAP:
		say_where(to, m, r);
		say(to, " moved to 0x%" PRIx64, r->remap.new_addr);
		return true;
	case RECORD_GAP:
		say_gap(to, m, r);
		return true;
	case RECORD_LOST:
		say_lost(to, r);
		return true;
	case RECORD_ERROR:
		say_text(to, r, 0);
		say(to, ": ");
		say_text(to, r, 1);
		return true;
	case RECORD_BUDGET:
		say_budget(to, r);
		return true;
	case RECORD_DETACH:
		say(to, "%s%s", detach_reason_name(r->detach.reason),
		    r->detach.clean ? "" : ", not in order");
		return true;
	default:
		return false;
	}
}

/* ---- keeping ---------------------------------------------------------------------------- */

static char *process_of(const struct model *m, const struct record *r)
{
	struct model_text comm = model_comm(m, r->pid, r->mm, r->pid);
	char buf[HTML_PLAIN_MAX], words[HTML_PLAIN_MAX + 16];
	const char *name = html_plain_name(comm.s ? comm.s : "", comm.len, buf);

	if (!r->pid)
		return strdup("");
	snprintf(words, sizeof(words), "%s%s%d", name, *name ? " " : "", r->pid);
	return strdup(words);
}

/* The longest gaps show in the heat map. */
static void keep_blind(struct html_events *e, const struct record *r)
{
	const struct blind b = { r->ts0, r->ts, r->addr, r->npages, r->mm };
	uint64_t least = UINT64_MAX;

	if (e->nr_blind < BLIND_MAX) {
		e->blind[e->nr_blind++] = b;
	} else {
		const struct blind *out = &e->blind[e->shortest];

		if (b.ts - b.ts0 <= out->ts - out->ts0)
			return;
		e->blind[e->shortest] = b;
	}
	if (e->nr_blind < BLIND_MAX)
		return;
	for (size_t i = 0; i < e->nr_blind; i++) {
		const uint64_t ns = e->blind[i].ts - e->blind[i].ts0;

		if (ns < least) {
			least = ns;
			e->shortest = i;
		}
	}
}

int html_events_record(struct html_events *e, const struct model *m, const struct record *r)
{
	struct sentence words = { .used = 0 };
	struct event made = { .number = e->n, .ts = r->ts, .kind = r->kind };
	struct kind *kind;
	struct event *place;

	if (r->kind >= RECORD_NR || !tell(&words, m, r))
		return 0;
	if (r->kind == RECORD_GAP)
		keep_blind(e, r);
	made.bad = r->kind == RECORD_GAP || r->kind == RECORD_LOST || r->kind == RECORD_ERROR ||
		   (r->kind == RECORD_FORK && !r->fork.followed) ||
		   (r->kind == RECORD_DETACH && !r->detach.clean);
	made.process = process_of(m, r);
	made.words = strdup(words.s);
	if (!made.process || !made.words) {
		event_done(&made);
		return -ENOMEM;
	}
	kind = &e->kinds[r->kind];
	place = kind->n < KEPT ? &kind->first[kind->n] : &kind->last[kind->n % KEPT];
	event_done(place);
	*place = made;
	kind->n++;
	e->n++;
	return 0;
}

/* ---- writing ---------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	const struct event *const *x = a, *const *y = b;

	return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

void html_events_write(struct pen *p, const struct html_events *e)
{
	const struct event *kept[2 * KEPT * RECORD_NR];
	size_t n = 0;

	for (unsigned int k = 0; k < RECORD_NR; k++)
		for (unsigned int i = 0; i < KEPT; i++) {
			if (e->kinds[k].first[i].words)
				kept[n++] = &e->kinds[k].first[i];
			if (e->kinds[k].last[i].words)
				kept[n++] = &e->kinds[k].last[i];
		}
	qsort(kept, n, sizeof(*kept), by_number);
	pen_text(p, "{\"list\":[");
	for (size_t i = 0; i < n; i++) {
		pen_text(p, i ? ",\n[" : "[");
		pen_number(p, kept[i]->ts);
		pen_text(p, ",");
		html_json_name(p, kept[i]->process, strlen(kept[i]->process));
		pen_format(p, ",\"%s\",", record_kind_name(kept[i]->kind));
		html_json_name(p, kept[i]->words, strlen(kept[i]->words));
		pen_text(p, kept[i]->bad ? ",true]" : ",false]");
	}
	pen_text(p, "],\"left_out\":");
	pen_number(p, e->n - n);
	pen_text(p, "}");
}

void html_events_write_blind(struct pen *p, const struct html_events *e, uint32_t page_size)
{
	pen_text(p, "[");
	for (size_t i = 0; i < e->nr_blind; i++) {
		const struct blind *b = &e->blind[i];

		pen_format(p, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64 "]",
			   i ? "," : "", b->ts0, b->ts, b->mm, b->addr / page_size, b->npages);
	}
	pen_text(p, "]");
}
