/* SPDX-License-Identifier: MIT */
/*
 * Truth: what a target says it did to its memory, for the judge.
 *
 * A target run with `--truth DIR` writes one file a thread, DIR/PID-TID.truth, and a
 * program that it executes one of its own, DIR/PID-TID-eN.truth (the N-th exec).  In a
 * long run process ids come round: a file whose name is taken is called DIR/PID-TID.K.truth
 * or DIR/PID-TID-eN.K.truth, and a program is known by its process id, its birth and how
 * many execs led to it.  A file is a header and entries of one size, in the byte order of
 * the machine, appended from a buffer outside the judged memory, at the latest before a
 * fork, an exec and the end of the thread.
 *
 * Judged memory is what a TRUTH_AREA covers and nothing has unmapped since.  All
 * stores to it are told, before or after other entries as it happens: t0 and t1 say
 * when.  This header is all that targets and judge share.
 */
#ifndef JUDGE_TRUTH_H
#define JUDGE_TRUTH_H

#include <stdint.h>

#define TRUTH_MAGIC "PGTRUTH2"
#define TRUTH_BIRTH_NS UINT64_C(1000000)	/* the unit of a birth */

struct truth_header {
	char magic[8];		/* TRUTH_MAGIC, no NUL */
	uint32_t pid, tid;	/* as the initial pid namespace sees them */
	uint64_t parent_pid;
	uint32_t page_size;
	uint32_t birth;		/* when its program began, in main() or as a forked child */
	uint64_t start_ns;	/* CLOCK_MONOTONIC, of the file; the birth's clock as well */
};

/* The same for all threads of the program. */
static inline uint32_t truth_birth(uint64_t began_ns)
{
	return (uint32_t)(began_ns / TRUTH_BIRTH_NS);
}

struct truth_entry {
	uint64_t t0, t1;	/* CLOCK_MONOTONIC ns, just before and just after */
	uint64_t addr, len;
	uint64_t aux, aux2;
	uint16_t op, flags;	/* enum truth_op; of the op, and TRUTH_UNCERTAIN */
	uint32_t who;		/* gettid() of who did it */
};

_Static_assert(sizeof(struct truth_header) == 40, "part of the format");
_Static_assert(sizeof(struct truth_entry) == 56, "part of the format");

enum truth_op {
	TRUTH_START,		/* first entry of an executed program; aux = how many execs */
	TRUTH_AREA,		/* judged memory begins; flags = kind, aux = prot */
	TRUTH_WRITE,		/* stores: every page was written at least once */
	TRUTH_KWRITE,		/* the kernel wrote for us; len is what the call returned */
	TRUTH_READ,		/* only read */
	TRUTH_UNMAP,		/* munmap, or brk downwards; uncertain: only no longer judged */
	TRUTH_REMAP,		/* aux = new address, aux2 = new length; flags = MREMAP_* */
	TRUTH_REPLACE,		/* MAP_FIXED over what was there: an unmap and an area */
	TRUTH_ADVISE,		/* madvise; flags = MADV_* */
	TRUTH_PROTECT,		/* mprotect; aux = prot */
	TRUTH_FORK,		/* aux = child, or 0 if it failed */
	TRUTH_CHILD,		/* first entry of a forked child; aux = parent */
	TRUTH_VFORK,		/* aux = child; its writes are told by the parent */
	TRUTH_EXEC,		/* just before an exec */
	TRUTH_THREAD,		/* aux = the new thread */
	TRUTH_THREAD_END,
	TRUTH_EXIT,		/* just before the exit of the process */
	TRUTH_SYSCALL_ERROR,	/* aux = errno, aux2 = call: one that works unwatched failed */
};

/* What the memory of an area is. */
enum truth_kind {
	TRUTH_KIND_ANON, TRUTH_KIND_SHARED, TRUTH_KIND_HUGE, TRUTH_KIND_GROWSDOWN,
	TRUTH_KIND_BRK, TRUTH_KIND_STACK, TRUTH_KIND_FILE_PRIVATE,
};

/* It failed half way: what it did to its pages nobody knows. */
#define TRUTH_UNCERTAIN 0x8000

#endif
