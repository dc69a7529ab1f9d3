/* SPDX-License-Identifier: MIT */
/*
 * Model: who is who at this point of a trace.
 *
 * Pure.  Fed with every record in the order of the trace; knows then which process has
 * which name, which mapping lies where, and which chain of calls a number stands for.
 * Counts nothing.  All strings are bytes that the target chose, without a NUL inside the
 * length, and with one behind it: escape them before a terminal, a page or a file sees them.
 *
 * What a pointer given out points to stays until model_free(), also when it has gone
 * from the trace; so counters are hung on its index.
 */
#ifndef REPORT_MODEL_H
#define REPORT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range.h"
#include "trace/record.h"

struct model_text {
	size_t len;
	const char *s;
};

/*
 * How mappings are called: one for all of the same kind and name.  Index 0 is always
 * there, for what nobody knows the mapping of: its text is "unknown".
 */
struct model_label {
	uint32_t index;			/* dense, from 0 */
	uint32_t mappings;		/* that have or had it */
	uint8_t kind;			/* enum vma_kind; index 0: special */
	struct model_text name;		/* as the trace has it; empty: anonymous */
	struct model_text text;		/* short, never empty: libc.so.6, [heap], anon */
};

struct model_vma {
	uint64_t lo, hi;		/* where it is, or was when it went */
	uint64_t off, ino;		/* of its file, for lo */
	const struct model_label *label;
	const struct model_text *build_id;	/* raw bytes; NULL: it has none */
	uint32_t index;			/* dense, from 0, never used again */
	uint32_t id, mm;		/* of the trace */
	int32_t pid;
	uint8_t prot, why;		/* RECORD_PROT_*, enum vma_why */
	bool watch, there;
};

/* An address space, and the program in it. */
struct model_space {
	uint32_t index, mm;
	int32_t pid, ppid;		/* 0: not known */
	uint32_t parent_mm;		/* 0: it was attached to */
	struct model_text comm, exe;	/* empty: not known */
	uint64_t begin, end;		/* ts of its first and of its last record */
	int64_t code, signal;		/* RECORD_UNKNOWN; of its exit */
	bool exited;

	/* Private: indexes of the mappings that are there, by address. */
	uint32_t *there;
	size_t nr_there, there_room;
};

struct model_thread {
	uint32_t index;
	int32_t pid, tid;
	struct model_text comm;		/* the last that was told; empty: none was */
};

/*
 * One chain of calls; frame[0] is the instruction, the others are where the calls return
 * to.  vma[i] is what lay there when the trace told of the stack; NULL: nothing known.
 */
struct model_stack {
	uint32_t index, id, mm, n;
	const uint64_t *frame;
	const struct model_vma *const *vma;
};

struct model;

/* -ENOMEM. */
int model_new(struct model **ret, uint32_t page_size);
/*
 * The next record.  -ENOMEM.  A record that contradicts what was before is believed, as
 * the newer one.
 */
int model_record(struct model *m, const struct record *r);
/* NULL in, NULL out. */
struct model *model_free(struct model *m);

uint32_t model_page_size(const struct model *m);
/* The mapping at that address now; NULL: none known. */
const struct model_vma *model_find(const struct model *m, uint32_t mm, uint64_t addr);
/* The last mapping with that id of the trace, there or gone; NULL: none. */
const struct model_vma *model_vma_of(const struct model *m, uint32_t id);
/*
 * The mapping that a record is about: by its vma, and where it has none by its address.
 * NULL: it is about none, or nobody knows.
 */
const struct model_vma *model_place(const struct model *m, const struct record *r);
/* NULL: the trace has not told of it. */
const struct model_space *model_space(const struct model *m, uint32_t mm);
const struct model_thread *model_thread(const struct model *m, int32_t pid, int32_t tid);
const struct model_stack *model_stack(const struct model *m, uint32_t id);
/* Chains that are there without their frames, as those of all were too many to keep. */
uint64_t model_stacks_left_out(const struct model *m);
/*
 * What a thread is called: its own name, or that of its process.  Empty: nobody knows.
 */
struct model_text model_comm(const struct model *m, int32_t pid, uint32_t mm, int32_t tid);

/* All there are, by their index. */
size_t model_labels(const struct model *m);
const struct model_label *model_label(const struct model *m, size_t index);
size_t model_vmas(const struct model *m);
const struct model_vma *model_vma(const struct model *m, size_t index);
size_t model_spaces(const struct model *m);
const struct model_space *model_space_at(const struct model *m, size_t index);

#endif
