/* SPDX-License-Identifier: MIT */
/* Spare: the pages that the kernel writes when a thread ends.  See spare.h. */

#include "watch/spare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compat/sys.h"
#include "watch/space.h"
#include "watch/uffd.h"

/* Looking may cost one part in this many of the monitor's time. */
#define LEARN_SHARE 20
#define LEARN_PERIOD (500 * NSEC_PER_USEC)
/* The kernel follows 2048 (ROBUST_LIST_LIMIT); nobody holds so many locks. */
#define ROBUST_MAX 256
/* pthread_attr_setguardsize(3): a page by default, a few with a JVM. */
#define GUARD_MAX (UINT64_C(1) << 20)
#define STACK_MIN (UINT64_C(16) << 10)

/* struct robust_list_head of <linux/futex.h>, as the kernel reads it there. */
struct robust_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t pending;
};

struct found {
	uint64_t *page;
	unsigned int n, room;
	uint64_t page_size;
	int mem;			/* /proc/PID/mem; -1: not to be read */
	int error;
};

void spare_done(struct spares *s)
{
	free(s->page);
	*s = (struct spares){ 0 };
}

int spare_clone(struct spares *ret, const struct spares *s)
{
	*ret = *s;
	ret->page = NULL;
	ret->n = ret->room = 0;
	ret->due = 0;
	if (!s->n)
		return 0;
	ret->page = malloc(s->n * sizeof(*s->page));
	if (!ret->page)
		return -ENOMEM;
	memcpy(ret->page, s->page, s->n * sizeof(*s->page));
	ret->n = ret->room = s->n;
	return 0;
}

/* Index of the first page at or above addr. */
static unsigned int find(const struct spares *s, uint64_t addr)
{
	unsigned int lo = 0, hi = s->n;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (s->page[mid] < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void add(struct found *f, uint64_t addr)
{
	uint64_t page = align_down(addr, f->page_size);


	if (!addr || f->error || (f->n && f->page[f->n - 1] == page))
		return;
	if (f->n == f->room) {
		unsigned int room = f->room ? f->room * 2 : 64;
		uint64_t *p = realloc(f->page, room * sizeof(*p));

		if (!p) {
			f->error = -ENOMEM;
			return;
		}
		f->page = p;
		f->room = room;
	}
	f->page[f->n++] = page;
}

/*
 * What is read belongs to the target and may be anything; a page too many costs
 * nothing but its coverage.  /proc/PID/mem never waits for a userfaultfd.
 */
static void add_robust(struct found *f, uint64_t head_addr)
{
	struct robust_head head;
	uint64_t entry;

	/* glibc: the tid word is 16 bytes before it, in the same cache line. */
	add(f, head_addr - 16);
	add(f, head_addr);
	if (f->mem < 0 ||
	    pread(f->mem, &head, sizeof(head), (off_t)head_addr) != (ssize_t)sizeof(head))
		return;
	/* Bit 0 says that it is a lock with priority inheritance. */
	if (head.pending)
		add(f, (head.pending & ~UINT64_C(1)) + (uint64_t)head.futex_offset);
	entry = head.next & ~UINT64_C(1);
	for (int i = 0; i < ROBUST_MAX && entry && entry != head_addr; i++) {
		add(f, entry + (uint64_t)head.futex_offset);
		if (pread(f->mem, &entry, sizeof(entry), (off_t)entry) != (ssize_t)sizeof(entry))
			return;
		entry &= ~UINT64_C(1);
	}
}

static bool is_guard(const struct region *g)
{
	return !(g->prot & (RECORD_PROT_READ | RECORD_PROT_WRITE | RECORD_PROT_EXEC)) &&
	       !g->ino && range_len(g->r) <= GUARD_MAX;
}

static bool is_stack(const struct region *below, const struct region *g)
{
	return below && below->r.hi == g->r.lo && is_guard(below) && g->prot & RECORD_PROT_WRITE &&
	       !(g->prot & RECORD_PROT_SHARED) && !g->ino && range_len(g->r) >= STACK_MIN;
}

static void add_size(struct spares *s, uint64_t size)
{
	for (unsigned int i = 0; i < s->nsizes && i < SPARE_SIZES; i++)
		if (s->size[i] == size)
			return;
	s->size[s->nsizes++ % SPARE_SIZES] = size;
}

/*
 * Without get_robust_list(2), and no thread seen before: glibc's heads have an offset of
 * -32 from a list entry to the lock (pthread_mutex_t), and a list that ends in itself.
 */
static uint64_t find_head(const struct found *f, uint64_t area)
{
	uint64_t v[512];
	size_t n = f->page_size < sizeof(v) ? f->page_size / 8 : 512;

	if (f->mem < 0 || pread(f->mem, v, n * 8, (off_t)area) != (ssize_t)(n * 8))
		return 0;
	for (size_t i = 0; i + 1 < n; i++)
		if (v[i + 1] == (uint64_t)-32 && v[i] && i && v[i - 1])
			return i * 8;
	return 0;
}

/* How large the stack of this thread is, if it looks like one, and where its head is. */
static void learn_stack(struct space *s, uint64_t head)
{
	const struct region *g = layout_find(&s->layout, head);
	uint64_t page = s->shared->page_size;

	if (!g || !g->r.lo || !is_stack(layout_find(&s->layout, g->r.lo - 1), g))
		return;
	add_size(&s->spares, align_down(head, page) + page - g->r.lo);
	s->spares.head = head & (page - 1);
}

static void add_threads(struct found *f, struct space *s)
{
	int fd = openat(s->procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (!f->error && (e = readdir(dir))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		uint64_t head = 0;

		if (tid <= 0 || sys_get_robust_list(tid, &head) < 0 || !head)
			continue;
		add_robust(f, head);
		learn_stack(s, head);
	}
}

/* The next page at or above `from` that may hold a thread's area; g->r.hi: none. */
static uint64_t next_area(const struct space *s, const struct region *g, uint64_t from)
{
	const struct spares *sp = &s->spares;
	uint64_t page = s->shared->page_size, next = g->r.hi;
	bool fits = false;

	for (unsigned int i = 0; i < sp->nsizes && i < SPARE_SIZES; i++) {
		uint64_t at = g->r.lo + sp->size[i] - page;

		if (sp->size[i] > range_len(g->r))
			continue;
		fits = true;
		if (at >= from && at < next)
			next = at;
	}
	return fits || g->r.hi - page < from ? next : g->r.hi - page;
}

static void add_stacks(struct found *f, struct space *s)
{
	const struct region *below = NULL;
	uint64_t page = s->shared->page_size;

	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g)) {
		uint64_t at = is_stack(below, g) ? next_area(s, g, g->r.lo) : g->r.hi;

		for (; at < g->r.hi; at = next_area(s, g, at + page)) {
			add(f, at);
			if (!s->spares.head)
				s->spares.head = find_head(f, at);
			if (s->spares.head)
				add_robust(f, at + s->spares.head);
		}
		below = g;
	}
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort(struct found *f)
{
	unsigned int n = 0;

	if (f->n)
		qsort(f->page, f->n, sizeof(*f->page), by_address);
	for (unsigned int i = 0; i < f->n; i++)
		if (!i || f->page[i] != f->page[i - 1])
			f->page[n++] = f->page[i];
	f->n = n;
}

/* It may be armed already: then writes to it were seen until now, and are no longer. */
static int spare_page(struct space *s, uint64_t page, uint64_t now)
{
	struct range r = { page, page + s->shared->page_size };
	const struct region *g = layout_find(&s->layout, page);
	int error;

	if (!g || !(g->modes & WATCH_MODE_WRITE))
		return 0;
	if (g->page_size > s->shared->page_size)
		r = range_common((struct range){ align_down(page, g->page_size),
						 align_down(page, g->page_size) + g->page_size },
				 g->r);
	if (cover_armed_any(&s->cover, r)) {
		error = uffd_unprotect(s->uffd, r);
		if (error == -EAGAIN)
			return error;
	}
	cover_drop(&s->cover, r);
	if (g->arm)
		emit_gap(&s->shared->emit, s->pid, s->mm, now, clock_now(), r, GAP_THREAD_AREA);
	return 0;
}

/* Two ordered lists: what only one of them has. */
static int exchange(struct space *s, struct found *f, uint64_t now)
{
	struct spares *old = &s->spares;
	unsigned int i = 0, k = 0;

	while (k < f->n) {
		if (i < old->n && old->page[i] < f->page[k]) {
			i++;
		} else if (i < old->n && old->page[i] == f->page[k]) {
			i++;
			k++;
		} else if (spare_page(s, f->page[k], now) < 0) {
			return -EAGAIN;
		} else {
			k++;
		}
	}
	for (i = 0, k = 0; i < old->n; i++) {
		while (k < f->n && f->page[k] < old->page[i])
			k++;
		if (k == f->n || f->page[k] != old->page[i])
			space_owe(s, (struct range){ old->page[i],
						     old->page[i] + s->shared->page_size },
				  now, TODO_ARM, 0);
	}
	free(old->page);
	old->page = f->page;
	old->n = f->n;
	old->room = f->room;
	f->page = NULL;
	return 0;
}

int spare_learn(struct space *s, uint64_t now)
{
	struct found f = { .page_size = s->shared->page_size, .mem = s->memfd };
	uint64_t cost;
	int r;

	if (now < s->spares.due)
		return 0;
	if (s->procfd >= 0)
		add_threads(&f, s);
	add(&f, s->spares.tid_word);
	add_stacks(&f, s);
	sort(&f);
	r = f.error ? f.error : exchange(s, &f, now);
	free(f.page);
	if (r < 0)
		return r;
	cost = clock_now() - now;
	s->spares.due = now + cost + (cost * LEARN_SHARE > LEARN_PERIOD ? cost * LEARN_SHARE :
								      LEARN_PERIOD);
	return 0;
}

uint64_t spare_first(const struct space *s, const struct region *g, struct range r)
{
	unsigned int i = find(&s->spares, r.lo);
	uint64_t first = i < s->spares.n && s->spares.page[i] < r.hi ? s->spares.page[i] : r.hi;

	/* Of a thread that was born since the last look. */
	if (g->r.lo && is_stack(layout_find(&s->layout, g->r.lo - 1), g)) {
		uint64_t area = next_area(s, g, r.lo);

		first = area < first ? area : first;
	}
	return first;
}
