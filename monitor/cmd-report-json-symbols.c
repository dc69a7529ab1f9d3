/* SPDX-License-Identifier: MIT */
/* Cmd report, JSON: who wrote, by function. */

#include "base/cleanup.h"
#include "cmd-report-json.h"
#include "trace/record-json.h"

static int put_word(json_t *o, const char *key, const char *word)
{
	return json_object_set_new(o, key, word ? json_string(word) : json_null());
}

static int put_chain(json_t *o, const struct chains *c, const struct chains_row *row)
{
	uint32_t node[REPORT_CHAIN_MAX];
	size_t n = report_chain(c, row, node);
	json_t *list = json_array();
	int err = 0;

	for (size_t i = n; i; i--)
		err |= json_array_append_new(list, json_string(chains_node(c, node[i - 1])->name));
	return err | json_object_set_new(o, "chain", list);
}

int report_json_functions(json_t *list, const struct report_view *v)
{
	_free_ struct chains_row *rows = NULL;
	size_t n = 0;
	int err = 0;

	if (!v->chains)
		return 0;
	rows = chains_ranked(v->chains, &n);
	for (size_t i = 0; i < n && !err; i++) {
		const struct chains_row *row = &rows[i];
		json_t *o = json_object();

		err = put_word(o, "name", row->name) | put_word(o, "module", row->module) |
		      put_word(o, "file", row->file) | record_json_int(o, "line", row->line) |
		      record_json_int(o, "writes", row->self) |
		      record_json_int(o, "writes_at_line", row->at_line) |
		      record_json_int(o, "writes_below", row->total) |
		      put_chain(o, v->chains, row) | json_array_append_new(list, o);
	}
	return err;
}
