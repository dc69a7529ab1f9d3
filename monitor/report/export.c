/* SPDX-License-Identifier: MIT */
/* Export: the table of forms, and what they share.  See export.h. */

#include "report/export.h"

#include <stdio.h>
#include <string.h>

#include "report/writers.h"

const struct export_form *export_form(const char *name)
{
	static const struct export_form *const forms[] = {
		&export_chrome, &export_folded, &export_speedscope,
		&export_csv, &export_openmetrics, &export_pages,
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (!strcmp(name, forms[i]->name))
			return forms[i];
	return NULL;
}

struct model_text export_comm(const struct export *e, const struct record *r, int32_t tid,
			      char *buf, size_t cap)
{
	struct model_text t = model_comm(e->model, r->pid, r->mm, tid);
	int n;

	if (t.len)
		return t;
	n = snprintf(buf, cap, "%d", tid ? tid : r->pid);
	return (struct model_text){ n > 0 ? (size_t)n : 0, buf };
}

int export_function(const struct export *e, const struct record *r, const struct symbol **ret)
{
	const struct model_vma *code = NULL;
	struct symbols_where where;
	size_t n;

	*ret = NULL;
	if (r->kind == RECORD_FAULT && r->fault.ip)
		code = model_find(e->model, r->mm, r->fault.ip);
	if (!code)
		return 0;
	where = writers_where(code);
	return symbols_find(e->symbols, &where, r->fault.ip, false, ret, &n);
}
