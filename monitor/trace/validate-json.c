/* SPDX-License-Identifier: MIT */
/* Validate, JSON: the verdict for programs.  See validate-file.h. */

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "trace/record-json.h"
#include "trace/validate-file.h"

static int put_totals(json_t *o, const struct validate_outcome *out)
{
	const struct validate_totals *t = &out->totals;

	return record_json_int(o, "records", t->records) |
	       record_json_int(o, "faults", t->faults) |
	       record_json_int(o, "writes", t->writes) |
	       record_json_int(o, "lost", t->lost) |
	       json_object_set_new(o, "lost_unknown", json_boolean(t->lost_unknown)) |
	       record_json_int(o, "gaps", t->gaps) |
	       json_object_set_new(o, "complete", json_boolean(t->complete)) |
	       json_object_set_new(o, "cut", json_boolean(out->cut));
}

static int put_complaints(json_t *o, const struct validate_complaint *c, unsigned int n)
{
	json_t *list = json_array();
	int err = 0;

	for (unsigned int i = 0; i < n && !err; i++) {
		json_t *one = json_object();

		err = record_json_int(one, "line", c[i].line) |
		      record_json_text(one, "words", "words_hex", c[i].words, strlen(c[i].words)) |
		      json_array_append_new(list, one);
	}
	return err | json_object_set_new(o, "complaints", list);
}

char *validate_json_line(const char *path, int r, const struct validate_outcome *o,
			 const struct validate_complaint *complaints, unsigned int n)
{
	size_t cap = 8192 + strlen(path) * 8 + n * 8 * sizeof(*complaints);
	_json_ json_t *j = json_object();
	_free_ char *line = malloc(cap);
	int64_t len;
	int err;

	if (!line)
		return NULL;
	err = record_json_text(j, "file", "file_hex", path, strlen(path)) |
	      json_object_set_new(j, "valid", json_boolean(!r && !o->totals.complaints)) |
	      put_totals(j, o) |
	      record_json_int(j, "ncomplaints", o->totals.complaints) |
	      put_complaints(j, complaints, n);
	if (r < 0)
		err |= record_json_word(j, "error", o->words);
	len = err ? -1 : record_json_line(j, line, cap - 1);
	if (len < 0)
		return NULL;
	line[len] = '\0';
	return steal_ptr(&line);
}
