/* SPDX-License-Identifier: MIT */
/*
 * Maps: /proc/PID/maps through a directory fd of /proc/PID, proc_pid_maps(5).
 *
 * The directory fd pins the process: once it is gone, reads fail with -ESRCH and
 * never show a recycled pid.  The parser (maps_parse) is pure.
 */
#ifndef WATCH_MAPS_H
#define WATCH_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range.h"

/* BUILD_ID_SIZE_MAX of the kernel: a SHA-1. */
#define MAPS_BUILD_ID_MAX 20

struct map_entry {
	uint64_t lo, hi;	/* bytes, page aligned */
	uint64_t off;		/* bytes */
	uint64_t ino;
	uint32_t dev_major, dev_minor;
	uint32_t prot;		/* RECORD_PROT_* */
	uint32_t name_len;	/* name: the kernel's bytes, \n shown by it as \012 */
	const char *name;	/* into the arena of struct maps, not NUL-terminated */
};

struct maps {
	struct map_entry *v;	/* sorted by address, disjoint */
	size_t n, room;
	char *arena;
	size_t arena_len, arena_room;
};

#define MAPS_NULL { 0 }

/* Read all of it; reuses the memory of an earlier reading.  -ESRCH, -ENOMEM, -EBADMSG. */
int maps_read(int procfd, struct maps *m);
/*
 * The same through a descriptor of /proc/PID/maps, for who may not open one any more.
 * It is of the address space it was opened on: after an exec -ESRCH.
 */
int maps_reread(int mapsfd, struct maps *m);
/*
 * The mappings that overlap `within`, in binary (PROCMAP_QUERY, Linux 6.11), through a
 * descriptor of /proc/PID/maps; at most `max` of them.  What crosses the bounds is
 * given whole.  -ENOTTY: the kernel is older; -EAGAIN: they changed meanwhile; -ESRCH,
 * -ENOMEM.
 */
int maps_query(int mapsfd, struct range within, size_t max, struct maps *m);
/*
 * The build id of the ELF file behind the mapping at addr, by the same call.  Returns its
 * length; 0: none.  -ENOTTY: an older kernel.
 */
int64_t maps_build_id(int mapsfd, uint64_t addr, unsigned char ret[MAPS_BUILD_ID_MAX]);
/* The same on bytes in memory; takes a copy of the names.  -EBADMSG names a bad line. */
int maps_parse(const char *buf, size_t len, struct maps *m);
void maps_done(struct maps *m);

#endif
