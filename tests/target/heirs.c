/* SPDX-License-Identifier: MIT */
/*
 * Heirs: its memory outlives it, and so do two children: one that was made in that memory,
 * by clone(2), and one that it forks as the last thing it does.
 *
 *	heirs GATE END
 *
 * Begins when there is a line in the fifo GATE; each child ends by a byte of the fifo END.
 * Prints the pids of both.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static char stack[65536] __attribute__((aligned(16)));

static int sit(void *fd)
{
	char byte;

	alarm(60);
	return read(*(int *)fd, &byte, 1) != 1;
}

int main(int argc, char **argv)
{
	int gate, end;
	pid_t sitter, child;
	char byte;

	if (argc != 3)
		return 2;
	printf("ready pid=%d\n", (int)getpid());
	fflush(stdout);
	gate = open(argv[1], O_RDONLY | O_CLOEXEC);
	end = open(argv[2], O_RDWR | O_CLOEXEC);
	if (gate < 0 || end < 0 || read(gate, &byte, 1) != 1)
		return 1;
	sitter = clone(sit, stack + sizeof(stack), CLONE_VM | SIGCHLD, &end);
	child = fork();
	if (!child)
		_exit(sit(&end));
	dprintf(1, "children %d %d\n", (int)sitter, (int)child);
	_exit(sitter < 0 || child < 0);
}
