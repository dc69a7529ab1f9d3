/* SPDX-License-Identifier: MIT */
/*
 * The memory and the processes that a checkpoint is made of.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "known.h"

#define MIB (UINT64_C(1) << 20)
#define SMALL_PAGES ((size_t)20480)	/* every other one a mapping: the limit is 65,530 */
#define CHILDREN 3
#define CROWD 60

/* In the program's own data, and in what the loader makes of nothing. */
static unsigned char own_data[32 * PAGE] __attribute__((aligned(4096))) = { 1 };
static unsigned char own_nothing[32 * PAGE] __attribute__((aligned(4096)));

static struct region *region_add(struct task *task, unsigned char *at, size_t pages)
{
	struct region *region = &task->regions[task->nregions++];

	*region = (struct region){
		.at = at, .pages = pages, .filled = pages,
		.salt = UINT64_C(0x6b6e6f776e) * task->nregions,
	};
	return region;
}

/* A mapping with room around it, so that it is one by itself. */
static struct region *region_map(struct task *task, size_t pages, int flags)
{
	unsigned char *at = mmap(NULL, (pages + 32) * PAGE, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	at = mmap(at + 16 * PAGE, pages * PAGE, PROT_READ | PROT_WRITE,
		  MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE | flags, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	return region_add(task, at, pages);
}

static int region_plain(struct task *task, size_t pages)
{
	struct region *region = region_map(task, pages, MAP_PRIVATE);

	if (!region)
		return -errno;
	region_fill(region, 0);
	return 0;
}

static int region_holes(struct task *task, size_t pages)
{
	struct region *region = region_map(task, pages, MAP_PRIVATE);

	if (!region)
		return -errno;
	region->look = LOOK_HOLES;
	region_fill(region, 0);
	return 0;
}

static int region_read_only(struct task *task, size_t pages)
{
	struct region *region = region_map(task, pages, MAP_PRIVATE);

	if (!region)
		return -errno;
	region->fixed = true;
	region_fill(region, 0);
	return mprotect(region->at, pages * PAGE, PROT_READ) ? -errno : 0;
}

/* As many mappings as pages: no two neighbours allow the same. */
static int region_alternating(struct task *task, size_t pages)
{
	struct region *region = region_map(task, pages, MAP_PRIVATE);

	if (!region)
		return -errno;
	region->fixed = true;
	region_fill(region, 0);
	for (size_t i = 0; i < pages; i += 2)
		if (mprotect(region->at + i * PAGE, PAGE, PROT_READ))
			return -errno;
	return 0;
}

static int region_shared(struct task *task, size_t pages)
{
	struct region *region = region_map(task, pages, MAP_SHARED);

	if (!region)
		return -errno;
	region->fixed = region->shared = true;
	region_fill(region, 0);
	return 0;
}

static int region_memfd(struct task *task, size_t pages)
{
	struct region *region = region_map(task, pages, MAP_PRIVATE);
	int fd = memfd_create("known", MFD_CLOEXEC);

	if (!region || fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)))
		return -errno;
	if (mmap(region->at, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return -errno;
	close(fd);
	region->fixed = region->shared = true;
	region_fill(region, 0);
	return 0;
}

/* What every program has: data, bss, and the heap. */
static int regions_own(struct task *task)
{
	unsigned char *heap = sbrk(0);
	size_t odd = -(uintptr_t)heap & (PAGE - 1);
	struct region *region;

	if (sbrk((intptr_t)(odd + 64 * PAGE)) == (void *)-1)
		return -errno;
	region_add(task, own_data, sizeof(own_data) / PAGE)->fixed = true;
	region_add(task, own_nothing, sizeof(own_nothing) / PAGE)->fixed = true;
	region = region_add(task, heap + odd, 64);
	region->fixed = true;
	region->look = LOOK_HOLES;
	for (uint32_t r = task->nregions - 3; r < task->nregions; r++)
		region_fill(&task->regions[r], 0);
	return 0;
}

static int shape_plain(struct task *task, size_t mib)
{
	return region_plain(task, mib * MIB / PAGE);
}

static int shape_single(struct task *task, size_t mib)
{
	size_t pages = mib * MIB / PAGE;
	int err = regions_own(task);

	err = err ?: region_plain(task, pages / 2);
	err = err ?: region_holes(task, pages / 4);
	err = err ?: region_read_only(task, pages / 8);
	return err ?: region_plain(task, pages / 8);
}

static int shape_threads(struct task *task, size_t mib)
{
	task->threads = THREADS_MAX;
	return shape_single(task, mib);
}

static int shape_small(struct task *task, size_t mib)
{
	int err = region_alternating(task, SMALL_PAGES);

	return err ?: region_plain(task, mib * MIB / PAGE);
}

static int shape_shared(struct task *task, size_t mib)
{
	size_t pages = mib * MIB / PAGE;
	int err = region_plain(task, pages / 2);

	err = err ?: region_shared(task, pages / 4);
	return err ?: region_memfd(task, pages / 4);
}

/* 3 GiB of which little is there: lengths beyond what an int holds. */
static int shape_vast(struct task *task, size_t mib)
{
	struct region *region = region_map(task, 3072 * MIB / PAGE, MAP_PRIVATE);

	if (!region)
		return -errno;
	region->look = LOOK_FIRST;
	region->filled = mib * MIB / PAGE;
	region_fill(region, 0);
	return 0;
}

static pid_t child_make(struct task *task, uint32_t id)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	task->owners |= 1U << id;
	for (uint32_t r = 0; r < task->nregions; r++)
		if (!task->regions[r].shared)
			region_fill(&task->regions[r], id);
	return 0;
}

/* Three children and a grandchild, each with an eighth of its own; and one that is dead. */
static int shape_children(struct task *task, size_t mib)
{
	int err = shape_shared(task, mib);
	siginfo_t info;
	pid_t pid;

	if (err)
		return err;
	atomic_store(&task->control->wanted, CHILDREN + 2);
	for (uint32_t id = 1; id <= CHILDREN; id++) {
		pid = child_make(task, id);
		if (pid < 0)
			return -errno;
		if (!pid && id == 1)
			return child_make(task, CHILDREN + 1) < 0 ? -errno : 0;
		if (!pid)
			return 0;
	}
	pid = fork();
	if (!pid)
		_exit(7);
	return pid < 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) ? -errno : 0;
}

/* As many processes as a service has, which share what they inherited. */
static int shape_crowd(struct task *task, size_t mib)
{
	int err = region_plain(task, mib * MIB / PAGE);

	atomic_store(&task->control->wanted, CROWD + 1);
	for (uint32_t k = 0; !err && k < CROWD; k++) {
		pid_t pid = child_make(task, 1 + k % 7);

		if (pid < 0)
			return -errno;
		if (!pid)
			return 0;
	}
	return err;
}

static const struct {
	const char *name;
	int (*make)(struct task *task, size_t mib);
} shapes[] = {
	{ "plain", shape_plain },	/* one mapping, every page of it */
	{ "single", shape_single },
	{ "threads", shape_threads },
	{ "small", shape_small },
	{ "shared", shape_shared },
	{ "vast", shape_vast },
	{ "children", shape_children },
	{ "crowd", shape_crowd },
};

int shape_make(const char *name, size_t mib, struct task *task)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (!strcmp(shapes[i].name, name))
			return shapes[i].make(task, mib);
	return -EINVAL;
}
