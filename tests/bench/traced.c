/* SPDX-License-Identifier: MIT */
/*
 * Traced: what it costs to be told of each first write by ptrace(2).
 *
 *	traced LO HI SYSCALL CPU TID...
 *
 * The threads TID... of a process write to a mapping that is protected against writing.  Each fault
 * stops its thread, which is then made to call mprotect(2) on the page, at the system
 * call instruction at SYSCALL, and goes on.  Says `ready`; ends, letting go, with its
 * input, at a time when nobody writes.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

#ifdef __x86_64__
static uint64_t lo, hi, instruction;
static _Atomic uint64_t seen;

static void give_up(const char *what)
{
	fprintf(stderr, "traced: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void lift(pid_t tid, uint64_t addr)
{
	struct user_regs_struct before, regs;
	int status;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &before))
		give_up("PTRACE_GETREGS");
	regs = before;
	regs.rip = instruction;
	regs.orig_rax = (uint64_t)-1;
	regs.rax = SYS_mprotect;
	regs.rdi = addr & ~(uint64_t)(PAGE - 1);
	regs.rsi = PAGE;
	regs.rdx = PROT_READ | PROT_WRITE;
	if (ptrace(PTRACE_SETREGS, tid, NULL, &regs) ||
	    ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) || waitpid(tid, &status, __WALL) != tid ||
	    !WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, tid, NULL, &regs) || regs.rax)
		give_up("remote mprotect");
	if (ptrace(PTRACE_SETREGS, tid, NULL, &before))
		give_up("PTRACE_SETREGS");
}

static void serve(void)
{
	siginfo_t info;
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL)) > 0) {
		int sig = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;

		if (!sig)
			continue;
		if (sig == SIGSEGV && !ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) &&
		    (uintptr_t)info.si_addr >= lo && (uintptr_t)info.si_addr < hi) {
			lift(tid, (uintptr_t)info.si_addr);
			atomic_fetch_add(&seen, 1);
			sig = 0;
		}
		ptrace(PTRACE_CONT, tid, NULL, sig);
	}
}

/* Ends the tracer: then the kernel lets all its tracees go. */
static void *end_with_input(void *arg)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
	printf("end %" PRIu64 " 0\n", atomic_load(&seen));
	fflush(stdout);
	_exit(0);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t;
	cpu_set_t cpus;

	if (argc < 6)
		return 2;
	lo = strtoul(argv[1], NULL, 0);
	hi = strtoul(argv[2], NULL, 0);
	instruction = strtoul(argv[3], NULL, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (strcmp(argv[4], "-1") != 0) {
		CPU_ZERO(&cpus);
		CPU_SET(strtoul(argv[4], NULL, 10), &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
	}
	for (int i = 5; i < argc; i++)
		if (ptrace(PTRACE_SEIZE, (pid_t)strtol(argv[i], NULL, 10), NULL, NULL))
			give_up("PTRACE_SEIZE");
	if (pthread_create(&t, NULL, end_with_input, NULL))
		give_up("thread");
	printf("ready\n");
	fflush(stdout);
	serve();
	return 1;
}
#else
int main(void)
{
	puts("unsupported");
	return 0;
}
#endif
