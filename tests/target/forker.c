/* SPDX-License-Identifier: MIT */
/*
 * Forker: forks children that write to what they inherited, check it, sometimes
 * fork again or start a program, and say by their exit status what they found.
 *
 * The parent checks each status and that its own memory did not change with the
 * child's.  With -x it rests between rounds.  The digest depends on seed, pages and
 * work alone.
 */
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "target.h"

#define BRANCHES 3	/* children at a time */

struct forker {
	struct target t;
	uint64_t *memory;
	uint64_t state;
};

static void fill(struct forker *f, uint64_t key, unsigned int first, unsigned int step)
{
	for (unsigned int p = first; p < f->t.pages; p += step)
		for (unsigned int w = 0; w < WORDS; w += 64)
			((volatile uint64_t *)f->memory)[(size_t)p * WORDS + w] = mix(key + p + w);
}

static void check(const struct forker *f, uint64_t key, unsigned int first, unsigned int step,
		  const char *who)
{
	for (unsigned int p = first; p < f->t.pages; p += step)
		for (unsigned int w = 0; w < WORDS; w += 64)
			if (f->memory[(size_t)p * WORDS + w] != mix(key + p + w))
				die("%s: page %u holds wrong data", who, p);
}

/* Waits for pid and wants this status of it. */
static void expect(pid_t pid, int status)
{
	int got;

	if (waitpid(pid, &got, 0) != pid)
		die("waitpid: %s", strerror(errno));
	if (!WIFEXITED(got) || WEXITSTATUS(got) != status)
		die("child %d ended with %#x instead of exit status %d", pid, got, status);
}

static void start_program(void)
{
	static char *const argv[] = { "true", NULL };
	static char *const envp[] = { NULL };
	pid_t pid;

	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp))
		die("posix_spawn: %s", strerror(errno));
	expect(pid, 0);
}

/* What a child does; generation counts down. */
static void child(struct forker *f, uint64_t parent_key, uint64_t key, unsigned int generation)
{
	pid_t pid;

	check(f, parent_key, 0, 1, "child, before it wrote");
	fill(f, key, key % 3, 3);
	if (generation) {
		pid = fork();
		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (!pid) {
			check(f, key, key % 3, 3, "grandchild");
			fill(f, key + 1, 0, 1);
			check(f, key + 1, 0, 1, "grandchild, after it wrote");
			_exit((int)(key % 32));
		}
		expect(pid, (int)(key % 32));
	}
	check(f, key, key % 3, 3, "child, after it wrote");
	_exit((int)(key % 64));
}

static uint64_t one_round(struct forker *f, uint64_t *key)
{
	uint64_t keys[BRANCHES], digest = 0;
	pid_t pids[BRANCHES];

	for (unsigned int i = 0; i < BRANCHES; i++) {
		keys[i] = draw(&f->state);
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork: %s", strerror(errno));
		if (!pids[i])
			child(f, *key, keys[i], keys[i] >> 60 == 0);
	}
	for (unsigned int i = 0; i < BRANCHES; i++) {
		expect(pids[i], (int)(keys[i] % 64));
		digest = mix(digest ^ keys[i]);
	}
	check(f, *key, 0, 1, "parent, while its children wrote");
	*key = draw(&f->state);
	fill(f, *key, 0, 1);
	if (*key >> 61 == 0)
		start_program();
	return digest;
}

int main(int argc, char **argv)
{
	struct forker f = { .t = { .seed = 1, .pages = 128 } };
	uint64_t key, done = 0, digest = 0;
	int counter;

	target_options(&f.t, argc, argv);
	counter = target_counter(&f.t);
	f.state = mix(f.t.seed);
	f.memory = mmap(NULL, (size_t)f.t.pages * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f.memory == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	key = draw(&f.state);
	fill(&f, key, 0, 1);
	target_ready(&f.t);
	while (!target_stopped && (!f.t.work || done < f.t.work)) {
		digest = mix(digest ^ one_round(&f, &key));
		done += BRANCHES;
		target_count(counter, done);
		if (f.t.flag)
			usleep(20000);
	}
	printf("ok forks=%" PRIu64 " digest=%016" PRIx64 "\n", done, digest);
	return 0;
}
