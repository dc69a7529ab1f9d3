/* SPDX-License-Identifier: MIT */
/* Watchable: which mapping can be watched, and why not.  See watchable.h. */

#include "watch/watchable.h"

#include <string.h>

#include "compat/uffd.h"
#include "trace/record.h"
#include "trace/vma-glob.h"

static bool starts(const struct map_entry *m, const char *prefix)
{
	size_t n = strlen(prefix);

	return m->name_len >= n && !memcmp(m->name, prefix, n);
}

static bool is(const struct map_entry *m, const char *name)
{
	return m->name_len == strlen(name) && starts(m, name);
}

/* Mappings that belong to the kernel or to a device: never memory to watch. */
static bool is_special(const struct map_entry *m)
{
	static const char *const prefix[] = {
		"[vdso]", "[vvar", "[vsyscall]", "[uprobes]", "[vectors]", "[sigpage]",
		"anon_inode:", "/dev/dri/", "/dev/mem", "socket:", "[uffd]",
	};

	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		if (starts(m, prefix[i]))
			return true;
	return starts(m, "/dev/") && !starts(m, "/dev/zero") && !starts(m, "/dev/shm/") &&
	       !starts(m, "/dev/hugepages/");
}

static bool is_shmem(const struct map_entry *m)
{
	return starts(m, "/memfd:") || starts(m, "/dev/shm/") || is(m, "/dev/zero (deleted)") ||
	       starts(m, "/SYSV") || starts(m, "[anon_shmem:") ||
	       (m->ino && !m->dev_major && starts(m, "/drm"));
}

static bool is_hugetlb(const struct map_entry *m)
{
	return starts(m, "/anon_hugepage") || starts(m, "/dev/hugepages/") ||
	       starts(m, "/memfd:hugepage") || starts(m, "/mnt/huge");
}

/*
 * mmap_zero() makes a private mapping of /dev/zero anonymous, file or not; a shared
 * one becomes shmem and shows as deleted.
 */
static bool is_private_zero(const struct map_entry *m)
{
	return is(m, "/dev/zero") && !(m->prot & RECORD_PROT_SHARED);
}

enum vma_kind map_kind(const struct map_entry *m)
{
	if (is_special(m))
		return VMA_KIND_SPECIAL;
	if (is(m, "[heap]"))
		return VMA_KIND_HEAP;
	if (starts(m, "[stack"))
		return VMA_KIND_STACK;
	if (is_private_zero(m))
		return VMA_KIND_ANON;
	/* Anyone may name a file on a disk /memfd:x; no memory lies on a block device. */
	if (m->dev_major)
		return VMA_KIND_FILE;
	if (is_hugetlb(m))
		return VMA_KIND_HUGETLB;
	/* tmpfs has no block device; nor have others, see filesystem.h. */
	return is_shmem(m) || m->ino ? VMA_KIND_SHMEM : VMA_KIND_ANON;
}

static bool wanted(const struct map_entry *m, const struct watch_filter *f, enum vma_kind kind)
{
	bool in = !f->nr_ranges;

	for (unsigned int i = 0; i < f->nr_ranges && !in; i++)
		in = range_overlaps(f->ranges[i], (struct range){ m->lo, m->hi });
	if (!in || !f->nr_globs)
		return in;
	for (unsigned int i = 0; i < f->nr_globs; i++)
		if (vma_glob_matches(f->globs[i], m->name, m->name_len, kind))
			return true;
	return false;
}

/* The modes that the kernel takes for this kind, with the features it has. */
static uint32_t possible(const struct map_entry *m, enum vma_kind kind, uint64_t features)
{
	bool anon = kind == VMA_KIND_ANON || kind == VMA_KIND_HEAP || kind == VMA_KIND_STACK;
	bool huge = kind == VMA_KIND_HUGETLB, shared = m->prot & RECORD_PROT_SHARED;
	uint32_t modes = 0;

	if (features & UFFD_FEATURE_PAGEFAULT_FLAG_WP &&
	    (anon || features & UFFD_FEATURE_WP_HUGETLBFS_SHMEM))
		modes |= WATCH_MODE_WRITE;
	/*
	 * Not for a private mapping of a shmem file: a supplied page would be anonymous,
	 * and later contents of the file would not be seen through it.
	 */
	if (anon || (huge && features & UFFD_FEATURE_MISSING_HUGETLBFS) ||
	    (!huge && shared && features & UFFD_FEATURE_MISSING_SHMEM))
		modes |= WATCH_MODE_MISSING;
	if (shared && features & (huge ? UFFD_FEATURE_MINOR_HUGETLBFS : UFFD_FEATURE_MINOR_SHMEM))
		modes |= anon ? 0 : WATCH_MODE_MINOR;
	return modes;
}

/*
 * UFFD_FEATURE_WP_ASYNC takes whatever is a VMA (vma_can_userfault()), for then a fault
 * needs no answer that the file system would have to give; the kernel refuses the rest.
 * Not only what is writable: a debugger writes to text, and mprotect(2) comes unseen.
 */
static struct watch_verdict watchable_async(const struct watch_filter *f)
{
	return (struct watch_verdict){
		.modes = f->modes & WATCH_MODE_WRITE,
		.arm = f->modes & WATCH_MODE_WRITE,
		.why = f->modes & WATCH_MODE_WRITE ? WHY_NONE : WHY_MODE,
	};
}

static struct watch_verdict no(enum vma_why why)
{
	return (struct watch_verdict){ .why = why };
}

struct watch_verdict watchable(const struct map_entry *m, enum vma_kind kind,
			       const struct watch_filter *f, uint64_t features)
{
	struct watch_verdict v = { .why = WHY_NONE };
	bool writable = m->prot & RECORD_PROT_WRITE;
	uint32_t can, want = f->modes;

	if (!wanted(m, f, kind))
		return no(WHY_FILTERED);
	if (kind == VMA_KIND_SPECIAL)
		return no(WHY_SPECIAL_MAPPING);
	if (f->async)
		return watchable_async(f);
	if (!m->dev_major && (starts(m, "/secretmem") || starts(m, "secretmem")))
		return no(WHY_SECRET);
	if (!m->dev_major && starts(m, "/SYSV"))
		return no(WHY_SYSV_SHM);
	if (kind == VMA_KIND_FILE)
		return no(writable ? WHY_FILE_BACKED : WHY_NOT_WRITABLE);
	can = possible(m, kind, features);
	/* Without markers for empty pages (6.4), their first write is a missing fault. */
	if (want & WATCH_MODE_WRITE && !(features & UFFD_FEATURE_WP_UNPOPULATED) &&
	    kind != VMA_KIND_SHMEM && kind != VMA_KIND_HUGETLB)
		want |= WATCH_MODE_MISSING;
	v.modes = can & want;
	if (!v.modes)
		return no(want & ~can & WATCH_MODE_WRITE ? WHY_NO_FEATURE : WHY_MODE);
	v.arm = writable && v.modes & WATCH_MODE_WRITE;
	if (!writable && v.modes & WATCH_MODE_WRITE)
		v.why = WHY_NOT_WRITABLE;
	return v;
}
