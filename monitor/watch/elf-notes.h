/* SPDX-License-Identifier: MIT */
/*
 * ELF notes: where a file says which build it is, elf(5).
 *
 * Pure: bytes in, bytes out.  Nothing in the bytes is believed: they are the target's.
 */
#ifndef WATCH_ELF_NOTES_H
#define WATCH_ELF_NOTES_H

#include <stddef.h>

#include "base/range.h"

/* As the kernel has it, BUILD_ID_SIZE_MAX: a SHA-1. */
#define ELF_BUILD_ID_MAX 20

/*
 * The spans of a file that are notes (PT_NOTE), as offsets, from its first len bytes; at
 * most max of them.  Returns how many; 0 also for what is no ELF file of this machine's
 * byte order, or has its program headers elsewhere.
 */
size_t elf_notes(const void *head, size_t len, struct range *ret, size_t max);
/* The build id among these notes: its length, 1 to ELF_BUILD_ID_MAX; 0: there is none. */
size_t elf_build_id(const void *notes, size_t len, unsigned char ret[ELF_BUILD_ID_MAX]);

#endif
