/* SPDX-License-Identifier: MIT */
/*
 * What is done with the memory, the first thing after the restore.
 *
 * Every act ends with a check of all that must still be there, by each process that has
 * a copy.  Acts that change the layout are for processes of one thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "known.h"

static struct region *next_movable(struct task *task, uint32_t *r)
{
	while (*r < task->nregions) {
		struct region *region = &task->regions[(*r)++];

		if (!region->fixed)
			return region;
	}
	return NULL;
}

/* Calls what is given for each run of pages of which `remainder` is left by `divisor`. */
static int each_run(struct region *region, size_t divisor, size_t remainder,
		    int (*call)(void *at, size_t bytes))
{
	for (size_t run = 0; run * RUN < region->pages; run++) {
		size_t pages = region->pages - run * RUN;

		if (run % divisor != remainder)
			continue;
		if (call(region->at + run * RUN * PAGE, (pages < RUN ? pages : RUN) * PAGE))
			return -errno;
	}
	return 0;
}

static int run_drop(void *at, size_t bytes)
{
	return madvise(at, bytes, MADV_DONTNEED);
}

/* Bounds where nobody who copies in round numbers of pages has any. */
static int run_protect(void *at, size_t bytes)
{
	return bytes > 3 * PAGE ? mprotect((char *)at + PAGE, bytes - 3 * PAGE, PROT_READ) : 0;
}

static int regions_drop(struct task *task)
{
	struct region *region;
	uint32_t r = 0;
	int err = 0;

	while (!err && (region = next_movable(task, &r))) {
		/* The stamps would go with the pages: stamp after that. */
		if (region->stamped)
			return -EINVAL;
		err = each_run(region, 2, 0, run_drop);
		region->dropped = true;
	}
	return err;
}

static int regions_unmap(struct task *task)
{
	struct region *region;
	uint32_t r = 0;
	int err = 0;

	while (!err && (region = next_movable(task, &r))) {
		err = each_run(region, 4, 1, munmap);
		region->unmapped = true;
	}
	return err;
}

/* Each to another place, in one piece: an odd number of pages away. */
static int regions_move(struct task *task)
{
	struct region *region;
	uint32_t r = 0;

	while ((region = next_movable(task, &r))) {
		size_t bytes = region->pages * PAGE;
		unsigned char *room = mmap(NULL, bytes + 3 * PAGE, PROT_NONE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (room == MAP_FAILED)
			return -errno;
		if (mremap(region->at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, room + PAGE) ==
		    MAP_FAILED)
			return -errno;
		region->at = room + PAGE;
	}
	return 0;
}

/* The second half goes elsewhere and comes back to where the first one was after that. */
static int regions_shuffle(struct task *task)
{
	struct region *region;
	uint32_t r = 0;

	while ((region = next_movable(task, &r))) {
		size_t half = region->pages / 2 * PAGE, rest = region->pages * PAGE - half;
		unsigned char *room = mmap(NULL, 2 * (half + rest), PROT_NONE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (room == MAP_FAILED)
			return -errno;
		if (mremap(region->at + half, rest, rest, MREMAP_MAYMOVE | MREMAP_FIXED,
			   room + half) == MAP_FAILED ||
		    mremap(region->at, half, half, MREMAP_MAYMOVE | MREMAP_FIXED, room) ==
		    MAP_FAILED)
			return -errno;
		region->at = room;
	}
	return 0;
}

static void regions_stamp(struct worker *worker)
{
	struct task *task = worker->task;
	struct region *region;
	uint32_t r = 0;

	/* From the end: against the order in which pages are filled in. */
	while ((region = next_movable(task, &r))) {
		for (size_t i = region->pages; i-- > 0;)
			if (region_has(region, i))
				page_stamp(region, i);
		region->stamped = true;
	}
}

/* A child that does `then` and is waited for: 0, or what it ended with. */
static int fork_and(struct worker *worker, int (*then)(struct worker *worker))
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		struct slot *slot = slot_take(worker->task->control);

		worker->slot = slot;
		if (!slot)
			_exit(1);
		slot->resumed = time_now();
		if (then(worker))
			slot_complain(slot, "child", errno);
		atomic_store(&slot->answered, atomic_load(&worker->task->control->serial));
		slot->ended = time_now();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -ECHILD : 0;
}

static int do_check(struct worker *worker)
{
	worker_check(worker);
	return 0;
}

static int do_idle(struct worker *worker)
{
	(void)worker;
	return 0;
}

/* Every page once, in an order without order; how long each touch took. */
static int do_touch(struct worker *worker, bool random)
{
	struct control *control = worker->task->control;
	const struct region *region = &worker->task->regions[0];
	uint32_t n = 0;

	if (madvise(control->touches, sizeof(control->touches), MADV_POPULATE_WRITE))
		return -errno;
	for (size_t k = 0; k < region->pages && n < TOUCHES; k++) {
		/* A prime: it divides no number of pages that is asked for. */
		size_t i = random ? k * 7368787 % region->pages : k;
		const volatile uint64_t *word = (const volatile uint64_t *)(void *)
						(region->at + i * PAGE);
		struct timespec from, to;
		uint64_t found;

		clock_gettime(CLOCK_MONOTONIC, &from);
		found = *word;
		clock_gettime(CLOCK_MONOTONIC, &to);
		control->touches[n++] = (uint32_t)((to.tv_sec - from.tv_sec) * 1000000000 +
						   to.tv_nsec - from.tv_nsec);
		worker->slot->bad += found != page_first_word(worker->task, region, i);
	}
	atomic_store(&control->ntouches, n);
	return 0;
}

static int do_walk(struct worker *worker)
{
	return do_touch(worker, false);
}

static int do_random(struct worker *worker)
{
	return do_touch(worker, true);
}

static int do_stamp(struct worker *worker)
{
	regions_stamp(worker);
	return do_check(worker);
}

static int do_move(struct worker *worker)
{
	int err = regions_move(worker->task);

	return err ?: do_check(worker);
}

static int do_shuffle(struct worker *worker)
{
	int err = regions_shuffle(worker->task);

	return err ?: do_check(worker);
}

/* One mapping becomes many, and nobody is told. */
static int do_protect(struct worker *worker)
{
	struct region *region;
	uint32_t r = 0;
	int err = 0;

	while (!err && (region = next_movable(worker->task, &r)))
		err = each_run(region, 2, 0, run_protect);
	return err ?: do_check(worker);
}

static int do_drop(struct worker *worker)
{
	int err = regions_drop(worker->task);

	return err ?: do_check(worker);
}

static int do_unmap(struct worker *worker)
{
	int err = regions_unmap(worker->task);

	return err ?: do_check(worker);
}

/*
 * mremap refuses to move a mapping that was cut into one with a userfaultfd and one without
 * (EFAULT): whoever unregisters what was dropped makes calls fail.
 */
static int do_drop_move(struct worker *worker)
{
	int err = regions_drop(worker->task);

	err = err ?: regions_move(worker->task);
	return err ?: do_check(worker);
}

static int do_fork(struct worker *worker)
{
	int err = fork_and(worker, do_check);

	return err ?: do_check(worker);
}

/* The child forks before it has looked at anything, then both write. */
static int child_forks(struct worker *worker)
{
	int err = fork_and(worker, do_stamp);

	return err ?: do_stamp(worker);
}

static int do_forks(struct worker *worker)
{
	int err = fork_and(worker, child_forks);

	return err ?: do_check(worker);
}

static int child_changes(struct worker *worker)
{
	int err = regions_move(worker->task);

	err = err ?: regions_drop(worker->task);
	err = err ?: fork_and(worker, do_stamp);
	return err ?: do_stamp(worker);
}

/* Everything at once: parent, child and grandchild each take a way of their own. */
static int do_mix(struct worker *worker)
{
	int err = fork_and(worker, child_changes);

	err = err ?: regions_shuffle(worker->task);
	err = err ?: regions_unmap(worker->task);
	return err ?: do_stamp(worker);
}

/* All of the first region, whose length is more than an int holds. */
static int do_drop_all(struct worker *worker)
{
	struct region *region = &worker->task->regions[0];

	if (madvise(region->at, region->pages * PAGE, MADV_DONTNEED))
		return -errno;
	region->look = LOOK_FIRST;
	region->filled = 0;
	return do_check(worker);
}

static int do_unmap_all(struct worker *worker)
{
	struct region *region = &worker->task->regions[0];

	if (munmap(region->at, region->pages * PAGE))
		return -errno;
	*region = worker->task->regions[--worker->task->nregions];
	return do_check(worker);
}

static int do_exit(struct worker *worker)
{
	worker->slot->ended = time_now();
	atomic_store(&worker->slot->answered, atomic_load(&worker->task->control->serial));
	_exit(0);
}

static const struct {
	const char *verb;
	int (*act)(struct worker *worker);
	bool layout;
} acts[] = {
	{ "check", do_check, false },
	{ "idle", do_idle, false },
	{ "walk", do_walk, true },
	{ "random", do_random, true },
	{ "stamp", do_stamp, true },
	{ "move", do_move, true },
	{ "shuffle", do_shuffle, true },
	{ "protect", do_protect, true },
	{ "drop", do_drop, true },
	{ "drop-move", do_drop_move, true },
	{ "unmap", do_unmap, true },
	{ "fork", do_fork, true },
	{ "forks", do_forks, true },
	{ "mix", do_mix, true },
	{ "drop-all", do_drop_all, true },
	{ "unmap-all", do_unmap_all, true },
	{ "exit", do_exit, false },
};

int act_do(struct worker *worker, const char *verb)
{
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (strcmp(acts[i].verb, verb))
			continue;
		if (acts[i].layout && worker->task->threads > 1)
			return -EINVAL;
		return acts[i].act(worker);
	}
	return -EINVAL;
}
