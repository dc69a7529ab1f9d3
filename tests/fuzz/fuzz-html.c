/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: the page of a trace.
 *
 * The input is the text of a trace without its header; its first byte chooses the engine.
 * Whatever it holds: the page is below its bound, its data is JSON and stays inside its
 * element, and outside of the program's own parts there is no element but those of the
 * summary.
 */

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/writers.h"

#define PAGE 4096u
#define LINES_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *const engines[] = { (char *)"sync", (char *)"async", (char *)"both" };
static char page[HTML_BYTES_MAX + 1];
static size_t page_len;

static void must(bool fact)
{
	if (!fact)
		abort();
}

static int keep(void *to, const char *bytes, size_t len)
{
	(void)to;
	must(len <= HTML_BYTES_MAX - page_len);
	memcpy(page + page_len, bytes, len);
	page_len += len;
	page[page_len] = '\0';
	return 0;
}

static const char *find(const char *from, const char *what)
{
	const char *at = strstr(from, what);

	must(at != NULL);
	return at + strlen(what);
}

/* An element's begin is its name; of a name that wants to be one, nothing is left. */
static void look_at_summary(const char *begin, const char *end)
{
	static const char *const ours[] = {
		"p>", "/p>", "ul class=\"alert\">", "/ul>", "li>", "/li>", "table>", "/table>",
		"tr>", "/tr>", "td>", "/td>", "th>", "/th>", "/noscript>",
	};

	for (const char *p = begin; (p = memchr(p, '<', (size_t)(end - p)));) {
		bool known = false;

		p++;
		for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
			known |= !strncmp(p, ours[i], strlen(ours[i]));
		must(known);
	}
}

static void look_at_page(void)
{
	const char *summary, *begin, *end;
	json_t *o;

	must(strlen(page) == page_len);
	summary = find(page, "<noscript>");
	look_at_summary(summary, find(summary, "</noscript>"));
	begin = find(summary, "<script type=\"application/json\" id=\"data\">");
	end = find(begin, "</script>") - strlen("</script>");
	must(!memchr(begin, '<', (size_t)(end - begin)));
	o = json_loadb(begin, (size_t)(end - begin), JSON_REJECT_DUPLICATES, NULL);
	must(o && !strcmp(json_string_value(json_object_get(o, "schema")), "pagetap.html/1"));
	json_decref(o);
}

struct all {
	struct model *m;
	struct tally *t;
	struct html_events *e;
	struct writers *w;
	struct walk_end end;
};

static void read_lines(struct all *a, const char *text, const char *end)
{
	const struct reader rd = { .page_size = PAGE };

	for (unsigned int lines = 0; text < end && lines < LINES_MAX; lines++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((nl ? nl : end) - text);
		struct reader_record rec = { 0 };
		struct reader_error e;

		if (!reader_record(&rd, text, len, &rec, &e) && !rec.unknown) {
			must(!model_record(a->m, &rec.record) && !tally_record(a->t, &rec.record));
			must(!html_events_record(a->e, a->m, &rec.record));
			must(!writers_record(a->w, &rec.record));
			a->end.records++;
		}
		record_release(&rec.record);
		text += len + 1;
	}
}

static void write_page(struct all *a, const struct reader_header *h)
{
	const struct symbols_options off = { .off = true };
	static struct pen pen;
	struct symbols *symbols = NULL;
	struct chains *chains = NULL;
	struct html_report r = {
		.path = "<t>.ndjson", .header = h, .end = &a->end, .model = a->m, .tally = a->t,
		.events = a->e,
	};

	must(!symbols_new(&symbols, &off));
	must(!writers_chains(a->w, symbols, true, &chains));
	r.chains = chains;
	page_len = 0;
	pen_begin(&pen, keep, NULL);
	must(!html_write(&pen, &r));
	chains_free(chains);
	symbols_free(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *modes[] = { (char *)"write", NULL };
	struct reader_header h = {
		.page_size = PAGE, .modes = modes, .host = (char *)"<h>", .kernel = (char *)"6",
		.arch = (char *)"x",
	};
	struct all a = { 0 };

	if (!size)
		return 0;
	h.engine = engines[data[0] % 3];
	if (data[0] & 8)
		modes[0] = NULL;
	must(!model_new(&a.m, PAGE) && !tally_new(&a.t, &h, a.m));
	must(!html_events_new(&a.e) && !writers_new(&a.w, a.m));
	read_lines(&a, (const char *)data + 1, (const char *)data + size);
	write_page(&a, &h);
	look_at_page();
	html_events_free(a.e);
	writers_free(a.w);
	tally_free(a.t);
	model_free(a.m);
	return 0;
}
