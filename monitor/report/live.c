/* SPDX-License-Identifier: MIT */
/* Live: lines for people.  See live.h. */

#include "live.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "report/lexicon.h"

#define RED "\033[1;31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define CYAN "\033[36m"
#define FAINT "\033[2m"
#define PLAIN "\033[m"

#define WHO_COLUMNS 22
#define DAY_S 86400

struct live {
	struct live_opts o;
	struct lexicon *words;
	uint64_t unwitnessed;	/* as the last stats said */
};

/* A line that grows, and is cut where there is no room. */
struct text {
	char *s;
	size_t at, cap;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->at, t->cap - t->at, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->at += (size_t)n < t->cap - t->at ? (size_t)n : t->cap - t->at - 1;
}

int live_new(struct live **ret, const struct live_opts *opts)
{
	struct live *l = calloc(1, sizeof(*l));
	int r = l ? lexicon_new(&l->words) : -ENOMEM;

	if (r < 0) {
		free(l);
		return r;
	}
	l->o = *opts;
	*ret = l;
	return 0;
}

struct live *live_free(struct live *l)
{
	if (l)
		lexicon_free(l->words);
	free(l);
	return NULL;
}

/* Harmless; "?" where there is nothing. */
static const char *word(struct live *l, const char *bytes, size_t len)
{
	const char *w = len ? lexicon_word(l->words, bytes, len) : NULL;

	return w ? w : "?";
}

/* ---- where, what, when ----------------------------------------------------------------- */

static bool named(const struct model_vma *v)
{
	const struct model_label *l = v->label;

	return l->name.len > 0 || l->kind == VMA_KIND_HEAP || l->kind == VMA_KIND_STACK;
}

const char *live_place(const struct model_vma *v, uint64_t addr, char *buf, size_t cap)
{
	uint64_t off;

	if (!v || addr < v->lo || addr >= v->hi) {
		snprintf(buf, cap, "0x%" PRIx64, addr);
		return buf;
	}
	off = addr - v->lo + (v->label->name.len && v->label->name.s[0] == '/' ? v->off : 0);
	if (named(v))
		snprintf(buf, cap, "%s+0x%" PRIx64, v->label->text.s, off);
	else
		snprintf(buf, cap, "%s 0x%" PRIx64, v->label->text.s, addr);
	return buf;
}

const char *live_kind(const struct record *r)
{
	switch (r->kind) {
	case RECORD_FAULT:
		if (r->fault.kind != FAULT_WP)
			return fault_kind_name(r->fault.kind);
		return r->fault.write ? "write" : r->fault.unsure ? "write?" : "wp";
	case RECORD_VMA:
		return "map";
	case RECORD_STATS:
		return "unseen";
	default:
		return record_kind_name(r->kind);
	}
}

/* When it happened: of witnesses the time of the touch, of others that of the record. */
static uint64_t happened(const struct record *r)
{
	return r->kind == RECORD_FAULT && r->fault.via == VIA_PERF && r->ts0 ? r->ts0 : r->ts;
}

/* ---- parts of a line ------------------------------------------------------------------- */

static const char *tone(const struct live *l, const struct record *r)
{
	if (!l->o.color)
		return "";
	switch (r->kind) {
	case RECORD_GAP:
	case RECORD_LOST:
	case RECORD_ERROR:
		return RED;
	case RECORD_FAULT:
		return GREEN;
	case RECORD_STATS:
	case RECORD_BUDGET:
		return YELLOW;
	case RECORD_DIRTY:
		return "";
	default:
		return CYAN;
	}
}

static void add_time(const struct live *l, struct text *t, uint64_t ns)
{
	uint64_t s;

	if (!l->o.wall) {
		add(t, "%5" PRIu64 ".%06" PRIu64 " ", ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / 1000);
		return;
	}
	ns += l->o.base_real_ns + (uint64_t)(l->o.utc_offset_s + DAY_S) * NSEC_PER_SEC;
	s = ns / NSEC_PER_SEC % DAY_S;
	add(t, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%06" PRIu64 " ", s / 3600, s / 60 % 60,
	    s % 60, ns % NSEC_PER_SEC / 1000);
}

/* Bytes that are no continuation of a character. */
static unsigned int columns(const char *s, size_t len)
{
	unsigned int n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static void pad(struct text *t, size_t begin, unsigned int width)
{
	unsigned int n = columns(t->s + begin, t->at - begin);

	add(t, "%*s", n < width ? (int)(width - n) : 0, "");
}

/* The thread, or the process where nobody knows which. */
static void add_who(struct live *l, struct text *t, const struct record *r)
{
	int32_t tid = r->kind == RECORD_FAULT && r->fault.tid ? r->fault.tid : r->pid;
	struct model_text comm = model_comm(l->o.model, r->pid, r->mm, tid);
	size_t begin = t->at;

	if (!r->pid)
		add(t, "-");
	else if (comm.len)
		add(t, "%s/%d", word(l, comm.s, comm.len), (int)tid);
	else
		add(t, "%d", (int)tid);
	pad(t, begin, WHO_COLUMNS);
	add(t, " ");
}

static void add_kind(struct live *l, struct text *t, const struct record *r)
{
	const char *color = tone(l, r), *kind = live_kind(r);

	/* What is missing is red to the end of its line. */
	add(t, "%s%-8s%s", color, kind, *color && strcmp(color, RED) != 0 ? PLAIN : "");
}

static void add_pages(struct text *t, uint64_t n)
{
	if (n != 1)
		add(t, "  %" PRIu64 " pages", n);
}

static void add_span(struct live *l, struct text *t, const struct record *r)
{
	char place[LEXICON_WORD_MAX + 32];

	if (!r->npages) {
		add(t, "all memory");
		return;
	}
	live_place(model_place(l->o.model, r), r->addr, place, sizeof(place));
	add(t, "%s", word(l, place, strlen(place)));
	add_pages(t, r->npages);
}

static void add_duration(struct text *t, const char *before, uint64_t ns)
{
	if (ns < 1000)
		add(t, "%s%" PRIu64 " ns", before, ns);
	else if (ns < NSEC_PER_MSEC)
		add(t, "%s%.1f us", before, (double)ns / 1e3);
	else if (ns < NSEC_PER_SEC)
		add(t, "%s%.1f ms", before, (double)ns / 1e6);
	else
		add(t, "%s%.1f s", before, (double)ns / 1e9);
}

/* Which code: a function, or the place in its mapping. */
static void add_code(struct live *l, struct text *t, const struct record *r)
{
	const struct model_vma *v = model_find(l->o.model, r->mm, r->fault.ip);
	char name[LEXICON_WORD_MAX + 32];

	if (!r->fault.ip)
		return;
	if (!l->o.code || !l->o.code(l->o.code_arg, v, r->fault.ip, name, sizeof(name)))
		live_place(v, r->fault.ip, name, sizeof(name));
	add(t, "  %sat %s%s", l->o.color ? FAINT : "", word(l, name, strlen(name)),
	    l->o.color ? PLAIN : "");
}

static void add_fault(struct live *l, struct text *t, const struct record *r)
{
	add_span(l, t, r);
	if (r->fault.kind != FAULT_WP && r->fault.write)
		add(t, "  write");
	if (r->fault.src)
		add(t, "  %s", r->fault.src == SRC_REMOTE ? "remote" : "local");
	add_code(l, t, r);
	if (r->fault.via == VIA_UFFD)
		add_duration(t, "  ", r->fault.stop_ns);
}

static const char *text_of(struct live *l, const struct record *r, int which)
{
	const struct record_text *x = r->text;

	if (!x)
		return "?";
	return word(l, x->bytes + (which ? x->len[0] : 0), x->len[which]);
}

static void add_fork(struct text *t, const struct record *r)
{
	if (r->fork.child == RECORD_UNKNOWN)
		add(t, "a child");
	else
		add(t, "%" PRId64, r->fork.child);
	add(t, "%s", r->fork.followed ? "  followed" : "");
}

static void add_exit(struct text *t, const struct record *r)
{
	if (r->exit.signal != RECORD_UNKNOWN && r->exit.signal)
		add(t, "killed by signal %" PRId64, r->exit.signal);
	else if (r->exit.code != RECORD_UNKNOWN)
		add(t, "status %" PRId64, r->exit.code);
}

static void add_lost(struct text *t, const struct record *r)
{
	if (r->lost.n == RECORD_UNKNOWN)
		add(t, "records, nobody knows how many");
	else
		add(t, "%" PRId64 " record%s", r->lost.n, r->lost.n == 1 ? "" : "s");
	add(t, "  (%s)", lost_reason_name(r->lost.reason));
}

static void add_budget(struct text *t, const struct record *r)
{
	add(t, "slowed down by %.1f %% of %.1f %%", (double)r->budget.slowdown_ppm / 1e4,
	    (double)r->budget.budget_ppm / 1e4);
	add_duration(t, "  epoch ", r->budget.epoch_ns);
	add(t, "%s", r->budget.resting ? "  resting" : "");
}

static void add_rest(struct live *l, struct text *t, const struct record *r)
{
	switch (r->kind) {
	case RECORD_ATTACH:
		add(t, "%s  %" PRIu32 " threads, %" PRIu32 " mappings", text_of(l, r, 1),
		    r->attach.threads, r->attach.vmas);
		add_duration(t, "  stopped ", r->attach.stop_ns);
		break;
	case RECORD_EXEC:
		add(t, "%s", text_of(l, r, 1));
		break;
	case RECORD_EXIT:
		add_exit(t, r);
		break;
	case RECORD_FORK:
		add_fork(t, r);
		break;
	case RECORD_LOST:
		add_lost(t, r);
		break;
	case RECORD_ERROR:
		add(t, "%s: %s (%s)", text_of(l, r, 0), text_of(l, r, 1),
		    strerrordesc_np(r->error.error) ? strerrordesc_np(r->error.error) : "?");
		break;
	case RECORD_BUDGET:
		add_budget(t, r);
		break;
	case RECORD_DETACH:
		add(t, "%s", detach_reason_name(r->detach.reason));
		break;
	case RECORD_STATS:
		add(t, "%" PRId64 " pages were written, and nobody was seen to",
		    r->stats.unwitnessed - (int64_t)l->unwitnessed);
		break;
	default:
		break;
	}
}

static void add_what(struct live *l, struct text *t, const struct record *r)
{
	switch (r->kind) {
	case RECORD_FAULT:
		add_fault(l, t, r);
		break;
	case RECORD_DIRTY:
		add_span(l, t, r);
		add_duration(t, "  within ", r->ts - r->ts0);
		break;
	case RECORD_GAP:
		add_span(l, t, r);
		add(t, "  %s", gap_reason_name(r->gap.reason));
		add_duration(t, "  for ", r->ts - r->ts0);
		break;
	case RECORD_REMAP:
		add_span(l, t, r);
		add(t, "  to 0x%" PRIx64, r->remap.new_addr);
		break;
	case RECORD_VMA:
	case RECORD_REMOVE:
	case RECORD_UNMAP:
		add_span(l, t, r);
		break;
	default:
		add_rest(l, t, r);
	}
}

/* ---- a line ---------------------------------------------------------------------------- */

static bool is_no_witness(const struct record *r)
{
	return r->kind == RECORD_ERROR && r->error.error != ENOTSUP && r->text &&
	       r->text->len[0] == 4 && !memcmp(r->text->bytes, "perf", 4);
}

static bool has_line(const struct live *l, const struct record *r)
{
	switch (r->kind) {
	case RECORD_DIRTY:
		return !l->o.who;
	case RECORD_VMA:
		return l->o.maps && r->vma.op == VMA_OP_ADD;
	case RECORD_STATS:
		return l->o.who && r->stats.unwitnessed != RECORD_UNKNOWN &&
		       (uint64_t)r->stats.unwitnessed > l->unwitnessed;
	case RECORD_ARM:
	case RECORD_STACK:
	case RECORD_THREAD:
	case RECORD_HEADER:
		return false;
	default:
		return true;
	}
}

int64_t live_line(struct live *l, const struct record *r, char buf[LIVE_LINE_MAX])
{
	/* Room for the end of the line, whatever is cut. */
	struct text t = { .s = buf, .cap = LIVE_LINE_MAX - sizeof(PLAIN "\n") };

	if (is_no_witness(r))
		l->o.who = false;
	if (!has_line(l, r))
		return 0;
	add_time(l, &t, happened(r));
	add_who(l, &t, r);
	add_kind(l, &t, r);
	add_what(l, &t, r);
	while (t.at && buf[t.at - 1] == ' ')
		t.at--;
	t.cap = LIVE_LINE_MAX;
	add(&t, "%s\n", !strcmp(tone(l, r), RED) ? PLAIN : "");
	if (r->kind == RECORD_STATS)
		l->unwitnessed = (uint64_t)r->stats.unwitnessed;
	return (int64_t)t.at;
}
