/* SPDX-License-Identifier: MIT */
/* Vma glob: which mappings an -m names.  See vma-glob.h. */

#include "trace/vma-glob.h"

#include <fnmatch.h>
#include <string.h>

#include "trace/record.h"

/* No path of the kernel's is longer. */
#define NAME_LEN_MAX 4096

bool vma_glob_matches(const char *glob, const char *bytes, size_t len, enum vma_kind kind)
{
	size_t n = len < NAME_LEN_MAX ? len : NAME_LEN_MAX - 1;
	char name[NAME_LEN_MAX];
	const char *base;

	for (unsigned int i = 0; i < VMA_KIND_NR; i++)
		if (!strcmp(glob, vma_kind_name(i)))
			return kind == (enum vma_kind)i;
	if (n)
		memcpy(name, bytes, n);
	name[n] = '\0';
	base = strrchr(name, '/');
	return !fnmatch(glob, name, 0) || (base && !fnmatch(glob, base + 1, 0));
}
