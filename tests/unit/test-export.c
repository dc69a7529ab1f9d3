/* SPDX-License-Identifier: MIT */
/*
 * Export: every form of every sample while memory runs out, and who wrote in them.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>

#include "report/export.h"
#include "report/walk.h"
#include "report/writers.h"
#include "starve.h"
#include "suite.h"

static const char *const paths[] = {
	"tests/data/trace/every-kind.ndjson", "tests/data/trace/async.ndjson",
	"tests/data/trace/who.ndjson", "tests/data/trace/budget.ndjson",
	"tests/data/trace/restore.ndjson",
};
static const char *const forms[] = {
	"chrome", "folded", "speedscope", "csv", "openmetrics", "pages",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct paper {
	char text[65536];
	size_t n;
};

static int take(void *arg, const char *bytes, size_t len)
{
	struct paper *p = arg;

	CU_ASSERT_FATAL(len < sizeof(p->text) - p->n);
	memcpy(p->text + p->n, bytes, len);
	p->n += len;
	p->text[p->n] = '\0';
	return 0;
}

struct job {
	const struct export_form *form;
	struct export e;
	struct model *model;
};

static int on_record(void *arg, const struct reader_record *r)
{
	struct job *j = arg;
	int err = model_record(j->model, &r->record);

	return err ? err : j->form->record(&j->e, r, true);
}

static int export_walked(struct job *j, struct walk *w)
{
	struct walk_end end;
	int r = j->form->begin(&j->e);

	if (!r)
		r = walk_run(w, on_record, j, &end);
	if (!r)
		r = j->form->end(&j->e);
	j->form->done(&j->e);
	return r;
}

static int export_one(const char *path, const char *form, struct paper *ret)
{
	const struct symbols_options off = { .off = true };
	struct job j = { .form = export_form(form) };
	static struct pen pen;
	struct reader_error why;
	struct walk *w = NULL;
	int r = walk_open(&w, path, &why);

	ret->n = 0;
	if (!r)
		r = model_new(&j.model, walk_header(w)->page_size);
	if (!r)
		r = symbols_new(&j.e.symbols, &off);
	if (!r) {
		pen_begin(&pen, take, ret);
		j.e.header = walk_header(w);
		j.e.model = j.model;
		j.e.pen = &pen;
		r = export_walked(&j, w);
		pen_end(&pen);
	}
	symbols_free(j.e.symbols);
	model_free(j.model);
	walk_close(w);
	return r;
}

/* What could be written is what is written when nothing fails; else it is -ENOMEM. */
static void test_no_memory(void)
{
	static struct paper whole, part;

	for (size_t i = 0; i < COUNT(paths) * COUNT(forms); i++) {
		const char *path = paths[i / COUNT(forms)], *form = forms[i % COUNT(forms)];
		long n = 0, failed = 0;
		bool hit;

		CU_ASSERT_EQUAL_FATAL(export_one(path, form, &whole), 0);
		do {
			int r;

			starve_ours_after(++n);
			r = export_one(path, form, &part);
			hit = starve_hit();
			failed += r == -ENOMEM;
			CU_ASSERT_FATAL(r == -ENOMEM || (!r && part.n == whole.n &&
					!memcmp(part.text, whole.text, whole.n)));
		} while (hit && n < 100000);
		CU_ASSERT(failed > 20 && n < 100000);
	}
}

static void test_unknown(void)
{
	CU_ASSERT_PTR_NULL(export_form("perl"));
	CU_ASSERT_PTR_NULL(export_form(""));
}

static void test_folded(void)
{
	static struct paper p;

	CU_ASSERT_EQUAL_FATAL(export_one(paths[2], "folded", &p), 0);
	CU_ASSERT_STRING_EQUAL(p.text, "io_thd_1;unknown;redis-server;redis-server 1\n");
	/* No fault tells of a writer: the pages of the collections, and where they are. */
	CU_ASSERT_EQUAL_FATAL(export_one(paths[1], "folded", &p), 0);
	CU_ASSERT_STRING_EQUAL(p.text, "redis-server;[heap] 4\n");
}

static const struct suite_test tests[] = {
	{ "the n-th allocation fails", test_no_memory },
	{ "forms that there are not", test_unknown },
	{ "stacks, and none", test_folded },
};

SUITE_MAIN("export", tests)
