/* SPDX-License-Identifier: MIT */
/* Walk: lines to records to a callback.  See walk.h. */

#include "report/walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "trace/reader-file.h"

/* So many lines between two looks at how far it is. */
#define LINES_A_LOOK 4096

struct walk {
	struct reader_file *file;
	struct reader_header header;
	struct reader reader;
	walk_progress progress;
	void *progress_arg;
	uint64_t next_seq;
};

static int no_trace(struct reader_error *why, const char *words)
{
	snprintf(why->text, sizeof(why->text), "not a trace: %s", words);
	return -EBADMSG;
}

static int read_header(struct walk *w, struct reader_error *ret_why)
{
	const char *line;
	size_t len;
	int r = reader_file_next(w->file, &line, &len);

	if (!r)
		return no_trace(ret_why, "there is no line in it");
	if (r == -EMSGSIZE)
		return no_trace(ret_why, "line 1 is too long for a header");
	if (r < 0)
		return r;
	r = reader_header(line, len, &w->header, ret_why);
	w->reader.page_size = w->header.page_size;
	return r;
}

int walk_open(struct walk **ret, const char *path, struct reader_error *ret_why)
{
	struct walk *w = calloc(1, sizeof(*w));
	int r;

	*ret_why = (struct reader_error){ "" };
	if (!w)
		return -ENOMEM;
	w->next_seq = 1;
	r = reader_file_open(&w->file, path);
	if (!r)
		r = read_header(w, ret_why);
	if (r < 0) {
		walk_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

const struct reader_header *walk_header(const struct walk *w)
{
	return &w->header;
}

void walk_watch(struct walk *w, walk_progress progress, void *arg)
{
	w->progress = progress;
	w->progress_arg = arg;
}

static void look(struct walk *w)
{
	uint64_t done, total;

	if (!w->progress || reader_file_line(w->file) % LINES_A_LOOK)
		return;
	reader_file_progress(w->file, &done, &total);
	w->progress(w->progress_arg, done, total);
}

/* Numbers that went back (two traces in one file, say) are no hole. */
static void check_seq(struct walk *w, uint64_t seq, struct walk_end *e)
{
	if (seq > w->next_seq) {
		e->holes++;
		e->missing += seq - w->next_seq;
	}
	w->next_seq = seq + 1;
}

/* What cannot be read may have been a record: it has a number of seq of its own. */
static void leave_out(struct walk *w, const struct reader_error *why, struct walk_end *e)
{
	if (!e->unreadable++) {
		e->unreadable_line = reader_file_line(w->file);
		e->unreadable_why = *why;
	}
	w->next_seq++;
}

static int take_line(struct walk *w, const char *line, size_t len, walk_record on_record, void *arg,
		     struct walk_end *e)
{
	struct reader_record rec;
	struct reader_error why;
	int r = reader_record(&w->reader, line, len, &rec, &why);

	if (r == -EBADMSG) {
		record_release(&rec.record);
		leave_out(w, &why, e);
		return 0;
	}
	if (r < 0)
		return r;
	check_seq(w, rec.seq, e);
	e->records++;
	e->unknown += rec.unknown;
	e->complete = !rec.unknown && rec.record.kind == RECORD_DETACH;
	if (rec.unknown)
		return 0;
	e->last_ts = rec.record.ts;
	r = on_record(arg, &rec);
	record_release(&rec.record);
	return r;
}

int walk_run(struct walk *w, walk_record on_record, void *arg, struct walk_end *ret_end)
{
	static const struct reader_error too_long = { "the line is longer than any record" };
	struct walk_end *e = ret_end;
	const char *line;
	size_t len;
	int r;

	*e = (struct walk_end){ 0 };
	while ((r = reader_file_next(w->file, &line, &len)) == 1 || r == -EMSGSIZE) {
		if (r == 1)
			r = take_line(w, line, len, on_record, arg, e);
		else
			leave_out(w, &too_long, e), r = 0;
		if (r)
			return r < 0 ? r : 0;
		look(w);
	}
	e->cut = reader_file_cut(w->file, &e->cut_offset);
	e->damaged = r == -EILSEQ;
	return e->damaged ? 0 : r;
}

struct walk *walk_close(struct walk *w)
{
	if (!w)
		return NULL;
	reader_file_close(w->file);
	reader_header_release(&w->header);
	free(w);
	return NULL;
}
