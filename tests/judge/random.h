/* SPDX-License-Identifier: MIT */
/*
 * Random: a target that works on its memory at random, checks it, and tells the truth.
 *
 *	random.c		options, threads, which act comes next
 *	random-truth.c		the files for the judge
 *	random-region.c		judged memory and the shadow it is held against
 *	random-stores.c		stores of every width
 *	random-canary.c		a store amidst registers that must stay as they are
 *	random-kernel.c		writes by the kernel, through read-like calls
 *	random-layout.c		mappings that come, move, shrink and go
 *	random-advice.c		pages that are lost, and every advice that changes no byte
 *	random-memory.c		huge pages, one memory at two addresses, threads' places
 *	random-process.c	fork, vfork, exec, spawn, threads, sleeps
 *	random-signal.c		handlers that write, at once and by a timer
 *
 * Knows nothing of who may be watching.  Each thread has a stream of numbers and
 * memory of its own, so that with --ops the digest depends on the seed alone.
 */
#ifndef JUDGE_RANDOM_H
#define JUDGE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "truth.h"

#define PAGE ((size_t)4096)
#define REGIONS 24
/* Thread i has [WINDOW + i * STRIDE, + STRIDE) for its mappings. */
#define WINDOW UINT64_C(0x200000000000)
#define STRIDE (UINT64_C(1) << 36)
#define SLOT (UINT64_C(1) << 28)	/* a region's place; it never grows beyond a quarter */
#define STACK_PAGES 16
#define THREADS_MAX 64

enum region_kind {
	REGION_NONE,
	REGION_ANON,
	REGION_SHARED,		/* anonymous, shared */
	REGION_MEMFD,		/* shared */
	REGION_COPY,		/* of a file, private */
	REGION_BRK,
	REGION_DOWN,		/* MAP_GROWSDOWN */
	REGION_STACK,		/* a piece of the thread's own */
	REGION_HUGETLB,		/* private, of the pool */
	REGION_COMMON,		/* written by all threads, never changed otherwise */
};

struct region {
	enum region_kind kind;
	unsigned char *at;
	size_t pages;
	unsigned char *shadow;	/* as many bytes */
	size_t shadow_room;	/* bytes mapped for it */
	size_t from;		/* where in its file it begins, pages */
	unsigned char *twin;	/* REGION_MEMFD: mapped here as well */
	int fd;			/* REGION_MEMFD, else -1 */
	bool no_fork, wipe_on_fork;
	bool patched;		/* perhaps more than one mapping: mremap() refuses */
};

struct options {
	uint64_t seed, ops, rate;
	unsigned int threads, seconds, depth, memory_mib;
	const char *truth;
	bool heavy, small, wait;
	unsigned int execs;
};

struct worker {
	unsigned int nr;
	uint32_t birth;			/* of the process, for the truth */
	uint64_t random;
	uint64_t done, writes, pages;	/* acts, write entries, pages in them */
	uint64_t mismatches, syscall_errors, canary_errors, eintr;
	uint64_t children;		/* digests of theirs, mixed */
	unsigned int depth;		/* of forks, still allowed */
	struct region r[REGIONS];
	struct truth *truth;
	int data;			/* a file of known bytes */
	int pipe[2], pair[2];
	unsigned char *timed;		/* what handlers of timers write to; NULL: not yet */
};

extern struct options opt;
extern struct region common;

/* random.c */

uint64_t random_next(struct worker *w);
/* 0 .. n-1 */
static inline uint64_t random_below(struct worker *w, uint64_t n)
{
	return random_next(w) % n;
}
uint64_t mix(uint64_t a, uint64_t b);
/* n acts, or until it is told to stop. */
void work(struct worker *w, uint64_t n);
_Noreturn void die(const char *what);

/* random-truth.c */

uint64_t now_ns(void);
/* Memory that nobody watches (a private mapping of a file). */
void *hidden(size_t bytes);
/* The calling thread's: after a fork it has another.  NULL: no dir. */
struct truth *truth_open(const char *dir, uint32_t birth);
void truth_flush(struct truth *t);
void truth_close(struct truth *t);
void truth_tell(struct truth *t, struct truth_entry e);
/* Of `who` = the caller. */
void truth_note(struct truth *t, enum truth_op op, uint64_t t0, const void *at, size_t len,
		uint64_t aux, unsigned int flags);

/* random-region.c */

struct region *region_pick(struct worker *w);		/* any; never NULL */
struct region *region_pick_kind(struct worker *w, enum region_kind kind);	/* or NULL */
struct region *region_free_slot(struct worker *w);	/* or NULL */
unsigned char *region_place(struct worker *w, const struct region *r);
bool region_make(struct worker *w, struct region *r, enum region_kind kind, size_t pages);
/*
 * Its pages [page, + n) once more, over what is there or into a hole: zeros, or what the
 * file has.
 */
bool region_map_part(struct worker *w, struct region *r, size_t page, size_t n, bool over);
/* The shadow of a private mapping of the data file, as the file is. */
void region_reload(struct worker *w, struct region *r, size_t page, size_t n);
/* Unmaps, and says so. */
bool region_unmap(struct worker *w, unsigned char *at, size_t pages);
/* Goes on being there, but is judged no more: others may write to it. */
void region_unjudge(struct worker *w, const void *at, size_t pages);
/* Its mapping may be cut and moved about: no brk, no stack, not mapped twice. */
bool region_plain(const struct region *r);
/* Both of them in the caller's frame, which stays: a piece of its stack. */
void region_stack_begin(struct worker *w, unsigned char *room);
void region_stack_end(struct worker *w);
/* After a fork: the other threads' stacks may be anybody's. */
void region_stacks_of_others(struct worker *w);
/* Forgets it; the memory has gone already. */
void region_forget(struct region *r);
void region_resize_shadow(struct region *r, size_t pages);
void region_verify(struct worker *w, struct region *r);
void region_verify_all(struct worker *w);
uint64_t region_digest(const struct region *r);
void regions_start(struct worker *w);
/* A call that works unwatched has failed. */
void region_error(struct worker *w, int call, int error);
/* len bytes at `at` have been written since t0, by stores or by the kernel. */
void wrote(struct worker *w, const void *at, size_t len, uint64_t t0);
void kernel_wrote(struct worker *w, const void *at, size_t len, uint64_t t0);

/* The acts, one each. */

void store_scattered(struct worker *w);
void store_sweep(struct worker *w);
void store_across(struct worker *w);
void store_string(struct worker *w);
void store_locked(struct worker *w);
void store_vector(struct worker *w);
void store_canary(struct worker *w);
void store_common(struct worker *w);

void kernel_read(struct worker *w);
void kernel_vectors(struct worker *w);
void kernel_pipe(struct worker *w);
void kernel_socket(struct worker *w);
void kernel_process_vm(struct worker *w);
void kernel_answers(struct worker *w);
void kernel_populate(struct worker *w);

void layout_map(struct worker *w);
void layout_unmap(struct worker *w);
void layout_replace(struct worker *w);
void layout_reuse(struct worker *w);
void layout_grow(struct worker *w);
void layout_move(struct worker *w);
void layout_leave(struct worker *w);
void layout_protect(struct worker *w);
void layout_brk(struct worker *w);
void layout_down(struct worker *w);

void advice_any(struct worker *w);
void advice_drop(struct worker *w);
void advice_guard(struct worker *w);

bool memory_hugetlb_there(void);
void memory_hugetlb(struct worker *w);
void memory_huge(struct worker *w);
void memory_alias(struct worker *w);
void memory_stack(struct worker *w);
void memory_handover(struct worker *w);
/* The places that threads hand over to one another. */
void memory_verify(struct worker *w);

void process_fork(struct worker *w);
void process_kill(struct worker *w);
void process_vfork(struct worker *w);
void process_exec(struct worker *w);
void process_spawn(struct worker *w);
void process_thread(struct worker *w);
void process_sleep(struct worker *w);

void signal_raised(struct worker *w);
void signal_timer(struct worker *w);

#endif
