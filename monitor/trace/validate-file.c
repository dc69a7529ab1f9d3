/* SPDX-License-Identifier: MIT */
/* Validate, file: lines to records to the validator.  See validate-file.h. */

#include "trace/validate-file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "trace/reader-file.h"

struct work {
	struct reader_file *file;
	struct reader reader;
	struct reader_header header;
	struct validator *validator;
	struct reader_error error;
};

static void work_done(struct work *w)
{
	reader_file_close(w->file);
	reader_header_release(&w->header);
	validate_free(w->validator);
}

static int read_header(struct work *w)
{
	const char *line;
	size_t len;
	int r = reader_file_next(w->file, &line, &len);

	if (!r || r == -EMSGSIZE) {
		snprintf(w->error.text, sizeof(w->error.text), "not a trace: %s",
			 r ? "line 1 is too long for a header" : "there is no line in it");
		return -EBADMSG;
	}
	if (r < 0)
		return r;
	r = reader_header(line, len, &w->header, &w->error);
	if (r < 0)
		return r;
	w->reader = (struct reader){ .page_size = w->header.page_size, .strict = true };
	return 0;
}

static int take_line(struct work *w, const char *line, size_t len)
{
	uint64_t number = reader_file_line(w->file);
	struct reader_record rec = { 0 };
	int r;

	r = reader_record(&w->reader, line, len, &rec, &w->error);
	if (r == -EBADMSG)
		validate_bad_line(w->validator, number, w->error.text);
	else if (!r)
		r = validate_record(w->validator, number, &rec);
	record_release(&rec.record);
	return r == -EBADMSG ? 0 : r;
}

static int take_lines(struct work *w)
{
	const char *line;
	size_t len;
	int r;

	while ((r = reader_file_next(w->file, &line, &len))) {
		if (r == -EMSGSIZE)
			validate_bad_line(w->validator, reader_file_line(w->file),
					  "the line is longer than any record");
		else if (r == 1)
			r = take_line(w, line, len);
		if (r < 0 && r != -EMSGSIZE)
			return r;
	}
	return 0;
}

static void take_end(struct work *w, bool allow_cut, struct validate_outcome *ret)
{
	char words[96];

	ret->lines = reader_file_line(w->file);
	ret->cut = reader_file_cut(w->file, &ret->cut_offset);
	snprintf(words, sizeof(words), "the last line is cut off at byte %" PRIu64,
		 ret->cut_offset);
	if (ret->cut && !allow_cut)
		validate_bad_line(w->validator, ret->lines + 1, words);
	validate_end(w->validator, ret->lines, allow_cut);
}

static void put_words(struct validate_outcome *o, int r, const struct reader_error *e)
{
	if (r == -EBADMSG || r == -EPROTONOSUPPORT)
		snprintf(o->words, sizeof(o->words), "%s", e->text);
	else if (r == -EILSEQ)
		snprintf(o->words, sizeof(o->words), "the compressed data is damaged after "
			 "line %" PRIu64, o->lines);
	else
		snprintf(o->words, sizeof(o->words), "%s", strerror(-r));
}

int validate_file(const char *path, bool allow_cut, validate_complain complain, void *arg,
		  struct validate_outcome *ret)
{
	_cleanup_(work_done) struct work w = { 0 };
	int r;

	*ret = (struct validate_outcome){ 0 };
	r = reader_file_open(&w.file, path);
	if (!r)
		r = read_header(&w);
	if (!r)
		r = validate_new(&w.validator, &w.header, complain, arg);
	if (!r)
		r = take_lines(&w);
	if (!r)
		take_end(&w, allow_cut, ret);
	else if (w.file)
		ret->lines = reader_file_line(w.file);
	if (w.validator)
		ret->totals = *validate_totals(w.validator);
	if (r < 0)
		put_words(ret, r, &w.error);
	return r;
}
