/* SPDX-License-Identifier: MIT */
/*
 * Export: a trace in the words of other tools.
 *
 * A form is begun, is given every record after the model has seen it, and is ended; what it
 * writes goes through the pen.  Pure but for symbols.  pagetap-export(1) tells what each form
 * is.
 */
#ifndef REPORT_EXPORT_H
#define REPORT_EXPORT_H

#include <stdbool.h>

#include "report/model.h"
#include "report/pen.h"
#include "report/symbols.h"
#include "trace/reader.h"

struct export {
	const struct reader_header *header;
	const struct model *model;
	struct symbols *symbols;
	struct pen *pen;
	void *state;		/* the form's own */
};

struct export_form {
	const char *name;
	/* -ENOMEM.  After a failure of any of these only done() is called. */
	int (*begin)(struct export *e);
	/* `picked`: it was asked for; the others are for understanding those. */
	int (*record)(struct export *e, const struct reader_record *r, bool picked);
	int (*end)(struct export *e);
	void (*done)(struct export *e);
};

/* NULL: no such form. */
const struct export_form *export_form(const char *name);

/* The forms, a file each. */
extern const struct export_form export_chrome, export_folded, export_speedscope, export_csv,
	export_openmetrics, export_pages;

/* ---- what forms share ----------------------------------------------------------- */

/* What a thread is called; of a process without a name its number, into buf. */
struct model_text export_comm(const struct export *e, const struct record *r, int32_t tid,
			      char *buf, size_t cap);
/*
 * The function that wrote, for a fault with an address of code; NULL: none is known.  *ret is
 * good as long as the symbols.  -ENOMEM.
 */
int export_function(const struct export *e, const struct record *r, const struct symbol **ret);

#endif
