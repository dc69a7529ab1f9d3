/* SPDX-License-Identifier: MIT */
/*
 * HTML, page.  See html-page.h.
 *
 * The parts lie in page/, and are put into the program as they are.  The policy names
 * each script and each style sheet by the hash of its bytes: if a name of the watched
 * program ever became markup, what stood in it would neither run nor fetch anything.
 */
#include "report/html-page.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <string.h>

/* A file as it is, between two symbols. */
#define PART(name, path)                                                               \
	__asm__(".section .rodata\n"                                                   \
		"report_" #name "_begin: .incbin \"" path "\"\n"                       \
		"report_" #name "_end: .byte 0\n"                                      \
		".previous\n");                                                        \
	extern const char report_##name##_begin[], report_##name##_end[]

PART(template, "monitor/report/page/page.html");
PART(uplot_css, "third_party/uplot/uPlot.min.css");
PART(page_css, "monitor/report/page/page.css");
PART(uplot_licence, "third_party/uplot/LICENSE");
PART(uplot, "third_party/uplot/uPlot.iife.min.js");
PART(read, "monitor/report/page/page-read.js");
PART(theme, "monitor/report/page/page-theme.js");
PART(cells, "monitor/report/page/page-cells.js");
PART(heat, "monitor/report/page/page-heat.js");
PART(pointer, "monitor/report/page/page-pointer.js");
PART(curves, "monitor/report/page/page-curves.js");
PART(flame, "monitor/report/page/page-flame.js");
PART(tables, "monitor/report/page/page-tables.js");
PART(start, "monitor/report/page/page.js");

struct part {
	const char *begin, *end;
};
#define OF(name) { report_##name##_begin, report_##name##_end }

static const struct part template = OF(template), licence = OF(uplot_licence);
static const struct part styles[] = { OF(uplot_css), OF(page_css) };
static const struct part scripts[] = {
	OF(uplot), OF(read), OF(theme), OF(cells), OF(heat), OF(pointer), OF(curves),
	OF(flame), OF(tables), OF(start),
};

/* What stands between the tags of the element, to the byte. */
static void write_part(struct pen *p, const char *tag, const struct part *part)
{
	pen_format(p, "<%s>", tag);
	pen_bytes(p, part->begin, (size_t)(part->end - part->begin));
	pen_format(p, "</%s>\n", tag);
}

static int write_hashes(struct pen *p, const struct part *parts, size_t n)
{
	unsigned char sum[32];

	for (size_t i = 0; i < n; i++) {
		if (gnutls_hash_fast(GNUTLS_DIG_SHA256, parts[i].begin,
				     (size_t)(parts[i].end - parts[i].begin), sum))
			return -ENOTRECOVERABLE;
		pen_text(p, " 'sha256-");
		html_base64(p, sum, sizeof(sum));
		pen_text(p, "'");
	}
	return 0;
}

/* The icon is data:, because a browser would look for one otherwise. */
static int write_policy(struct pen *p)
{
	int err;

	pen_text(p, "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
		    "script-src");
	err = write_hashes(p, scripts, sizeof(scripts) / sizeof(*scripts));
	pen_text(p, "; style-src");
	return err ? err : write_hashes(p, styles, sizeof(styles) / sizeof(*styles));
}

static void write_scripts(struct pen *p)
{
	pen_text(p, "<!--\nuPlot, which follows:\n");
	pen_bytes(p, licence.begin, (size_t)(licence.end - licence.begin));
	pen_text(p, "\n-->\n");
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++)
		write_part(p, "script", &scripts[i]);
}

/* What the template calls @name@. */
static int write_named(struct pen *p, const struct html_page *page, const char *name,
		       size_t len)
{
	const struct {
		const char *name;
		void (*write)(struct pen *p, const void *arg);
	} asked[] = {
		{ "title", page->title }, { "summary", page->summary }, { "data", page->data },
	};

	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
		if (len == strlen(asked[i].name) && !memcmp(name, asked[i].name, len)) {
			asked[i].write(p, page->arg);
			return 0;
		}
	if (len == 6 && !memcmp(name, "policy", 6))
		return write_policy(p);
	if (len == 6 && !memcmp(name, "styles", 6))
		for (size_t i = 0; i < sizeof(styles) / sizeof(*styles); i++)
			write_part(p, "style", &styles[i]);
	if (len == 7 && !memcmp(name, "scripts", 7))
		write_scripts(p);
	return 0;
}

int html_page_write(struct pen *p, const struct html_page *page)
{
	const char *at = template.begin, *mark;
	int err;

	while ((mark = memchr(at, '@', (size_t)(template.end - at)))) {
		const char *close = memchr(mark + 1, '@', (size_t)(template.end - mark - 1));

		if (!close)
			break;
		pen_bytes(p, at, (size_t)(mark - at));
		err = write_named(p, page, mark + 1, (size_t)(close - mark - 1));
		if (err)
			return err;
		at = close + 1;
	}
	pen_bytes(p, at, (size_t)(template.end - at));
	return pen_end(p);
}
