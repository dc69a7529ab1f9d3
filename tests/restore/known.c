/* SPDX-License-Identifier: MIT */
/*
 * Known: a program whose memory is known, page by page, before and after a restore.
 *
 *	known FILE run SHAPE MIB	makes FILE and runs, in silence; holds nothing open
 *	known FILE ready SECONDS	waits until all its threads wait for a word
 *	known FILE tell VERB		the next thing to do; before the restore, the first one
 *	known FILE wait SECONDS [N]	until N threads (or as many as wait) have done it
 *	known FILE show			a line for each slot
 *	known FILE where		address and pages of the first region
 *	known FILE touches		how long each touch took, ns, one a line
 *
 * `wait` shows too: 0 if every page was right, 1 if it is not done yet, 3 if it is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "known.h"

uint64_t time_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

struct slot *slot_take(struct control *control)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &control->slots[i];

		if (!atomic_exchange(&slot->used, 1)) {
			slot->pid = (uint32_t)getpid();
			return slot;
		}
	}
	return NULL;
}

void slot_complain(struct slot *slot, const char *words, int err)
{
	snprintf(slot->words, sizeof(slot->words), "%s: %s", words, strerror(err));
	atomic_fetch_add(&slot->failed, 1);
}

void worker_run(struct worker *worker)
{
	struct control *control = worker->task->control;
	uint32_t done = 0;

	worker->slot = slot_take(control);
	if (!worker->slot)
		_exit(1);
	atomic_fetch_add(&control->ready, 1);
	for (;;) {
		char verb[VERB];
		int err;

		/* Nothing that sleeps: after the restore the next instruction sees it. */
		while (atomic_load(&control->serial) == done)
			if (done)
				nap();
			else
				sched_yield();
		if (!done)
			worker->slot->resumed = time_now();
		done = atomic_load(&control->serial);
		memcpy(verb, control->verb, sizeof(verb));
		err = act_do(worker, verb);
		if (err)
			slot_complain(worker->slot, verb, -err);
		worker->slot->ended = time_now();
		atomic_store(&worker->slot->answered, done);
	}
}

static void *thread_run(void *arg)
{
	worker_run(arg);
	return NULL;
}

/* A checkpoint holds every open file, also those of who started us. */
static void close_all(void)
{
	int fd = open("/dev/null", O_RDWR);

	for (int n = 0; n < 3; n++)
		if (dup2(fd, n) != n)
			_exit(1);
	if (close_range(3, ~0U, 0))
		_exit(1);
}

static int run(struct control *control, const char *shape, size_t mib)
{
	static struct task task;
	static struct worker workers[THREADS_MAX];
	int err;

	task = (struct task){ .control = control, .threads = 1 };
	/* Alone: who starts it may go, and no terminal is left in the checkpoint. */
	setsid();
	err = shape_make(shape, mib, &task);
	if (err) {
		fprintf(stderr, "known: %s: %s\n", shape, strerror(-err));
		_exit(1);
	}
	close_all();
	control->at = (uint64_t)(uintptr_t)task.regions[0].at;
	control->pages = task.regions[0].pages;
	if (task.threads > 1)
		atomic_store(&control->wanted, task.threads);
	for (uint32_t t = 0; t < task.threads; t++)
		workers[t] = (struct worker){ .task = &task, .number = t };
	for (uint32_t t = 1; t < task.threads; t++) {
		pthread_t thread;

		err = pthread_create(&thread, NULL, thread_run, &workers[t]);
		if (err)
			_exit(1);
	}
	worker_run(&workers[0]);
	return 0;
}

static struct control *control_map(const char *path, bool make)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT | O_TRUNC : 0), 0644);
	struct control *control;

	if (fd < 0 || (make && ftruncate(fd, sizeof(*control))))
		return NULL;
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return control == MAP_FAILED ? NULL : control;
}

/* One line for each thread; false if anything was wrong. */
static bool show(const struct control *control)
{
	bool right = true;

	for (size_t i = 0; i < SLOTS; i++) {
		const struct slot *slot = &control->slots[i];

		if (!atomic_load(&slot->used))
			continue;
		printf("slot %zu pid %" PRIu32 " resumed %" PRIu64 " ended %" PRIu64, i, slot->pid,
		       slot->resumed, slot->ended);
		printf(" checked %" PRIu64 " bad %" PRIu64, slot->checked, slot->bad);
		if (slot->bad)
			printf(" first 0x%" PRIx64, slot->first_bad);
		printf("%s%s\n", slot->words[0] ? " failed " : "", slot->words);
		right = right && !slot->bad && !atomic_load(&slot->failed);
	}
	return right;
}

static uint32_t answers(const struct control *control)
{
	uint32_t serial = atomic_load(&control->serial), n = 0;

	for (size_t i = 0; i < SLOTS; i++)
		n += serial && atomic_load(&control->slots[i].answered) == serial;
	return n;
}

static int wait_answers(const struct control *control, uint64_t seconds, uint32_t wanted)
{
	uint64_t until = time_now() + seconds * 1000000000;

	while (answers(control) < wanted) {
		if (time_now() > until) {
			show(control);
			fprintf(stderr, "known: %" PRIu32 " of %" PRIu32 " have done %s in time\n",
				answers(control), wanted, control->verb);
			return 1;
		}
		nap();
	}
	return show(control) ? 0 : 3;
}

static int wait_ready(const struct control *control, uint64_t seconds)
{
	uint64_t until = time_now() + seconds * 1000000000;

	while (!atomic_load(&control->ready) ||
	       atomic_load(&control->ready) < atomic_load(&control->wanted)) {
		if (time_now() > until) {
			fprintf(stderr, "known: not ready after %" PRIu64 " s\n", seconds);
			return 1;
		}
		nap();
	}
	return 0;
}

static void tell(struct control *control, const char *verb)
{
	snprintf(control->verb, sizeof(control->verb), "%s", verb);
	atomic_fetch_add(&control->serial, 1);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[2] : "";
	uint64_t number = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	struct control *control;
	bool making = !strcmp(verb, "run") && argc == 5;

	control = argc > 2 ? control_map(argv[1], making) : NULL;
	if (!control) {
		fprintf(stderr, "known: %s: %s\n", argc > 1 ? argv[1] : "no file", strerror(errno));
		return 2;
	}
	if (making) {
		atomic_store(&control->wanted, 1);
		return run(control, argv[3], strtoull(argv[4], NULL, 10));
	}
	if (!strcmp(verb, "ready") && argc == 4)
		return wait_ready(control, number);
	if (!strcmp(verb, "wait") && argc == 4)
		return wait_answers(control, number, atomic_load(&control->ready));
	if (!strcmp(verb, "wait") && argc == 5)
		return wait_answers(control, number, (uint32_t)strtoul(argv[4], NULL, 10));
	if (!strcmp(verb, "tell") && argc == 4) {
		tell(control, argv[3]);
		return 0;
	}
	if (!strcmp(verb, "show"))
		return show(control) ? 0 : 1;
	if (!strcmp(verb, "where")) {
		printf("%" PRIu64 " %" PRIu64 "\n", control->at, control->pages);
		return 0;
	}
	if (strcmp(verb, "touches")) {
		fprintf(stderr, "known: what is %s?\n", verb);
		return 2;
	}
	for (uint32_t i = 0; i < atomic_load(&control->ntouches); i++)
		printf("%" PRIu32 "\n", control->touches[i]);
	return 0;
}
