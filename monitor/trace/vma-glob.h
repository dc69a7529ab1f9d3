/* SPDX-License-Identifier: MIT */
/*
 * Vma glob: which mappings an -m names, for those who watch and those who read.
 *
 * Pure.
 */
#ifndef TRACE_VMA_GLOB_H
#define TRACE_VMA_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "pagetap/trace.h"

/*
 * The word of a kind (heap, stack, anon, shmem, hugetlb, file, special) names all of that
 * kind; anything else is a pattern of fnmatch(3), held against the name and against what
 * follows its last slash.  The name may be any bytes, without a NUL at its end.
 */
bool vma_glob_matches(const char *glob, const char *name, size_t len, enum vma_kind kind);

#endif
