/* SPDX-License-Identifier: MIT */
/*
 * Filesystem: what lies behind a mapping whose device does not say.
 *
 * Device 0:x of /proc/PID/maps is that of memory (tmpfs, hugetlbfs) and of every file system
 * without a disk of its own: overlayfs (containers), btrfs, NFS, ramfs.
 */
#ifndef WATCH_FILESYSTEM_H
#define WATCH_FILESYSTEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/range.h"
#include "pagetap/trace.h"
#include "watch/maps.h"

struct filesystem {
	uint64_t type;		/* f_type of statfs(2), where it matters: memory; else perhaps 0 */
	uint64_t block;		/* f_bsize; of hugetlbfs the size of its pages, bytes */
};

/* What was asked for already of one process; begins as all 0. */
struct filesystems {
	struct {
		uint32_t major, minor;
		int error;
		struct filesystem fs;
	} v[4];
	unsigned int n;
};

/*
 * Of the file that is mapped at r, exactly, by statfs(2) through /proc/PID/map_files: takes
 * CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE (proc_map_files_get_link() in fs/proc/base.c, 5.9).
 * -EPERM, -EACCES; -ENOENT: there is no such mapping.
 */
int filesystem_at(int procfd, struct range r, struct filesystem *ret);

/*
 * Of a device, from /proc/PID/mountinfo: takes no right.  -ENOENT: it is not mounted where the
 * process can see it, as what the kernel has mounted for itself (memfd, shared anonymous
 * memory).  -ESRCH, -ENOMEM.
 */
int filesystem_of(int procfd, uint32_t major, uint32_t minor, struct filesystems *known,
		  struct filesystem *ret);

/* The same from the text, proc_pid_mountinfo(5).  Pure.  -ENOENT. */
int filesystem_find(const char *text, size_t len, uint32_t major, uint32_t minor,
		    struct filesystem *ret);

enum vma_kind filesystem_kind(const struct filesystem *fs);

/* The kind of a mapping, by either way where its line is not enough; else by its line. */
enum vma_kind filesystem_look(int procfd, const struct map_entry *m, struct filesystems *known);

#endif
