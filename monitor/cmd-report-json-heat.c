/* SPDX-License-Identifier: MIT */
/* Cmd report, JSON: the heat maps. */

#include "cmd-report-json.h"
#include "trace/record-json.h"

static int put_row(json_t *list, const struct report_view *v, const struct heat_row *row)
{
	const struct heat *h = &v->l->tally->heat;
	json_t *o = json_object(), *cells = json_array();
	int err = record_json_hex(o, "addr", row->page * v->l->tally->page_size) |
		  record_json_int(o, "page", row->page);

	for (unsigned int i = 0; i < h->used; i++)
		err |= json_array_append_new(cells, json_integer(row->column[i]));
	return err | json_object_set_new(o, "cells", cells) | json_array_append_new(list, o);
}

static int put_map(json_t *list, const struct report_view *v, struct heat_map *m)
{
	const struct heat *h = &v->l->tally->heat;
	const struct model_label *l = model_label(v->l->model, (size_t)(m - h->maps));
	json_t *o = json_object(), *rows = json_array();
	int err = record_json_text(o, "name", "name_hex", l->name.s, l->name.len) |
		  record_json_text(o, "label", "label_hex", l->text.s, l->text.len) |
		  record_json_int(o, "sum", m->sum) |
		  record_json_int(o, "row_pages", UINT64_C(1) << m->shift);

	heat_sort(m);
	for (size_t i = 0; i < m->n && !err; i++)
		err = put_row(rows, v, m->rows[i]);
	return err | json_object_set_new(o, "rows", rows) | json_array_append_new(list, o);
}

int report_json_heat(json_t *o, const struct report_view *v)
{
	const struct heat *h = &v->l->tally->heat;
	json_t *maps = json_array();
	int err = record_json_int(o, "ts", h->origin) |
		  record_json_int(o, "column_ns", heat_column_ns(h)) |
		  record_json_int(o, "left_out", h->left_out);

	for (size_t i = 0; i < h->n && !err; i++)
		if (h->maps[i].sum && h->maps[i].n)
			err = put_map(maps, v, &h->maps[i]);
	return err | json_object_set_new(o, "maps", maps);
}
