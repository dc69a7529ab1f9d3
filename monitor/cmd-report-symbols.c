/* SPDX-License-Identifier: MIT */
/* Cmd report, symbols: who wrote it, by function, with the chain of calls. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd-report.h"
#include "report/chains.h"
#include "words.h"

size_t report_chain(const struct chains *c, const struct chains_row *row, uint32_t *ret)
{
	uint32_t at = row->node;
	size_t n = 0;

	for (; at && at != CHAINS_NONE && n < REPORT_CHAIN_MAX; at = chains_node(c, at)->parent)
		ret[n++] = at;
	return n;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* "write_often (quills) quills.c:48" */
static void print_function(const struct report_view *v, const struct chains_row *row)
{
	bool known = row->module && strcmp(row->module, row->name) != 0;
	char name[2200], line[1100] = "";
	struct model_text text;
	int n;

	if (row->file)
		snprintf(line, sizeof(line), " %s:%" PRIu32, last_part(row->file), row->line);
	n = snprintf(name, sizeof(name), "%s%s%s%s%s", row->name, known ? " (" : "",
		     known ? row->module : "", known ? ")" : "", line);
	text = (struct model_text){ n < 0 ? 0 : (size_t)n < sizeof(name) ? (size_t)n :
				    sizeof(name) - 1, name };
	printf("%s\n", report_name(v, text, v->width - 41, (char[3000]){ 0 }, 3000));
}

/* Who called it, where it wrote most; on a terminal as far as a line reaches. */
static void print_callers(const struct report_view *v, const struct chains_row *row)
{
	uint32_t node[REPORT_CHAIN_MAX];
	size_t n = report_chain(v->chains, row, node), room = v->width - 41;

	if (n < 2)
		return;
	printf("%41s", "");
	for (size_t i = 1; i < n; i++) {
		const char *name = chains_node(v->chains, node[i])->name;
		size_t len = strlen(name) + 3;

		if (v->terminal && len + 4 > room) {
			printf(" ...");
			break;
		}
		printf("%s< %s", i > 1 ? " " : "", name);
		room -= v->terminal ? len : 0;
	}
	printf("\n");
}

int report_by_symbol(const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	uint64_t sum = chains_node(v->chains, 0)->total, all = t->total.written;
	struct words self, total;
	struct report_share share;
	_free_ struct chains_row *rows = NULL;
	size_t n, shown;

	all = all < sum ? sum : all;
	rows = chains_ranked(v->chains, &n);
	if (!rows && chains_nodes(v->chains) > 1)
		return -ENOMEM;
	for (shown = 0; rows && shown < n && rows[shown].self; shown++)
		;
	n = shown;
	report_title(v, "by function");
	printf("  %12s %7s %16s  %s\n", "writes", "share", "with its callees", "function");
	shown = report_rows(v, n);
	for (size_t i = 0; rows && i < shown; i++) {
		printf("  %12s %7s %16s  ", words_count(rows[i].self, &self),
		       report_share(rows[i].self, all, &share),
		       words_count(rows[i].total, &total));
		print_function(v, &rows[i]);
		print_callers(v, &rows[i]);
	}
	report_more(shown, n);
	if (all > sum)
		printf("  %12s %7s %16s  %s\n", words_count(all - sum, &self),
		       report_share(all - sum, all, &share), "", "(code not known)");
	return 0;
}
