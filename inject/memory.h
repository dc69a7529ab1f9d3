/* SPDX-License-Identifier: MIT */
/*
 * Memory: the target's bytes through /proc/PID/mem, and its mappings.
 *
 * /proc/PID/mem and not process_vm_readv(2): on a page that another userfaultfd has
 * armed it fails with EIO at once, where the other would park us.  The descriptor
 * keeps the address space it was opened on, also across an exec.  The one exception is
 * memory_restore().
 */
#ifndef INJECT_MEMORY_H
#define INJECT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch.h"
#include "base/range.h"

struct memory {
	int mem;		/* /proc/PID/mem */
	int maps;		/* /proc/PID/maps */
};

#define MEMORY_NULL { -1, -1 }

/*
 * procfd: a directory fd of /proc/PID.  Needs PTRACE_MODE_ATTACH.  -EPERM, -ESRCH.
 * Goes through another thread when the first one has ended.
 */
int memory_open(struct memory *ret, int procfd);
void memory_close(struct memory *m);

/* All of it or a negative errno. */
int memory_read(const struct memory *m, uint64_t at, void *to, size_t len);
int memory_write(const struct memory *m, uint64_t at, const void *from, size_t len);
/*
 * Write what must be written.  Another monitor that attaches at the same time may have
 * armed the page since: then its answer is waited for.  tid: the stopped thread; while
 * it stands, no exec can put another address space in its place.
 */
int memory_restore(const struct memory *m, pid_t tid, uint64_t at, const void *from, size_t len);

struct mapping {
	struct range range;
	bool readable, writable, executable, shared;
	bool is_stack;		/* [stack]: the first thread's */
};

/*
 * The mapping that holds an address: PROCMAP_QUERY (6.11), or the text before it.
 * -ENOENT: none.
 */
int memory_mapping_at(const struct memory *m, uint64_t addr, struct mapping *ret);
/* Pure: one line of proc_pid_maps(5); *ret_name points into line. */
bool memory_parse_mapping(const char *line, struct mapping *ret, const char **ret_name);

/*
 * Find instructions in executable mappings, libc's first; reads at most some tens of
 * megabytes.  room: any buffer of size bytes.  What is not found stays 0.  -ESRCH: it
 * has no mappings any more.
 */
int memory_find_insns(const struct memory *m, void *room, size_t size, struct arch_insns *ret);

/* Are they still there?  An exec replaces all text. */
bool memory_has_insns(const struct memory *m, const struct arch_insns *insns);

#endif
