/* SPDX-License-Identifier: MIT */
/* Cmd report, words: what the pieces of a report share. */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd-report.h"
#include "log.h"
#include "options.h"
#include "words.h"

#define WIDTH_MIN 60
#define WIDTH_MAX 400
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

unsigned int report_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t width = 0;

	if (!columns || !options_number(columns, 1, WIDTH_MAX, &width)) {
		width = 80;
		if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
			width = size.ws_col;
	}
	if (width < WIDTH_MIN)
		return WIDTH_MIN;
	return width > WIDTH_MAX ? WIDTH_MAX : (unsigned int)width;
}

void report_title(const struct report_view *v, const char *fmt, ...)
{
	va_list ap;

	printf("\n%s", v->color ? BOLD : "");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("%s\n", v->color ? PLAIN : "");
}

/* Bytes of s that take so many columns, a character being one. */
static size_t fitting(const char *s, unsigned int columns)
{
	size_t i = 0;

	for (; s[i]; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80 && !columns--)
			break;
	return i;
}

const char *report_name(const struct report_view *v, struct model_text t, unsigned int columns,
			char *buf, size_t cap)
{
	size_t fits;

	log_escape(t.s, t.len, buf, cap);
	if (!v->terminal)
		return buf;
	columns = columns < 12 || columns > WIDTH_MAX ? 12 : columns;
	if (buf[fitting(buf, columns)]) {
		fits = fitting(buf, columns - 3);
		if (fits + 4 <= cap)
			memcpy(buf + fits, "...", 4);
	}
	return buf;
}

struct model_text report_comm(const struct report_view *v, int32_t pid, uint32_t mm, int32_t tid)
{
	struct model_text comm = model_comm(v->l->model, pid, mm, tid);

	return comm.len ? comm : (struct model_text){ 1, "-" };
}

const char *report_share(uint64_t part, uint64_t all, struct report_share *ret)
{
	if (all)
		snprintf(ret->s, sizeof(ret->s), "%.1f %%", (double)part * 100 / (double)all);
	else
		memcpy(ret->s, "-", 2);
	return ret->s;
}

uint64_t report_weight(const struct report_view *v, const struct tally_counts *c)
{
	return v->l->tally->watches_writes ? c->written : c->faults;
}

const char *report_noun(const struct report_view *v)
{
	return v->l->tally->watches_writes ? "writes" : "touches";
}

size_t report_rows(const struct report_view *v, size_t n)
{
	return v->top && v->top < n ? (size_t)v->top : n;
}

void report_more(size_t shown, size_t n)
{
	struct words many;

	if (n > shown)
		printf("  ... and %s more (--top 0 shows all)\n", words_count(n - shown, &many));
}
