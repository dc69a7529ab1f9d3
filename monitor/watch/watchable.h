/* SPDX-License-Identifier: MIT */
/*
 * Watchable: which mapping can be watched in which mode, and why not.
 *
 * Pure.  The table is measured (VMA kinds x register modes) and the kernel has the
 * last word: what it refuses all the same becomes WHY_REFUSED.
 */
#ifndef WATCH_WATCHABLE_H
#define WATCH_WATCHABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"
#include "maps.h"
#include "pagetap/trace.h"

enum {
	WATCH_MODE_WRITE = 1,	/* UFFDIO_REGISTER_MODE_WP */
	WATCH_MODE_MISSING = 2,
	WATCH_MODE_MINOR = 4,
};

enum {
	WATCH_KIND_MISSING = 1,		/* -e: which records are kept */
	WATCH_KIND_WP = 2,
	WATCH_KIND_MINOR = 4,
	WATCH_KIND_FORK = 8,		/* fork, exec */
	WATCH_KIND_EXIT = 16,
	WATCH_KIND_MAP = 32,		/* remap, remove, unmap */
	WATCH_KIND_ALL = 63,
};

/* What the user asked for; strings and arrays are borrowed. */
struct watch_filter {
	uint32_t modes;			/* WATCH_MODE_*, at least one */
	const struct range *ranges;	/* -a; nr_ranges 0 = everything */
	unsigned int nr_ranges;
	const char *const *globs;	/* -m; heap, stack, anon, or fnmatch on the name */
	unsigned int nr_globs;
	bool async;			/* for the engine whose faults wait for nobody */
};

struct watch_verdict {
	uint32_t modes;			/* to register, WATCH_MODE_*; 0 = leave alone */
	bool arm;			/* write-protect it now (it is writable) */
	enum vma_why why;		/* WHY_NONE if modes and arm */
};

/* kind: as looked at (filesystem.h).  uffd_features: what the handshake gave (UFFD_FEATURE_*). */
struct watch_verdict watchable(const struct map_entry *m, enum vma_kind kind,
			       const struct watch_filter *f, uint64_t uffd_features);

/*
 * heap, anon, stack ...: from the line of /proc/PID/maps alone.  shmem and hugetlb are a guess
 * where the file system has no device of its own.
 */
enum vma_kind map_kind(const struct map_entry *m);

#endif
