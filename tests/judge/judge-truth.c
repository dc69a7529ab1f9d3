/* SPDX-License-Identifier: MIT */
/*
 * Judge, truth: the files of the target, indexed by process and page.
 *
 * Three readings of the mapped files: which chunks of pages are judged, how many
 * touches each page has, the touches.  A file ends at its last whole entry: a thread
 * that was killed has told what it had flushed.
 */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "judge.h"

struct truth_file {
	const struct truth_header *head;
	const struct truth_entry *v;
	size_t n;
	uint32_t execs;
	uint64_t birth;
	struct process *process;
	struct truth_thread *thread;
};

struct loading {
	struct truth *t;
	struct truth_file *files;
	size_t n;
};

/* The header has the last bits of it; the file was made then or later. */
static uint64_t birth_of(const struct truth_header *h)
{
	uint64_t made = h->start_ns / TRUTH_BIRTH_NS;

	return made - (uint32_t)(truth_birth(h->start_ns) - h->birth);
}

static int map_file(struct truth *t, int dir, const char *name, struct truth_file *ret)
{
	_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *m;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((size_t)st.st_size < sizeof(struct truth_header))
		return 0;
	m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (m == MAP_FAILED)
		return -errno;
	t->maps = grow(t->maps, t->nmaps, sizeof(*t->maps));
	t->map_sizes = grow(t->map_sizes, t->nmaps, sizeof(*t->map_sizes));
	t->maps[t->nmaps] = m;
	t->map_sizes[t->nmaps++] = (size_t)st.st_size;
	ret->head = m;
	ret->v = (const struct truth_entry *)(ret->head + 1);
	ret->birth = birth_of(ret->head);
	ret->n = ((size_t)st.st_size - sizeof(*ret->head)) / sizeof(*ret->v);
	return memcmp(ret->head->magic, TRUTH_MAGIC, 8) ? -EBADMSG : 1;
}

static int open_files(struct loading *l, const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	struct dirent *e;

	if (!d)
		return -errno;
	while (r >= 0 && (e = readdir(d))) {
		unsigned int pid, tid, execs = 0;
		size_t len = strlen(e->d_name);

		if (len < 6 || strcmp(e->d_name + len - 6, ".truth") ||
		    sscanf(e->d_name, "%u-%u-e%u", &pid, &tid, &execs) < 2)
			continue;
		l->files = grow(l->files, l->n, sizeof(*l->files));
		memset(&l->files[l->n], 0, sizeof(*l->files));
		r = map_file(l->t, dirfd(d), e->d_name, &l->files[l->n]);
		l->files[l->n].execs = execs;
		if (r < 0)
			fprintf(stderr, "judge: %s: %s\n", e->d_name, strerror(-r));
		l->n += r > 0;
	}
	closedir(d);
	if (r >= 0 && !l->n) {
		fprintf(stderr, "judge: no truth in %s\n", path);
		r = -ENOENT;
	}
	return r < 0 ? r : 0;
}

static int by_process(const void *pa, const void *pb)
{
	const struct truth_file *a = pa, *b = pb;

	if (a->head->pid != b->head->pid)
		return a->head->pid < b->head->pid ? -1 : 1;
	if (a->birth != b->birth)
		return a->birth < b->birth ? -1 : 1;
	if (a->execs != b->execs)
		return a->execs < b->execs ? -1 : 1;
	return a->head->start_ns < b->head->start_ns ? -1 : a->head->start_ns > b->head->start_ns;
}

static void make_processes(struct loading *l)
{
	struct truth *t = l->t;
	struct process *p = NULL;
	uint64_t birth = 0;

	assert(l->files);
	qsort(l->files, l->n, sizeof(*l->files), by_process);
	t->page_size = l->files[0].head->page_size;
	t->processes = calloc(l->n, sizeof(*t->processes));
	for (size_t i = 0; i < l->n; i++) {
		const struct truth_header *h = l->files[i].head;

		if (!p || p->pid != h->pid || birth != l->files[i].birth ||
		    p->execs != l->files[i].execs) {
			p = &t->processes[t->nprocesses++];
			p->pid = h->pid;
			p->execs = l->files[i].execs;
			p->parent = h->parent_pid;
			birth = l->files[i].birth;
			p->start = birth * TRUTH_BIRTH_NS;
		}
		l->files[i].process = p;
		p->nthreads++;
	}
	for (size_t i = 0; i < l->n; i++) {
		p = l->files[i].process;
		if (!p->threads) {
			p->threads = calloc(p->nthreads, sizeof(*p->threads));
			p->nthreads = 0;
		}
		l->files[i].thread = &p->threads[p->nthreads++];
		l->files[i].thread->tid = l->files[i].head->tid;
	}
}

static bool is_touch(const struct truth_entry *e)
{
	if (e->op == TRUTH_ADVISE)	/* faults pages in for writing, and may stop half way */
		return (e->flags & ~TRUTH_UNCERTAIN) == MADV_POPULATE_WRITE;
	return e->op == TRUTH_WRITE || e->op == TRUTH_KWRITE || e->op == TRUTH_READ;
}

static bool is_act(const struct truth_entry *e)
{
	switch (e->op) {
	case TRUTH_AREA:
	case TRUTH_UNMAP:
	case TRUTH_REMAP:
	case TRUTH_REPLACE:
	case TRUTH_ADVISE:
	case TRUTH_FORK:
	case TRUTH_VFORK:
	case TRUTH_EXEC:
	case TRUTH_EXIT:
		return true;
	default:
		return false;
	}
}

static int compare_u64(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return a < b ? -1 : a > b;
}

static size_t add_chunks(struct truth *t, size_t n, uint64_t addr, uint64_t len)
{
	uint64_t bytes = (uint64_t)CHUNK_PAGES * t->page_size;

	for (uint64_t c = addr / bytes; len && c <= (addr + len - 1) / bytes; c++) {
		if (n && t->chunks[n - 1] == c)
			continue;
		t->chunks = grow(t->chunks, n, sizeof(*t->chunks));
		t->chunks[n++] = c;
	}
	return n;
}

static void find_chunks(struct loading *l)
{
	struct truth *t = l->t;
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		for (size_t k = 0; k < l->files[i].n; k++) {
			const struct truth_entry *e = &l->files[i].v[k];

			if (e->op == TRUTH_AREA || e->op == TRUTH_REPLACE)
				n = add_chunks(t, n, e->addr, e->len);
			else if (e->op == TRUTH_REMAP)
				n = add_chunks(t, n, e->aux, e->aux2);
		}
	}
	qsort(t->chunks, n, sizeof(*t->chunks), compare_u64);
	for (size_t i = 0; i < n; i++)
		if (!i || t->chunks[i] != t->chunks[t->nchunks - 1])
			t->chunks[t->nchunks++] = t->chunks[i];
	for (size_t i = 0; i < t->nprocesses; i++)
		t->processes[i].slots = calloc(t->nchunks + 1, sizeof(*t->processes[i].slots));
}

uint32_t truth_chunk(const struct truth *t, uint64_t page)
{
	uint64_t c = page / CHUNK_PAGES;
	uint32_t lo = 0, hi = t->nchunks;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->chunks[mid] < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct slot *truth_slot(const struct truth *t, const struct process *p, uint64_t page)
{
	uint32_t c = truth_chunk(t, page), i;

	if (!p || c == t->nchunks || t->chunks[c] != page / CHUNK_PAGES || !p->slots[c])
		return NULL;
	i = p->slots[c][page % CHUNK_PAGES];
	return i == NO_SLOT ? NULL : &t->slots[i];
}

static struct slot *make_slot(struct truth *t, struct process *p, uint64_t page)
{
	uint32_t c = truth_chunk(t, page), *s;

	if (c == t->nchunks || t->chunks[c] != page / CHUNK_PAGES)
		return NULL;
	if (!p->slots[c]) {
		p->slots[c] = malloc(CHUNK_PAGES * sizeof(uint32_t));
		memset(p->slots[c], 0xff, CHUNK_PAGES * sizeof(uint32_t));
	}
	s = &p->slots[c][page % CHUNK_PAGES];
	if (*s == NO_SLOT) {
		t->slots = grow(t->slots, t->nslots, sizeof(*t->slots));
		t->slots[t->nslots] = (struct slot){ .page = page };
		*s = t->nslots++;
	}
	return &t->slots[*s];
}

static void add_touch(struct truth *t, struct slot *s, const struct truth_entry *e)
{
	struct touch *x = &t->touches[s->first + s->n++];
	bool unsure = e->op == TRUTH_ADVISE || (e->flags & TRUTH_UNCERTAIN);

	*x = (struct touch){
		.t0 = e->t0, .t1 = e->t1, .who = e->who,
		.what = e->op == TRUTH_READ ? TOUCH_READ : unsure ? TOUCH_UNSURE : TOUCH_WRITE,
	};
}

/* Counts the touches of each page, or with `fill` stores them. */
static void index_touches(struct loading *l, bool fill)
{
	struct truth *t = l->t;

	for (size_t i = 0; i < l->n; i++) {
		for (size_t k = 0; k < l->files[i].n; k++) {
			const struct truth_entry *e = &l->files[i].v[k];
			uint64_t first = e->addr / t->page_size, last;

			if (!is_touch(e) || !e->len)
				continue;
			last = (e->addr + e->len - 1) / t->page_size;
			for (uint64_t p = first; p <= last; p++) {
				struct slot *s = make_slot(t, l->files[i].process, p);

				if (!s)
					t->outside += !fill;
				else if (fill)
					add_touch(t, s, e);
				else
					s->n++;
			}
		}
	}
}

static int by_begin(const void *pa, const void *pb)
{
	const struct touch *a = pa, *b = pb;

	return a->t0 < b->t0 ? -1 : a->t0 > b->t0;
}

static void make_touches(struct loading *l)
{
	struct truth *t = l->t;

	index_touches(l, false);
	for (uint32_t i = 0; i < t->nslots; i++) {
		t->slots[i].first = (uint32_t)t->ntouches;
		t->ntouches += t->slots[i].n;
		t->slots[i].n = 0;
	}
	t->touches = calloc(t->ntouches + 1, sizeof(*t->touches));
	index_touches(l, true);
	for (uint32_t i = 0; i < t->nslots; i++) {
		struct touch *v = &t->touches[t->slots[i].first];
		bool sorted = true;

		for (uint32_t k = 1; k < t->slots[i].n && sorted; k++)
			sorted = v[k - 1].t0 <= v[k].t0;
		if (!sorted)
			qsort(v, t->slots[i].n, sizeof(*v), by_begin);
	}
}

static int act_by_begin(const void *pa, const void *pb)
{
	const struct truth_act *a = pa, *b = pb;

	return a->e.t0 < b->e.t0 ? -1 : a->e.t0 > b->e.t0;
}

static void take_entry(struct loading *l, struct truth_file *f, const struct truth_entry *e)
{
	struct process *p = f->process;

	l->t->entries++;
	l->t->syscall_errors += e->op == TRUTH_SYSCALL_ERROR;
	if (e->t1 > f->thread->last)
		f->thread->last = e->t1;
	f->thread->ended |= e->op == TRUTH_EXIT || e->op == TRUTH_EXEC ||
			    e->op == TRUTH_THREAD_END;
	p->exited |= e->op == TRUTH_EXIT;
	p->forked |= e->op == TRUTH_CHILD;
	if (!is_act(e))
		return;
	p->acts = grow(p->acts, p->nacts, sizeof(*p->acts));
	p->acts[p->nacts++] = (struct truth_act){ .e = *e };
}

static void make_acts(struct loading *l)
{
	struct truth *t = l->t;

	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < l->files[i].n; k++)
			take_entry(l, &l->files[i], &l->files[i].v[k]);
	for (size_t i = 0; i < t->nprocesses; i++)
		if (t->processes[i].nacts)
			qsort(t->processes[i].acts, t->processes[i].nacts,
			      sizeof(struct truth_act), act_by_begin);
}

int truth_load(struct truth *t, const char *dir)
{
	struct loading l = { .t = t };
	int r;

	*t = (struct truth){ 0 };
	r = open_files(&l, dir);
	if (!r) {
		make_processes(&l);
		find_chunks(&l);
		make_touches(&l);
		make_acts(&l);
	}
	free(l.files);
	return r;
}

void truth_reset(struct truth *t)
{
	for (uint32_t i = 0; i < t->nslots; i++)
		t->slots[i].cursor = 0;
	for (size_t i = 0; i < t->ntouches; i++)
		t->touches[i].saw = t->touches[i].verdict = 0;
	for (size_t i = 0; i < t->nprocesses; i++) {
		t->processes[i].mm = NULL;
		for (size_t k = 0; k < t->processes[i].nacts; k++)
			t->processes[i].acts[k].checked = false;
	}
}

void truth_free(struct truth *t)
{
	for (size_t i = 0; i < t->nprocesses; i++) {
		for (uint32_t c = 0; t->processes[i].slots && c < t->nchunks; c++)
			free(t->processes[i].slots[c]);
		free(t->processes[i].slots);
		free(t->processes[i].acts);
		free(t->processes[i].threads);
	}
	for (size_t i = 0; i < t->nmaps; i++)
		munmap(t->maps[i], t->map_sizes[i]);
	free(t->maps);
	free(t->map_sizes);
	free(t->processes);
	free(t->slots);
	free(t->touches);
	free(t->chunks);
}

/* Files were sorted by process id, then by birth. */
struct process *truth_process(const struct truth *t, uint32_t pid, struct process *after)
{
	size_t lo = 0, hi = t->nprocesses;

	if (after) {
		lo = (size_t)(after - t->processes) + 1;
		return lo < hi && t->processes[lo].pid == pid ? &t->processes[lo] : NULL;
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->processes[mid].pid < pid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < t->nprocesses && t->processes[lo].pid == pid ? &t->processes[lo] : NULL;
}

const struct truth_thread *truth_thread(const struct process *p, uint32_t tid)
{
	for (size_t i = 0; i < p->nthreads; i++)
		if (p->threads[i].tid == tid)
			return &p->threads[i];
	return NULL;
}

size_t truth_act(const struct process *p, uint64_t t0)
{
	size_t lo = 0, hi = p->nacts;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->acts[mid].e.t0 < t0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
