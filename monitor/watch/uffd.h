/* SPDX-License-Identifier: MIT */
/*
 * Uffd: the userfaultfd ioctls, one function each, nothing decided here.
 *
 * The only file that issues them; resolve.c alone asks for those that answer a
 * fault.  All return 0 or a negative errno, retry EINTR, and act on the address
 * space the descriptor belongs to, whoever calls.  See userfaultfd(2) and
 * Documentation/admin-guide/mm/userfaultfd.rst.
 *
 * -EAGAIN from protect, copy, zeropage and continue means that a layout event of
 * the address space is not over: it must be read, and its thread must have run.
 */
#ifndef WATCH_UFFD_H
#define WATCH_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range.h"
#include "compat/uffd.h"

/* Everything the sync engine can use, if the kernel has it. */
#define UFFD_WANTED                                                                      \
	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_EVENT_FORK |                      \
	 UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP | \
	 UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS |                           \
	 UFFD_FEATURE_MISSING_HUGETLBFS | UFFD_FEATURE_MISSING_SHMEM |                   \
	 UFFD_FEATURE_MINOR_HUGETLBFS | UFFD_FEATURE_MINOR_SHMEM |                       \
	 UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED)

/*
 * What the async engine needs: faults wait for nobody, empty pages can be told, and the
 * layout is followed as ever.
 */
#define UFFD_WANTED_ASYNC                                                                \
	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_EVENT_FORK | \
	 UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP | \
	 UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED)

/* A userfaultfd on our own address space, before its handshake. */
int uffd_open_own(void);

/* What this kernel offers, asked of a throw-away descriptor of our own. */
int uffd_probe(uint64_t *ret_features);

/*
 * UFFDIO_API with wanted, reduced to what the kernel has.  EVENT_FORK is checked
 * against the caller's CAP_SYS_PTRACE; without it the event is left out and
 * *ret_features shows so.  One shot: -EINVAL if it was done before.
 */
int uffd_handshake(int fd, uint64_t wanted, uint64_t *ret_features);

/* modes: WATCH_MODE_*.  -EBUSY other userfaultfd, -ENOMEM address space gone. */
int uffd_register(int fd, struct range r, uint32_t modes);
int uffd_unregister(int fd, struct range r);
/* Arm.  -ENOENT: part of it is not registered, pages before it may be armed. */
int uffd_protect(int fd, struct range r);
/* Disarm and wake. */
int uffd_unprotect(int fd, struct range r);
/* Zero page(s) into holes; wakes.  -EEXIST: a page is there (nobody woken). */
int uffd_zeropage(int fd, struct range r);
/* Copy from src into holes, write-protected with wp; wakes.  -EEXIST as above. */
int uffd_copy(int fd, struct range r, const void *src, bool wp);
/* Map what the page cache holds (minor fault); wakes.  -EEXIST as above. */
int uffd_continue(int fd, struct range r, bool wp);
int uffd_wake(int fd, struct range r);
/*
 * One UFFDIO_COPY, as far as it goes: *ret_done is what was copied (and woken) before
 * the result, which may be any but success.  A source that cannot be read is -EFAULT.
 */
int uffd_copy_some(int fd, struct range r, const void *src, bool wp, uint64_t *ret_done);
/*
 * SIGBUS for whoever touches these holes, and for who waits there (6.6).  -EINVAL: this
 * kernel cannot.  -EEXIST: a page is there.
 */
int uffd_poison(int fd, struct range r);

/* Messages, 32 bytes each.  Bytes read, -EAGAIN if there are none. */
int64_t uffd_read(int fd, struct uffd_msg *msgs, size_t n);

#endif
