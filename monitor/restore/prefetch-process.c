/* SPDX-License-Identifier: MIT */
/*
 * Prefetch, apart: a trace read by a process that may do nothing else.  See prefetch.h.
 *
 * The parent gives the bytes of the file as they are and says that they end by shutdown(2);
 * the child answers with a struct outcome, and behind it the words of a refusal, or for each
 * task the number of its runs and the runs.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restore/apart.h"
#include "restore/prefetch.h"
#include "trace/reader-file.h"
#include "trace/reader.h"

#define BLOCK 65536u

struct outcome {
	int32_t err;
	uint32_t reserved;
};

/* ---- the child ------------------------------------------------------------------ */

static int say_line(struct prefetch_problem *why, uint64_t line, int err, const char *words)
{
	snprintf(why->text, sizeof(why->text), "line %" PRIu64 ": %s", line, words);
	return err;
}

/* *ret_list: it is none of a trace, but of a list. */
static int read_first(struct reader_file *f, struct reader *ret, bool *ret_list,
		      struct prefetch_problem *why)
{
	struct reader_header h;
	struct reader_error e = { "" };
	const char *line;
	size_t len;
	int r = reader_file_next(f, &line, &len);

	if (r != 1) {
		snprintf(why->text, sizeof(why->text), "it is empty, or no trace");
		return r < 0 ? r : -EBADMSG;
	}
	*ret_list = prefetch_is_list(line, len);
	if (*ret_list)
		return prefetch_list_head(line, len, why);
	r = reader_header(line, len, &h, &e);
	if (r < 0) {
		snprintf(why->text, sizeof(why->text), "%s", e.text);
		return r;
	}
	if (h.page_size != IMAGE_PAGE) {
		snprintf(why->text, sizeof(why->text), "its pages have %" PRIu32 " bytes",
			 h.page_size);
		r = -EBADMSG;
	}
	*ret = (struct reader){ .page_size = h.page_size };
	reader_header_release(&h);
	return r;
}

static int add_line(const struct reader *reader, const char *line, size_t len,
		    struct prefetch_maker *m, struct prefetch_problem *why)
{
	struct reader_record rec;
	struct reader_error e;
	int r = reader_record(reader, line, len, &rec, &e);

	if (r < 0) {
		snprintf(why->text, sizeof(why->text), "%s", r == -ENOMEM ? "no memory" : e.text);
		return r;
	}
	if (!rec.unknown)
		r = prefetch_maker_add(m, &rec.record);
	record_release(&rec.record);
	return r;
}

static int add_listed(const char *line, size_t len, struct prefetch_maker *m,
		      struct prefetch_problem *why)
{
	struct record record;
	int r = prefetch_list_line(line, len, &record, why);

	return r > 0 ? prefetch_maker_add(m, &record) : r;
}

/* Its last line may have been cut off: then it is not given at all. */
static int read_all(struct reader_file *f, struct prefetch_maker *m, struct prefetch_problem *why)
{
	struct prefetch_problem words = { "" };
	struct reader reader;
	const char *line;
	size_t len;
	bool list = false;
	int r = read_first(f, &reader, &list, why);

	while (!r) {
		r = reader_file_next(f, &line, &len);
		if (r <= 0)
			break;
		r = list ? add_listed(line, len, m, &words) :
			   add_line(&reader, line, len, m, &words);
		if (r < 0)
			return say_line(why, reader_file_line(f), r, words.text[0] ? words.text :
					strerror(-r));
	}
	if (r == -EMSGSIZE)
		return say_line(why, reader_file_line(f), r, "it is too long");
	if (r < 0 && !why->text[0])
		snprintf(why->text, sizeof(why->text), "%s", r == -EILSEQ ?
			 "its compressed data is damaged" : strerror(-r));
	return r;
}

static int make(const struct image *image, struct prefetch *ret, struct prefetch_problem *why)
{
	struct prefetch_maker *m = NULL;
	struct reader_file *f = NULL;
	int r = prefetch_maker_new(image, &m);

	if (!r)
		r = reader_file_take(&f, APART_SOCKET);
	if (!r)
		r = read_all(f, m, why);
	if (!r)
		r = prefetch_maker_end(m, ret);
	if (r && !why->text[0])
		snprintf(why->text, sizeof(why->text), "%s", strerror(-r));
	return r;
}

static void work(void *arg)
{
	struct prefetch_problem why = { "" };
	struct prefetch p = PREFETCH_NULL;
	struct outcome o = { 0 };

	o.err = make(arg, &p, &why);
	apart_give(&o, sizeof(o));
	if (o.err)
		apart_give(&why, sizeof(why));
	for (size_t i = 0; !o.err && i < p.ntasks; i++) {
		const uint64_t n = p.lists[i].n;

		apart_give(&n, sizeof(n));
		apart_give(p.lists[i].v, p.lists[i].n * sizeof(*p.lists[i].v));
	}
	prefetch_free(&p);
}

/* ---- the parent ----------------------------------------------------------------- */

/* The bytes of the file, as far as the child wants them; it may refuse the rest. */
static int feed(int from, const struct apart *child)
{
	_free_ char *buf = malloc(BLOCK);
	int r = buf ? 0 : -ENOMEM;

	while (!r) {
		ssize_t n = read(from, buf, BLOCK);

		if (!n)
			break;
		if (n > 0)
			r = apart_send(child, buf, (size_t)n);
		else if (errno != EINTR)
			r = -errno;
	}
	shutdown(child->fd, SHUT_WR);
	return r == -EPIPE ? 0 : r;
}

static int take(const struct apart *child, void *bytes, size_t len)
{
	int r = apart_receive(child, bytes, len);

	return r == -EPIPE ? -EPROTO : r;
}

/* A run lies in one mapping's worth of lazy pages, or in several next to one another. */
static bool is_lazy(const struct image_task *task, struct range r)
{
	uint64_t at = r.lo;

	if ((r.lo | r.hi) % IMAGE_PAGE || r.lo >= r.hi)
		return false;
	for (size_t i = image_seek(task, r.lo); i < task->npieces && at < r.hi; i++) {
		if (task->pieces[i].vaddr > at || !task->pieces[i].lazy)
			return false;
		at = task->pieces[i].vaddr + task->pieces[i].npages * IMAGE_PAGE;
	}
	return at >= r.hi;
}

static int take_list(const struct apart *child, const struct image_task *task,
		     struct prefetch *p, size_t i)
{
	struct prefetch_list *l = &p->lists[i];
	uint64_t n, pages = 0;
	int r = take(child, &n, sizeof(n));

	/* Each page once at most: so there is a bound. */
	if (r || n > task->lazy_pages)
		return r ? r : -EPROTO;
	l->v = n ? calloc((size_t)n, sizeof(*l->v)) : NULL;
	if (n && !l->v)
		return -ENOMEM;
	l->n = l->room = (size_t)n;
	r = take(child, l->v, l->n * sizeof(*l->v));
	for (size_t k = 0; !r && k < l->n; k++) {
		if (!is_lazy(task, l->v[k]))
			return -EPROTO;
		pages += range_len(l->v[k]) / IMAGE_PAGE;
	}
	if (pages > task->lazy_pages)
		return -EPROTO;
	p->pages += pages;
	return r;
}

static int take_lists(const struct apart *child, const struct image *image, struct prefetch *p)
{
	int r = 0;

	p->lists = calloc(image->ntasks + 1, sizeof(*p->lists));
	if (!p->lists)
		return -ENOMEM;
	p->ntasks = image->ntasks;
	for (size_t i = 0; !r && i < image->ntasks; i++)
		r = take_list(child, &image->tasks[i], p, i);
	return r;
}

static int take_outcome(const struct apart *child, const struct image *image,
			struct prefetch *p, struct prefetch_problem *why)
{
	struct prefetch_problem words;
	struct outcome o;
	int r = take(child, &o, sizeof(o));

	if (r)
		return r;
	if (!o.err)
		return take_lists(child, image, p);
	if (o.err > 0 || o.err < -4095)
		return -EPROTO;
	r = take(child, &words, sizeof(words));
	if (r)
		return r;
	apart_clean(words.text, sizeof(words.text));
	*why = words;
	return o.err;
}

int prefetch_read_apart(int fd, const struct image *image, void (*confine)(void),
			struct prefetch *ret, struct prefetch_problem *ret_why)
{
	struct prefetch p = PREFETCH_NULL;
	struct apart child;
	int r;

	ret_why->text[0] = '\0';
	r = apart_begin(&child, confine, work, (void *)(uintptr_t)image);
	if (r)
		return r;
	r = feed(fd, &child);
	if (!r)
		r = take_outcome(&child, image, &p, ret_why);
	apart_end(&child);
	if (!r) {
		*ret = p;
		return 0;
	}
	prefetch_free(&p);
	if (!ret_why->text[0])
		snprintf(ret_why->text, sizeof(ret_why->text), "%s", r == -EPROTO ?
			 "the process that reads it failed" : r == -ETIMEDOUT ?
			 "reading it takes too long" : strerror(-r));
	return r;
}
