/* SPDX-License-Identifier: MIT */
/*
 * Judge: a trace held against what the target itself says it did, page by page.
 *
 * The truth (truth.h) is loaded whole and indexed; the trace is read once, as a
 * stream.  For each address space of the trace a table holds the coverage of every
 * judged page as pagetap-trace(5) defines it; each change of it is a boundary in time,
 * and at each boundary the true writes before it are given their verdict.
 *
 * All times are nanoseconds of CLOCK_MONOTONIC.  One thread.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/reader.h"
#include "truth.h"

#define CHUNK_PAGES 512u
#define NO_SLOT UINT32_MAX
#define FOREVER UINT64_MAX

/* What happened to one page in one truth entry. */
enum { TOUCH_READ, TOUCH_WRITE, TOUCH_UNSURE };

/* What the trace said of the page during a touch; REQUIRED and FOUND come from its fault. */
enum {
	SAW_COVERED = 1, SAW_SPENT = 2, SAW_BLIND = 4, SAW_FRESH = 8,
	SAW_UNSURE = 16, SAW_CROSSED = 32, SAW_FOUND = 64, SAW_REQUIRED = 128,
};

enum verdict {
	V_NONE,
	V_FOUND,		/* covered, and told */
	V_TOLD,			/* told although nothing required it */
	V_LOST,			/* covered, not told */
	V_LATE,			/* the same, and the arm before it is told too early */
	V_SPENT,		/* reported before, not armed since */
	V_SHARED,		/* another thread's write at the same instant was told */
	V_BLIND,		/* declared: gap, removed, not watched, not armed yet */
	V_UNDECLARED,		/* neither covered nor declared */
	V_AMBIGUOUS,
	V_TAIL,			/* new memory, and the end came before the next look at the maps */
	V_UNSEEN,		/* its process was not followed */
	V_OUTSIDE,		/* before the first arm or after the end */
	V_NR
};

struct touch {
	uint64_t t0, t1;
	uint32_t who;
	uint8_t what, saw, verdict;
};

/* The touches of one page of one process, by t0. */
struct slot {
	uint64_t page;
	uint32_t first, n, cursor;
};

/* A change of the layout, a fork, an exec, an end: the entry and what became of it. */
struct truth_act {
	struct truth_entry e;
	bool checked;
	bool nameless;		/* a fork: one of several that a record without a child may be of */
};

struct truth_thread {
	uint32_t tid;
	uint64_t last;		/* end of its last entry */
	bool ended;		/* it said that it was its last */
};

struct mm;

/* One program in one process; others may have had its process id before, or have it later. */
struct process {
	uint32_t pid, execs;
	uint64_t parent;
	uint64_t start;		/* of the millisecond when it began */
	bool exited, forked;
	struct truth_act *acts;
	size_t nacts;
	struct truth_thread *threads;
	size_t nthreads;
	uint32_t **slots;	/* a chunk: CHUNK_PAGES slot numbers, or NULL */
	struct mm *mm;		/* of the trace; NULL: not seen */
	uint32_t nameless;	/* fork records that may be of several children */
};

struct truth {
	struct process *processes;
	size_t nprocesses;
	struct slot *slots;
	uint32_t nslots;
	struct touch *touches;
	size_t ntouches;
	uint64_t *chunks;	/* page / CHUNK_PAGES of every judged chunk, sorted */
	uint32_t nchunks;
	uint32_t page_size;
	uint64_t entries, syscall_errors, outside;	/* outside: touches beyond every area */
	void **maps;		/* the files, mapped */
	size_t *map_sizes, nmaps;
};

/* truth.c.  -errno; words of what is wrong on stderr. */
int truth_load(struct truth *t, const char *dir);
void truth_free(struct truth *t);
/* Every verdict forgotten, for another reading of the trace. */
void truth_reset(struct truth *t);
/* Index of the chunk that holds the page, or the next one behind it. */
uint32_t truth_chunk(const struct truth *t, uint64_t page);
struct slot *truth_slot(const struct truth *t, const struct process *p, uint64_t page);
/* Programs of a process id, oldest first; NULL at the end. */
struct process *truth_process(const struct truth *t, uint32_t pid, struct process *after);
const struct truth_thread *truth_thread(const struct process *p, uint32_t tid);
/* Index of the first act that begins at t0 or later; they are sorted by their begin. */
size_t truth_act(const struct process *p, uint64_t t0);

/* What the trace says of one page. */
enum page_state {
	PAGE_BEFORE,		/* nothing has been said of it */
	PAGE_FRESH,		/* mapped anew: to be declared or armed */
	PAGE_COVERED,
	PAGE_SPENT,
	PAGE_BLIND,		/* gap, remove, not watched, in the first snapshot */
};

struct page {
	uint64_t since0, since;	/* when the state began: in between, or at since */
	uint64_t again;		/* last arm while covered */
	uint64_t dirty;		/* begin of the interval in which it was last found dirty */
	struct touch *late;	/* plants: an arm before this write would be a lie */
	struct touch *blind;	/* plants: a write that only the gap over it declares */
	uint32_t seq;		/* record that began the state */
	uint8_t state;
	bool judged;		/* in an area of the truth now ... */
	bool huge;		/* the target asked for huge pages here */
	uint64_t judged_at;	/* ... and since then */
	bool registered;	/* armed once, and not unmapped since */
	bool async;		/* armed for that engine */
	bool required;		/* spent by a fault that had to be told */
	bool young;		/* blind by the gap that told of new memory */
};

struct chunk {
	unsigned int refs;
	struct page page[CHUNK_PAGES];
};

struct layout_record {
	uint8_t kind;		/* enum record_kind */
	uint64_t ts0, ts, lo, hi;	/* pages */
	uint64_t to;		/* of a remap; of a gap: its reason */
	uint32_t seq;
};

/* Registered pages of a truth act that the trace must tell of. */
struct layout_claim {
	struct truth_act *act;
	uint64_t lo, hi;
};

struct mm {
	uint32_t id;
	int32_t pid;
	struct process *process;
	struct chunk **chunks;	/* truth.nchunks; NULL: nothing known */
	size_t act;		/* next act of the process to be looked at */
	uint64_t begin, end;	/* FOREVER: not ended */
	uint64_t since;		/* its program began then, or later */
	struct layout_record *records, *gaps;
	size_t nrecords, ngaps, nclaims;
	struct layout_claim *claims;
	bool exit_told, forked;
	bool unnamed;		/* a child whose process id the trace does not know */
	struct mm *next;
	uint32_t nameless;	/* forks told of before it was known whose they are */
};

enum judge_error {
	E_LOST, E_LATE, E_UNDECLARED, E_PHANTOM, E_WRONG_THREAD, E_DUPLICATE,
	E_LAYOUT_MISSING, E_LAYOUT_PHANTOM, E_FORK, E_EXEC, E_EXIT, E_SYSCALL, E_TRACE, E_NR
};

struct complaint {
	enum judge_error what;
	uint32_t mm, seq, tid;
	int32_t pid;
	uint64_t page, t0, t1;
	char words[96];
};

#define COMPLAINTS_MAX 20

/* A verdict against the trace that a later gap may excuse. */
struct candidate {
	struct mm *mm;
	struct touch *touch;
	uint64_t page;
	uint32_t seq;
};

enum plant {
	PLANT_NONE, PLANT_DROP_FAULT, PLANT_INVENT, PLANT_WRONG_THREAD, PLANT_WRONG_ADDRESS,
	PLANT_DUPLICATE, PLANT_LATE_ARM, PLANT_DROP_LAYOUT, PLANT_DROP_GAP,
	PLANT_DROP_DIRTY, PLANT_INVENT_DIRTY, PLANT_NR,
	PLANT_LOOK		/* find the places */
};

/* A place where a planted fault can be told. */
struct plant_site {
	uint64_t value;		/* a page, a thread or a time, as the kind needs */
	uint32_t seq;
};

/* A site, if no gap but a dropped one lies over the write that would tell. */
struct place {
	enum plant kind;
	uint64_t value;
	struct candidate write;
};

struct judge {
	struct truth *truth;
	const char *path;
	uint64_t base, first, last;	/* of the trace */
	uint32_t page_size;
	struct mm *mms, **by_id;
	uint32_t nby_id;
	bool sync, async;		/* engines: writes are told one by one, or epoch by epoch */
	uint64_t dirty;			/* judged pages in dirty records */
	uint64_t misread;		/* reads taken for the write that had no witness */
	uint32_t seq;			/* of the record at hand */
	uint64_t verdicts[V_NR], errors[E_NR];
	uint64_t faults, told_uncovered, perf, unlogged, unnamed;
	uint64_t records, declared_lost;
	struct candidate *candidates;
	size_t ncandidates;
	struct complaint complaints[COMPLAINTS_MAX];
	unsigned int ncomplaints;
	enum plant plant;		/* what is planted, and where */
	struct plant_site site;
	struct plant_site *sites[PLANT_NR];	/* where it could be */
	size_t nsites[PLANT_NR];
	struct place *places;
	size_t nplaces;
	unsigned int skipped[PLANT_NR], passed[PLANT_NR];	/* one in so many is kept */
	unsigned int looked;
	bool planted;
};

/* pages.c: the tables. */
struct page *page_of(struct judge *j, struct mm *mm, uint64_t page);
/* f for each judged page of [lo, hi). */
typedef void (*page_fn)(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg);
void pages_each(struct judge *j, struct mm *mm, uint64_t lo, uint64_t hi, page_fn f, void *arg);
void pages_clone(struct judge *j, struct mm *to, const struct mm *from);
void pages_free(struct judge *j, struct mm *mm);

/* verdict.c: touches at boundaries. */
struct boundary {
	uint64_t t0, t1;	/* the change came between them */
	enum page_state to;
	bool fault, end;
};
void page_change(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		 const struct boundary *b);
/* The touch that a fault of that thread is about; NULL. */
struct touch *touch_match(struct judge *j, struct mm *mm, uint64_t page, uint64_t t0,
			  uint64_t t1, uint32_t tid, bool reads);
struct touch *touch_of_others(struct judge *j, struct mm *mm, uint64_t page, uint64_t t0,
			      uint64_t t1, uint32_t tid);
/* Its fault is in the trace; required: the page was covered from its beginning on. */
void touch_found(struct judge *j, struct touch *x, bool required);
void verdicts_end(struct judge *j, struct mm *mm, uint64_t when, bool ended);
void verdicts_excuse(struct judge *j);
/* Was the page moved away by mremap() since then? */
bool moved_since(const struct mm *mm, uint64_t page, uint64_t when);
/* How many gaps of the trace lie over the page and the time of the touch, but that one. */
size_t gaps_over(const struct mm *mm, uint64_t page, const struct touch *x, uint32_t but);

/* spaces.c: mm and process, forks, execs, ends. */
struct mm *mm_find(struct judge *j, uint32_t id);
struct mm *mm_new(struct judge *j, uint32_t id, int32_t pid, uint64_t when);
void take_attach(struct judge *j, const struct record *r, uint64_t ts);
void take_fork(struct judge *j, const struct record *r, uint64_t ts);
void take_exec(struct judge *j, const struct record *r, uint64_t ts);
void take_exit(struct judge *j, const struct record *r, uint64_t ts);
void family_check(struct judge *j);

/* layout.c: what moved, and whether it was told. */
void acts_until(struct judge *j, struct mm *mm, uint64_t when);
void layout_narrow(struct judge *j, struct mm *mm, struct layout_record *l);
void layout_keep(struct mm *mm, const struct layout_record *l);
void layout_check(struct judge *j, struct mm *mm);

/* fault.c: threads that were stopped, or seen; async.c: pages found dirty. */
void take_fault(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts);
void take_dirty(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts);
/* Of a page that nobody wrote between them. */
bool dirty_would_be_found(struct judge *j, struct mm *mm, uint64_t page, uint64_t ts0,
			  uint64_t ts);
/* Of a page that the other engine covers something is told. */
void other_engine(struct judge *j, const struct mm *mm, uint64_t page, const struct page *p);
/* What has not been collected yet moves along with its page, or is lost with it. */
void async_moves(struct judge *j, struct mm *mm, uint64_t page, uint64_t t0);

/* trace.c: the records. */
int trace_read(struct judge *j);
void take_record(struct judge *j, const struct record *r, uint32_t seq);
void judge_begin(struct judge *j, struct truth *t, const char *path);
void judge_end(struct judge *j);
void judge_free(struct judge *j);

/* plant.c */
const char *plant_name(enum plant k);
void plant_site(struct judge *j, enum plant k, uint32_t seq, uint64_t value);
/* Changes the record, or says that it is to be left out; *ret_more: take it a second time. */
bool plant_apply(struct judge *j, struct record *r, uint32_t seq, struct record *ret_more,
		 bool *ret_twice);
void plant_fault_seen(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		      const struct touch *x, uint64_t at);
void plant_spent_ends(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		      const struct boundary *b);
void plant_gap_tells(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		     const struct boundary *b);
void plant_gap_ends(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		    const struct boundary *b);
/* A page in a dirty record, and the only write that makes it so; NULL: there are more. */
void plant_dirty_seen(struct judge *j, struct mm *mm, const struct record *r, uint64_t page,
		      struct touch *x);
void plant_witnessed(struct judge *j, struct mm *mm, uint64_t page, const struct touch *x,
		     uint64_t at);
/* When all gaps are known. */
void plant_places_end(struct judge *j);
/* Plants each kind, or one, that often; how many were not found. */
int plants_run(struct truth *t, const char *path, enum plant only, unsigned int each);

/* report.c */
void complain(struct judge *j, const struct complaint *c);
uint64_t judge_errors(const struct judge *j);
/* Per cent of the checked writes. */
double share_covered(const struct judge *j);
double share_ambiguous(const struct judge *j);
void report_text(const struct judge *j);
void report_json(const struct judge *j);
void *grow(void *v, size_t n, size_t size);

#endif
