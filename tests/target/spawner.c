/* SPDX-License-Identifier: MIT */
/*
 * Spawner: very many children.
 *
 *	spawner [options] KIND
 *
 *	fork	-p a second: each checks what it inherited, writes to it, and exits
 *	spawn	-p a second: posix_spawn (a vfork) of /bin/true
 *	mixed	two dozen at a time: each lives for a while, then every second one
 *		executes /bin/sleep and the others exit
 *	bomb	each process forks two until -n have been forked or the kernel refuses,
 *		and waits for its own; which is not an error then
 *
 * The parent checks each status, and that no child wrote into its memory.
 */
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "target.h"

#define INHERITED 32u	/* pages */
#define AT_A_TIME 4u
#define MIXED_AT_A_TIME 24u
#define MIXED_LIFE_US 20000

struct spawner {
	struct target t;
	volatile uint64_t *memory;
	_Atomic uint64_t *forked;	/* shared by all generations */
	uint64_t state;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void fill(struct spawner *s, uint64_t key)
{
	for (unsigned int p = 0; p < INHERITED; p++)
		s->memory[(size_t)p * WORDS] = mix(key + p);
}

static bool holds(const struct spawner *s, uint64_t key)
{
	for (unsigned int p = 0; p < INHERITED; p++)
		if (s->memory[(size_t)p * WORDS] != mix(key + p))
			return false;
	return true;
}

static pid_t fork_one(struct spawner *s, uint64_t key, uint64_t child_key)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (!holds(s, key))
		_exit(101);
	for (unsigned int p = 0; p < 4; p++)
		s->memory[(size_t)p * WORDS] = mix(child_key + p);
	for (unsigned int p = 0; p < INHERITED; p++)
		if (s->memory[(size_t)p * WORDS] != mix((p < 4 ? child_key : key) + p))
			_exit(102);
	_exit((int)(child_key % 64));
}

static pid_t spawn_one(void)
{
	static char *const argv[] = { "true", NULL };
	static char *const envp[] = { NULL };
	pid_t pid;

	errno = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp);
	return errno ? -1 : pid;
}

static void one_round(struct spawner *s, bool spawn, uint64_t key)
{
	pid_t pid[AT_A_TIME];
	int want[AT_A_TIME], got;

	for (unsigned int i = 0; i < AT_A_TIME; i++) {
		uint64_t child_key = draw(&s->state);

		want[i] = spawn ? 0 : (int)(child_key % 64);
		pid[i] = spawn ? spawn_one() : fork_one(s, key, child_key);
		if (pid[i] < 0)
			die("no child: %s", strerror(errno));
	}
	for (unsigned int i = 0; i < AT_A_TIME; i++) {
		if (waitpid(pid[i], &got, 0) != pid[i])
			die("waitpid: %s", strerror(errno));
		if (!WIFEXITED(got) || WEXITSTATUS(got) != want[i])
			die("child %d ended with %#x instead of exit status %d", pid[i], got,
			    want[i]);
	}
	if (!holds(s, key))
		die("a child wrote into its parent's memory");
}

static void live_a_while(bool execute, useconds_t us)
{
	char seconds[16];

	usleep(us);
	if (!execute)
		_exit(0);
	snprintf(seconds, sizeof(seconds), "0.%06u", us);
	execl("/bin/sleep", "sleep", seconds, (char *)NULL);
	_exit(103);
}

static void mixed(struct spawner *s, int counter)
{
	uint64_t done = 0;
	int got;

	while (!target_stopped && (!s->t.work || done < s->t.work)) {
		for (unsigned int i = 0; i < MIXED_AT_A_TIME; i++) {
			useconds_t us = (useconds_t)(draw(&s->state) % MIXED_LIFE_US);

			switch (fork()) {
			case -1:
				die("fork: %s", strerror(errno));
			case 0:
				live_a_while(i % 2, us);
			}
		}
		for (unsigned int i = 0; i < MIXED_AT_A_TIME; i++)
			if (wait(&got) < 0 || got)
				die("a child ended with %#x", got);
		done += MIXED_AT_A_TIME;
		target_count(counter, done);
	}
	printf("ok children=%" PRIu64 "\n", done);
}

static void storm(struct spawner *s, bool spawn, int counter)
{
	uint64_t begin = now_ns(), done = 0, key;

	while (!target_stopped && (!s->t.work || done < s->t.work)) {
		uint64_t due = begin + done * 1000000000 / s->t.pages, now = now_ns();

		if (now < due)
			usleep((useconds_t)((due - now) / 1000));
		key = draw(&s->state);
		fill(s, key);
		one_round(s, spawn, key);
		done += AT_A_TIME;
		target_count(counter, done);
	}
	printf("ok children=%" PRIu64 "\n", done);
}

/* Returns what went wrong below, for the exit status. */
static int bomb(struct spawner *s, uint64_t key)
{
	int wrong = 0, got;
	pid_t pid[2];

	for (unsigned int i = 0; i < 2; i++) {
		pid[i] = -1;
		if (target_stopped || (*s->forked)++ >= s->t.work)
			continue;
		pid[i] = fork();
		if (!pid[i]) {
			wrong = !holds(s, key);
			fill(s, key + 1 + i);
			wrong |= bomb(s, key + 1 + i) || !holds(s, key + 1 + i);
			_exit(wrong);
		}
		if (pid[i] < 0 && errno != EAGAIN && errno != ENOMEM)
			wrong = 1;
	}
	/* Long enough that many live at a time. */
	usleep(50000);
	for (unsigned int i = 0; i < 2; i++)
		if (pid[i] > 0 && (waitpid(pid[i], &got, 0) != pid[i] || got))
			wrong = 1;
	return wrong;
}

static void *share(size_t len, int flags)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return p;
}

int main(int argc, char **argv)
{
	struct spawner s = { .t = { .seed = 1, .pages = 1000 } };
	uint64_t bombs = 0, key;
	const char *kind;
	int counter;

	target_options(&s.t, argc, argv);
	kind = optind < argc ? argv[optind] : "fork";
	counter = target_counter(&s.t);
	s.state = mix(s.t.seed);
	s.memory = share((size_t)INHERITED * PAGE, MAP_PRIVATE);
	s.forked = share(PAGE, MAP_SHARED);
	key = draw(&s.state);
	fill(&s, key);
	target_ready(&s.t);
	if (!strcmp(kind, "mixed")) {
		mixed(&s, counter);
		return 0;
	}
	if (strcmp(kind, "bomb")) {
		storm(&s, !strcmp(kind, "spawn"), counter);
		return 0;
	}
	if (bomb(&s, key) || !holds(&s, key))
		die("something went wrong below");
	bombs = *s.forked < s.t.work ? *s.forked : s.t.work;
	printf("ok bombs=%" PRIu64 "\n", bombs);
	return 0;
}
