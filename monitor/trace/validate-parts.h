/* SPDX-License-Identifier: MIT */
/*
 * Validate parts: what the files of the validator share with one another.
 *
 * Private to validate*.c; everyone else uses validate.h.
 */
#ifndef TRACE_VALIDATE_PARTS_H
#define TRACE_VALIDATE_PARTS_H

/* Without it uthash ends the process when memory is short; so hh.tbl is NULL instead. */
#define HASH_NONFATAL_OOM 1

#include <bsd/sys/tree.h>
#include <uthash.h>

#include "trace/spans.h"
#include "trace/validate.h"

/* A mapping that lives.  Pages, half-open. */
struct mapping {
	RB_ENTRY(mapping) node;
	UT_hash_handle hh;
	uint32_t id, mm;
	uint64_t lo, hi;
};

RB_HEAD(mapping_tree, mapping);

/* An address space, as far as the trace tells. */
struct address_space {
	UT_hash_handle hh;
	uint32_t mm;
	int32_t pid;		/* whose; 0: not known yet */
	bool introduced;	/* by attach, a fork or an exec */
	bool refused;		/* a fork that is not followed: only a gap is told of it */
	bool attached;
	bool lent;		/* a child by vfork may fork, too */
	bool over;		/* exited, or replaced by exec */
	uint64_t epoch;		/* of its last dirty record */
	bool resting;		/* nothing is watched, a budget record says */
	struct mapping_tree mappings;
	struct spans covered;	/* pages whose next write must be reported */
	struct spans declared;	/* pages of which nothing is promised: gap */
};

struct validator {
	validate_complain complain;
	void *arg;
	struct validate_totals totals;
	uint64_t line;
	uint32_t page_size;
	bool sees_map, sees_fork, sync, async;	/* what the header says is in the trace */
	bool blind;		/* records of the layout were lost */
	bool processes_blind;	/* records of processes were lost */
	bool ended, final;
	uint64_t seq, ts;
	uint64_t unread;	/* lines since `seq` that were no records */
	uint64_t lost_faults;	/* of totals.lost */
	bool lost_faults_unknown;
	struct address_space *spaces;	/* uthash by mm */
	struct address_space *recent;
	struct mapping *mappings;	/* uthash by id */
	struct spans used_ids;
	struct spans stacks;	/* ids told */
};

void validate_complain_about(struct validator *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* First and last-plus-one page of a record's span. */
uint64_t validate_first(const struct validator *v, const struct record *r);
uint64_t validate_last(const struct validator *v, const struct record *r);

/*
 * validate-space.c: which address spaces there are.  *ret is never NULL on success:
 * one that nobody introduced is complained about once and taken on.  -ENOMEM.
 */
int validate_space(struct validator *v, const struct record *r, struct address_space **ret);
int validate_attach(struct validator *v, const struct record *r);
int validate_fork(struct validator *v, const struct record *r);
int validate_exec(struct validator *v, const struct record *r);
int validate_exit(struct validator *v, const struct record *r);
void validate_spaces_done(struct validator *v);

/* validate-layout.c: which mappings live where. */
int validate_vma(struct validator *v, const struct record *r, struct address_space *s);
/* Is the fault's mapping alive, and does it hold the address? */
void validate_place(struct validator *v, const struct record *r);
void validate_mappings_done(struct validator *v, struct address_space *s);

/* validate-cover.c: the coverage contract.  Each -ENOMEM. */
int validate_arm(struct validator *v, const struct record *r, struct address_space *s);
int validate_gap(struct validator *v, const struct record *r, struct address_space *s);
int validate_remap(struct validator *v, const struct record *r, struct address_space *s);
int validate_remove(struct validator *v, const struct record *r, struct address_space *s);
void validate_dirty(struct validator *v, const struct record *r, struct address_space *s);
int validate_coverage(struct validator *v, const struct record *r, struct address_space *s);

/* validate-budget.c: nothing is covered in a rest.  -ENOMEM. */
int validate_budget(struct validator *v, const struct record *r);
void validate_rest(struct validator *v, const struct record *r, const struct address_space *s);

/* validate-stack.c: ids are told once, before whoever names them.  -ENOMEM. */
int validate_stack(struct validator *v, const struct record *r);
void validate_names_stack(struct validator *v, const struct record *r);

/* validate-sums.c: what is counted. */
void validate_lost(struct validator *v, const struct record *r);
void validate_stats(struct validator *v, const struct record *r);

#endif
