/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: what a report makes of a trace.
 *
 * The input is the text of a trace without its header; its first byte chooses the engine and
 * what is asked for.  Whatever it holds: model and tally take it, everything that they give
 * out can be looked at, and the sums agree.
 */

#include <stdlib.h>
#include <string.h>

#include "report/pick.h"
#include "report/tally.h"

#define PAGE 4096u
#define LINES_MAX 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *const engines[] = { (char *)"sync", (char *)"async", (char *)"both" };

static void must(bool fact)
{
	if (!fact)
		abort();
}

/* Every byte of it is there. */
static size_t touch(struct model_text t)
{
	size_t sum = 0;

	for (size_t i = 0; i < t.len; i++)
		sum += (unsigned char)t.s[i];
	must(!t.s[t.len]);
	return sum;
}

static void look_at_model(const struct model *m)
{
	for (size_t i = 0; i < model_labels(m); i++) {
		must(model_label(m, i)->index == i && model_label(m, i)->text.len);
		touch(model_label(m, i)->name);
		touch(model_label(m, i)->text);
	}
	for (size_t i = 0; i < model_vmas(m); i++) {
		const struct model_vma *v = model_vma(m, i);

		must(v->index == i && v->lo < v->hi);
		/* What is there is found there, and nothing else. */
		must(!v->there || (model_find(m, v->mm, v->lo) == v &&
				   model_find(m, v->mm, v->hi - 1) == v));
		if (v->build_id)
			touch(*v->build_id);
	}
	for (size_t i = 0; i < model_spaces(m); i++) {
		touch(model_space_at(m, i)->comm);
		touch(model_space_at(m, i)->exe);
	}
	for (uint32_t id = 0; id < 1024; id++) {
		const struct model_stack *s = model_stack(m, id);

		for (uint32_t k = 0; s && k < s->n; k++)
			must(!s->vma[k] || s->vma[k]->index < model_vmas(m));
	}
}

static void look_at_tally(struct tally *t)
{
	uint64_t faults = 0, written = 0, threads = 0, windows = 0, cells = 0;
	struct page_top top[8];

	for (size_t i = 0; i < t->nr_labels; i++) {
		faults += t->labels[i].c.faults;
		written += t->labels[i].c.written;
	}
	for (size_t i = 0; i < t->nr_threads; i++)
		threads += t->threads[i].c.faults;
	must(faults == t->total.faults && threads == faults);
	must(written == t->total.written);
	must(t->latency.n <= faults && t->stop.n == t->latency.n);
	for (unsigned int level = 0; level < 11; level++) {
		windows = 0;
		for (uint32_t i = 0; i < course_windows(&t->course, level); i++) {
			struct course_window w = course_window(&t->course, level, i);

			must(w.pages <= w.writes);
			windows += w.writes;
		}
		if (t->watches_writes)
			must(windows + t->unreported == written);
	}
	for (size_t i = 0; i < t->heat.n; i++) {
		heat_sort(&t->heat.maps[i]);
		cells += t->heat.maps[i].sum;
	}
	must(cells + t->heat.left_out == windows);
	pages_top(&t->pages, top, 8);
}

static void choose(struct pick *p, uint8_t how)
{
	*p = (struct pick){ 0 };
	if (how & 16)
		p->globs[p->nr_globs++] = "[a-h]*";
	if (how & 32)
		p->ranges[p->nr_ranges++] = (struct range){ 0x1000, 0x7fff00000000 };
	if (how & 64)
		p->since = 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct reader rd = { .page_size = PAGE };
	const char *text = (const char *)data, *end = text + size;
	char *modes[] = { (char *)"write", NULL };
	struct reader_header h = { .page_size = PAGE, .modes = modes };
	struct model *m = NULL;
	struct tally *t = NULL;
	struct pick p;

	if (!size)
		return 0;
	h.engine = engines[data[0] % 3];
	if (data[0] & 8)
		modes[0] = NULL;
	choose(&p, data[0]);
	must(!model_new(&m, PAGE) && !tally_new(&t, &h, m));
	text++;
	for (unsigned int lines = 0; text < end && lines < LINES_MAX; lines++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((nl ? nl : end) - text);
		struct reader_record rec = { 0 };
		struct reader_error e;

		if (!reader_record(&rd, text, len, &rec, &e) && !rec.unknown) {
			must(!model_record(m, &rec.record));
			if (pick_takes(&p, m, &rec.record))
				must(!tally_record(t, &rec.record));
		}
		record_release(&rec.record);
		text += len + 1;
	}
	look_at_model(m);
	look_at_tally(t);
	pick_done(&p);
	tally_free(t);
	model_free(m);
	return 0;
}
