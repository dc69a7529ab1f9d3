/* SPDX-License-Identifier: MIT */
/*
 * PROCMAP_QUERY of <linux/fs.h>, Linux 6.11: one mapping by address, in binary, from
 * a descriptor of /proc/PID/maps.  Debian 12 ships the headers of Linux 6.1.
 *
 * See Documentation/filesystems/proc.rst and PROCMAP_QUERY in proc_pid_maps(5).
 */
#ifndef COMPAT_PROCMAP_H
#define COMPAT_PROCMAP_H

#include <assert.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <sys/ioctl.h>

#ifndef PROCMAP_QUERY
enum procmap_query_flags {
	PROCMAP_QUERY_VMA_READABLE = 0x01,
	PROCMAP_QUERY_VMA_WRITABLE = 0x02,
	PROCMAP_QUERY_VMA_EXECUTABLE = 0x04,
	PROCMAP_QUERY_VMA_SHARED = 0x08,
	PROCMAP_QUERY_COVERING_OR_NEXT_VMA = 0x10,
	PROCMAP_QUERY_FILE_BACKED_VMA = 0x20,
};

struct procmap_query {
	__u64 size;
	__u64 query_flags;
	__u64 query_addr;
	__u64 vma_start, vma_end;
	__u64 vma_flags;
	__u64 vma_page_size;
	__u64 vma_offset;
	__u64 inode;
	__u32 dev_major, dev_minor;
	__u32 vma_name_size;
	__u32 build_id_size;
	__u64 vma_name_addr;
	__u64 build_id_addr;
};

#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)
#endif

static_assert(sizeof(struct procmap_query) == 104, "kernel ABI");

#endif
