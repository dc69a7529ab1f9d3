/* SPDX-License-Identifier: MIT */
/* Feature names: words for UFFD_FEATURE_*.  See feature-names.h. */

#include "feature-names.h"

#include <stddef.h>

#include "compat/uffd.h"
#include "watch/watchable.h"

const struct feature feature_table[] = {
	{ "wp", UFFD_FEATURE_PAGEFAULT_FLAG_WP, "5.7", true },
	{ "event-fork", UFFD_FEATURE_EVENT_FORK, "4.11", true },
	{ "event-remap", UFFD_FEATURE_EVENT_REMAP, "4.11", true },
	{ "event-remove", UFFD_FEATURE_EVENT_REMOVE, "4.11", true },
	{ "event-unmap", UFFD_FEATURE_EVENT_UNMAP, "4.11", true },
	{ "missing-hugetlb", UFFD_FEATURE_MISSING_HUGETLBFS, "4.11", true },
	{ "missing-shmem", UFFD_FEATURE_MISSING_SHMEM, "4.11", true },
	{ "sigbus", UFFD_FEATURE_SIGBUS, "4.14", false },
	{ "thread-id", UFFD_FEATURE_THREAD_ID, "4.14", true },
	{ "minor-hugetlb", UFFD_FEATURE_MINOR_HUGETLBFS, "5.13", true },
	{ "minor-shmem", UFFD_FEATURE_MINOR_SHMEM, "5.14", true },
	{ "exact-address", UFFD_FEATURE_EXACT_ADDRESS, "5.18", true },
	{ "wp-shmem-hugetlb", UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "5.19", true },
	{ "wp-unpopulated", UFFD_FEATURE_WP_UNPOPULATED, "6.4", true },
	{ "poison", UFFD_FEATURE_POISON, "6.6", false },
	{ "wp-async", UFFD_FEATURE_WP_ASYNC, "6.7", true },
	{ "move", UFFD_FEATURE_MOVE, "6.8", false },
	{ NULL, 0, NULL, false },
};

void features_names(uint64_t bits, const char *ret_names[FEATURES_MAX])
{
	unsigned int n = 0;

	for (const struct feature *f = feature_table; f->name; f++)
		if (f->used && (bits & f->bit))
			ret_names[n++] = f->name;
	ret_names[n] = NULL;
}

const char *features_lacking(uint64_t bits, uint32_t modes, const char **ret_hint)
{
	*ret_hint = NULL;
	if ((modes & WATCH_MODE_WRITE) && !(bits & UFFD_FEATURE_PAGEFAULT_FLAG_WP)) {
		*ret_hint = "--mode missing still works";
		return "this kernel has no write-protect faults (needs "
		       "CONFIG_HAVE_ARCH_USERFAULTFD_WP, Linux 5.7; shmem/hugetlb 5.19)";
	}
	if (modes == WATCH_MODE_MINOR &&
	    !(bits & (UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_MINOR_HUGETLBFS))) {
		*ret_hint = "--mode write,missing";
		return "this kernel has no minor faults (Linux 5.13 for hugetlb, 5.14 for shmem)";
	}
	return NULL;
}
