/* SPDX-License-Identifier: MIT */
/* What the files of the chronicle share; nobody else does. */
#ifndef RESTORE_CHRONICLE_PARTS_H
#define RESTORE_CHRONICLE_PARTS_H

#include "restore/chronicle.h"
#include "trace/record.h"
#include "trace/spans.h"
#include "watch/latency.h"

/* A touch whose page has been asked for. */
struct chronicle_waiter {
	const struct tenant *tenant;
	struct tenant_touch touch;
	uint64_t since, read;
};
#define CHRONICLE_WAITERS 1024u

/* A mapping as it has been told, of which the kernel tells when it changes. */
struct chronicle_vma {
	struct range at;
	uint32_t id;
	uint8_t kind, prot;
};

/* One address space. */
struct chronicle_space {
	struct chronicle_space *next;
	uint32_t mm;
	int32_t pid;		/* 0: not known */
	bool over;
	struct chronicle_vma *vmas;	/* sorted, disjoint */
	size_t nvmas, room;
	struct spans covered;	/* pages whose first write is still to be told */
};

struct chronicle {
	struct queue *queue;
	uint64_t base_ns, stats_at;
	uint32_t last_mm, last_vma;
	struct chronicle_space *spaces;
	struct chronicle_waiter waiters[CHRONICLE_WAITERS];
	unsigned int nwaiters;
	uint64_t faults, writes, repeats, written;
	struct latency lat, stop;
};

/* A record about this address space, of now. */
struct record chronicle_record(const struct chronicle *c, const struct chronicle_space *s,
			       enum record_kind kind);
void chronicle_push(struct chronicle *c, struct record *r);

/* chronicle-space.c.  NULL: no memory. */
struct chronicle_space *chronicle_space_new(struct chronicle *c, int32_t pid);
void chronicle_space_free(struct chronicle_space *s);
/* Tell of the mappings of a task; those of the parent, for a forked child.  -ENOMEM. */
int chronicle_space_map(struct chronicle *c, struct chronicle_space *s,
			const struct image_task *task);
int chronicle_space_copy(struct chronicle *c, struct chronicle_space *s,
			 const struct chronicle_space *parent);
/* What of r has mappings has none any more; or they are at `to`. */
void chronicle_space_cut(struct chronicle *c, struct chronicle_space *s, struct range r);
void chronicle_space_move(struct chronicle *c, struct chronicle_space *s, struct range r,
			  uint64_t to);
/* The mapping that holds addr; 0: none that has been told. */
uint32_t chronicle_space_find(const struct chronicle_space *s, uint64_t addr);

/* chronicle-proc.c: what /proc says of a process. */
struct chronicle_facts {
	bool there;		/* it has a program; what follows is of that */
	char comm[32], exe[4096];
	size_t comm_len, exe_len;
	int32_t ppid;
	uint32_t threads;
};
/* pid: 0 nobody is. */
void chronicle_facts(int32_t pid, struct chronicle_facts *ret);

#endif
