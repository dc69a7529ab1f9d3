/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: a trace in the words of other tools.
 *
 * The input is the text of a trace without its header; its first byte chooses the form, the
 * engine and which records were asked for.  Whatever it holds: what comes out is UTF-8 without
 * control characters but ends of lines, and of a bounded size.
 */

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "report/export.h"

#define LINES_MAX 2000
/* A line may be a record of a million pages, each of which is none of the others'. */
#define PAGES_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
	if (!fact)
		abort();
}

static int look_at(void *arg, const char *s, size_t len)
{
	(void)arg;
	for (size_t i = 0, n; i < len; i += n) {
		unsigned char c = (unsigned char)s[i];

		n = utf8_sequence(s + i, len - i);
		must(n > 0);
		must(n > 1 || (c >= 0x20 && c != 0x7f) || c == '\n' || c == '\r');
		must(n != 2 || c != 0xc2 || (unsigned char)s[i + 1] >= 0xa0);
	}
	return 0;
}

static void one_line(struct export *e, const struct export_form *form, struct model *m,
		     const char *line, size_t len, bool picked)
{
	const struct reader reader = { .page_size = 4096 };
	struct reader_record r;
	struct reader_error why;

	if (reader_record(&reader, line, len, &r, &why)) {
		record_release(&r.record);
		return;
	}
	if (!r.unknown && (r.record.kind == RECORD_VMA || r.record.npages < PAGES_MAX)) {
		must(!model_record(m, &r.record));
		must(!form->record(e, &r, picked));
	}
	record_release(&r.record);
}

static void read_lines(struct export *e, const struct export_form *form, struct model *m,
		       const char *text, size_t size, bool all)
{
	const char *end = text + size, *newline;

	for (unsigned int i = 0; text < end && i < LINES_MAX; i++, text = newline + 1) {
		newline = memchr(text, '\n', (size_t)(end - text));
		newline = newline ? newline : end;
		one_line(e, form, m, text, (size_t)(newline - text), all || i % 3);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
		"chrome", "folded", "speedscope", "csv", "openmetrics", "pages",
	};
	static char *const engines[] = { (char *)"sync", (char *)"async", (char *)"both" };
	const struct symbols_options off = { .off = true };
	static char word[] = "x\"<\n", *none[] = { NULL };
	struct reader_header h = {
		.tool = word, .version = word, .host = word, .kernel = word, .arch = word,
		.modes = none, .features = none, .events = none, .argv = none,
		.page_size = 4096, .granularity = 1, .schema = 1,
	};
	const struct export_form *form;
	static struct pen pen;
	struct model *m = NULL;
	struct export e = { .header = &h, .pen = &pen };

	if (size < 2)
		return 0;
	form = export_form(names[data[0] % 6]);
	h.engine = engines[data[0] / 6 % 3];
	must(form && !model_new(&m, 4096) && !symbols_new(&e.symbols, &off));
	e.model = m;
	pen_begin(&pen, look_at, NULL);
	must(!form->begin(&e));
	read_lines(&e, form, m, (const char *)data + 1, size - 1, data[0] & 128);
	must(!form->end(&e));
	form->done(&e);
	must(!pen_end(&pen));
	symbols_free(e.symbols);
	model_free(m);
	return 0;
}
