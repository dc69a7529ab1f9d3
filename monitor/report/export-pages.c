/* SPDX-License-Identifier: MIT */
/*
 * Export, pages: what was touched, in the order of first touches; `lazy-pages --prefetch`
 * reads it.  A line is a process, an address and a number of pages; of a forked child one
 * more tells of whom it is, for a checkpoint that has only its parent.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/range.h"
#include "report/export.h"
#include "report/keys.h"

/* So many pieces of 64 pages: 256 GiB.  A trace may claim any number of pages. */
#define WORDS_MAX (1u << 20)
/* Pages beyond are the kernel's, or none. */
#define ADDRESSES_END (UINT64_C(1) << 51)

struct touched {
	struct keys spaces;	/* mm */
	int32_t *pids;		/* of each: the number that the list calls it by */
	size_t pid_room;
	struct keys words;	/* of 64 pages each, by process */
	uint64_t *seen;
	size_t room;
	bool full;		/* the rest is left out */
	int32_t pid;		/* of the run that is not written yet */
	uint64_t page, n;
};

static int introduce(struct touched *t, uint32_t mm, int32_t pid)
{
	uint32_t i;
	int new = keys_index(&t->spaces, mm, 0, &i);
	void *v;

	if (new <= 0)
		return new;
	v = keys_room(t->pids, i, &t->pid_room, sizeof(*t->pids));
	if (!v)
		return -ENOMEM;
	t->pids = v;
	t->pids[i] = pid;
	return 0;
}

static int32_t pid_of(const struct touched *t, const struct record *r)
{
	uint32_t i;

	return keys_find(&t->spaces, r->mm, 0, &i) ? t->pids[i] : r->pid;
}

static void flush(struct export *e)
{
	struct touched *t = e->state;

	if (t->n)
		pen_format(e->pen, "%d 0x%" PRIx64 " %" PRIu64 "\n", t->pid,
			   t->page * e->header->page_size, t->n);
	t->n = 0;
}

static int touch(struct export *e, int32_t pid, uint64_t page)
{
	struct touched *t = e->state;
	uint64_t bit = UINT64_C(1) << page % 64;
	uint32_t i;
	uint64_t *seen;
	int new;

	if (t->words.n == WORDS_MAX && !keys_find(&t->words, (uint32_t)pid, page / 64, &i)) {
		t->full = true;
		return 0;
	}
	new = keys_index(&t->words, (uint32_t)pid, page / 64, &i);
	if (new < 0)
		return new;
	if (new) {
		seen = keys_room(t->seen, i, &t->room, sizeof(*seen));
		if (!seen)
			return -ENOMEM;
		t->seen = seen;
		t->seen[i] = 0;
	}
	if (t->seen[i] & bit)
		return 0;
	t->seen[i] |= bit;
	if (!t->n || t->pid != pid || t->page + t->n != page) {
		flush(e);
		t->pid = pid;
		t->page = page;
	}
	t->n++;
	return 0;
}

static int touch_all(struct export *e, const struct record *r)
{
	const struct touched *t = e->state;
	uint64_t page = r->addr / e->header->page_size, n = r->npages;
	int32_t pid = pid_of(t, r);
	int err = 0;

	/* A fault of several pages is about the block of them that its own one is in. */
	if (r->kind == RECORD_FAULT && n && !(n & (n - 1)))
		page = align_down(page, n);
	n = page + n <= ADDRESSES_END ? n : page < ADDRESSES_END ? ADDRESSES_END - page : 0;
	for (uint64_t i = 0; pid > 0 && !t->full && !err && i < n; i++)
		err = touch(e, pid, page + i);
	return err;
}

static int add_fork(struct export *e, const struct record *r)
{
	int32_t parent = pid_of(e->state, r), child = parent;

	if (r->fork.child > 0 && r->fork.child <= INT32_MAX)
		child = (int32_t)r->fork.child;
	if (child != parent && parent > 0) {
		flush(e);
		pen_format(e->pen, "child %d %d\n", child, parent);
	}
	return r->fork.child_mm ? introduce(e->state, r->fork.child_mm, child) : 0;
}

static int record(struct export *e, const struct reader_record *rec, bool picked)
{
	const struct record *r = &rec->record;

	switch ((enum record_kind)r->kind) {
	case RECORD_ATTACH:
		return introduce(e->state, r->mm,
				 r->attach.image_pid ? r->attach.image_pid : r->pid);
	case RECORD_FORK:
		return add_fork(e, r);
	case RECORD_EXEC:
		if (!r->exec.new_mm)
			return 0;
		return introduce(e->state, r->exec.new_mm, pid_of(e->state, r));
	case RECORD_FAULT:
	case RECORD_DIRTY:
		return picked ? touch_all(e, r) : 0;
	default:
		return 0;
	}
}

static int begin(struct export *e)
{
	struct touched *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	e->state = t;
	pen_format(e->pen, "# pagetap.pages/1 page_size=%u\n", e->header->page_size);
	return 0;
}

static int end(struct export *e)
{
	const struct touched *t = e->state;

	flush(e);
	if (t->full)
		pen_text(e->pen, "# more was touched than is listed\n");
	return 0;
}

static void done(struct export *e)
{
	struct touched *t = e->state;

	if (!t)
		return;
	keys_done(&t->spaces);
	keys_done(&t->words);
	free(t->pids);
	free(t->seen);
	free(t);
}

const struct export_form export_pages = { "pages", begin, record, end, done };
