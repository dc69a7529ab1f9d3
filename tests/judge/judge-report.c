/* SPDX-License-Identifier: MIT */
/*
 * Judge, report: counts, and the first errors with what the trace tells of their page.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "trace/reader-file.h"

static const char *const error_names[E_NR] = {
	[E_LOST] = "lost", [E_LATE] = "late_arm", [E_UNDECLARED] = "undeclared",
	[E_PHANTOM] = "phantom", [E_WRONG_THREAD] = "wrong_thread",
	[E_DUPLICATE] = "duplicate", [E_LAYOUT_MISSING] = "layout_missing",
	[E_LAYOUT_PHANTOM] = "layout_phantom", [E_FORK] = "fork", [E_EXEC] = "exec",
	[E_EXIT] = "exit", [E_SYSCALL] = "syscall_errors", [E_TRACE] = "trace",
};

void complain(struct judge *j, const struct complaint *c)
{
	/* One kind leaves room for others. */
	if (++j->errors[c->what] <= COMPLAINTS_MAX / 4 && j->ncomplaints < COMPLAINTS_MAX)
		j->complaints[j->ncomplaints++] = *c;
}

uint64_t judge_errors(const struct judge *j)
{
	uint64_t n = 0;

	for (int i = 0; i < E_NR; i++)
		n += j->errors[i];
	return n;
}

struct sums {
	uint64_t checked, covered, found, uncovered, ambiguous;
};

static struct sums sums_of(const struct judge *j)
{
	const uint64_t *v = j->verdicts;
	struct sums s = {
		.found = v[V_FOUND],
		.covered = v[V_FOUND] + v[V_LOST] + v[V_LATE],
		.uncovered = v[V_TOLD] + v[V_SPENT] + v[V_SHARED] + v[V_BLIND] +
			     v[V_UNDECLARED] + v[V_TAIL] + v[V_UNSEEN],
		.ambiguous = v[V_AMBIGUOUS],
	};

	s.checked = s.covered + s.uncovered + s.ambiguous;
	return s;
}

double share_covered(const struct judge *j)
{
	struct sums s = sums_of(j);

	return s.checked ? 100.0 * (double)s.covered / (double)s.checked : 0;
}

double share_ambiguous(const struct judge *j)
{
	struct sums s = sums_of(j);

	return s.checked ? 100.0 * (double)s.ambiguous / (double)s.checked : 0;
}

/* Lines of the trace about the page of a complaint: the last before it, the first after. */
#define BEFORE 8
#define AFTER 4
#define LINE 200

struct history {
	char line[BEFORE + AFTER][LINE];
	unsigned int n, after;
};

static bool about(const struct judge *j, const struct record *r, const struct complaint *c)
{
	uint64_t lo = r->addr / j->page_size, to = r->remap.new_addr / j->page_size;

	if (r->mm != c->mm)
		return r->kind == RECORD_FORK && r->fork.child_mm == c->mm;
	switch ((enum record_kind)r->kind) {
	case RECORD_ARM:
	case RECORD_VMA:
	case RECORD_REMOVE:
	case RECORD_UNMAP:
	case RECORD_FAULT:
	case RECORD_DIRTY:
		return c->page >= lo && c->page < lo + r->npages;
	case RECORD_GAP:
		return !r->npages || (c->page >= lo && c->page < lo + r->npages);
	case RECORD_REMAP:
		return (c->page >= lo && c->page < lo + r->npages) ||
		       (c->page >= to && c->page < to + r->npages);
	case RECORD_STATS:
		return false;
	default:
		return true;
	}
}

static void remember(struct history *h, const char *line, size_t len, bool after)
{
	if (after && h->after == AFTER)
		return;
	if (!after && h->n == BEFORE) {
		memmove(h->line, h->line[1], (BEFORE - 1) * sizeof(h->line[0]));
		h->n--;
	}
	snprintf(h->line[h->n++], LINE, "%.*s", (int)len, line);
	h->after += after;
}

static void collect(const struct judge *j, struct history *h)
{
	struct reader rd = { .page_size = j->page_size };
	struct reader_file *f = NULL;
	struct reader_record rec;
	struct reader_error e;
	const char *line;
	size_t len;

	if (reader_file_open(&f, j->path) < 0)
		return;
	if (reader_file_next(f, &line, &len) != 1)
		goto out;
	while (reader_file_next(f, &line, &len) == 1) {
		memset(&rec, 0, sizeof(rec));
		if (reader_record(&rd, line, len, &rec, &e) < 0)
			continue;
		for (unsigned int i = 0; !rec.unknown && i < j->ncomplaints; i++)
			if (about(j, &rec.record, &j->complaints[i]))
				remember(&h[i], line, len,
					 j->base + rec.record.ts > j->complaints[i].t1);
		record_release(&rec.record);
	}
out:
	reader_file_close(f);
}

static void print_touches(const struct judge *j, const struct complaint *c)
{
	struct mm *mm = mm_find((struct judge *)(uintptr_t)j, c->mm);
	struct slot *s = mm ? truth_slot(j->truth, mm->process, c->page) : NULL;
	const struct touch *v = s ? &j->truth->touches[s->first] : NULL;
	uint32_t i = 0;

	while (s && i < s->n && v[i].t0 < c->t0)
		i++;
	for (uint32_t k = i > 3 ? i - 3 : 0; s && k < s->n && k < i + 3; k++)
		printf("    truth  %s by %u in %.0f..%.0f\n",
		       v[k].what == TOUCH_READ ? "read" : v[k].what == TOUCH_WRITE ? "write" :
		       "perhaps a write", v[k].who, (double)v[k].t0 - (double)j->base,
		       (double)v[k].t1 - (double)j->base);
}

static void print_complaints(const struct judge *j)
{
	struct history *h = calloc(COMPLAINTS_MAX, sizeof(*h));

	if (!h)
		return;
	collect(j, h);
	for (unsigned int i = 0; i < j->ncomplaints; i++) {
		const struct complaint *c = &j->complaints[i];

		printf("error  %s: pid %d mm %u page %" PRIu64 " (0x%" PRIx64 ") thread %u in "
		       "%.0f..%.0f, seen at seq %u: %s\n", error_names[c->what], c->pid, c->mm,
		       c->page, c->page * j->page_size, c->tid, (double)c->t0 - (double)j->base,
		       (double)c->t1 - (double)j->base, c->seq, c->words);
		print_touches(j, c);
		for (unsigned int k = 0; k < h[i].n; k++)
			printf("    trace  %s\n", h[i].line[k]);
	}
	free(h);
}

void report_text(const struct judge *j)
{
	const uint64_t *v = j->verdicts;
	struct sums s = sums_of(j);

	print_complaints(j);
	printf("writes checked %" PRIu64 ", covered %" PRIu64 " (%.1f %%), found %" PRIu64
	       ", uncovered %" PRIu64 ", ambiguous %" PRIu64 " (%.2f %%)\n", s.checked, s.covered,
	       share_covered(j), s.found, s.uncovered, s.ambiguous, share_ambiguous(j));
	printf("uncovered: spent %" PRIu64 ", declared %" PRIu64 ", with another's %" PRIu64
	       ", told all the same %" PRIu64 ", not followed %" PRIu64
	       ", new at the end %" PRIu64 "\n", v[V_SPENT], v[V_BLIND], v[V_SHARED],
	       v[V_TOLD], v[V_UNSEEN], v[V_TAIL]);
	printf("trace: %" PRIu64 " records, %" PRIu64 " faults of judged memory (%" PRIu64
	       " via perf, %" PRIu64 " uncovered), %" PRIu64 " of threads that were killed\n",
	       j->records, j->faults, j->perf, j->told_uncovered, j->unlogged);
	for (int i = 0; i < E_NR; i++)
		printf("%s%s %" PRIu64, i ? ", " : "errors: ", error_names[i], j->errors[i]);
	printf("\n");
}

void report_json(const struct judge *j)
{
	const uint64_t *v = j->verdicts;
	struct sums s = sums_of(j);

	printf("{\"checked\":%" PRIu64 ",\"covered\":%" PRIu64 ",\"found\":%" PRIu64
	       ",\"uncovered\":%" PRIu64 ",\"ambiguous\":%" PRIu64, s.checked, s.covered, s.found,
	       s.uncovered, s.ambiguous);
	printf(",\"spent\":%" PRIu64 ",\"declared\":%" PRIu64 ",\"shared\":%" PRIu64
	       ",\"told\":%" PRIu64 ",\"unseen\":%" PRIu64 ",\"tail\":%" PRIu64
	       ",\"outside\":%" PRIu64, v[V_SPENT], v[V_BLIND], v[V_SHARED], v[V_TOLD],
	       v[V_UNSEEN], v[V_TAIL], v[V_OUTSIDE]);
	printf(",\"records\":%" PRIu64 ",\"faults\":%" PRIu64 ",\"dirty\":%" PRIu64
	       ",\"misread\":%" PRIu64 ",\"perf\":%" PRIu64 ",\"said_lost\":%" PRIu64
	       ",\"unlogged\":%" PRIu64 ",\"unnamed\":%" PRIu64, j->records, j->faults,
	       j->dirty, j->misread, j->perf, j->declared_lost, j->unlogged, j->unnamed);
	for (int i = 0; i < E_NR; i++)
		printf(",\"%s\":%" PRIu64, error_names[i], j->errors[i]);
	printf(",\"errors\":%" PRIu64 "}\n", judge_errors(j));
}
