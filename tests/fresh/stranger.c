/* SPDX-License-Identifier: MIT */
/*
 * Stranger: a program that knows the installed library by its headers and by
 * pkg-config, nothing else.
 *
 *	stranger	what needs no privilege
 *	stranger borrow	also takes a userfaultfd of its child, and sees it work
 */

#include <pagetap/inject.h>
#include <pagetap/trace.h>

#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* No process can have it: /proc/sys/kernel/pid_max ends before. */
#define NO_PROCESS (1 << 22 | 12345)

static int ask(void)
{
	struct pagetap_failure failure;
	int r = pagetap_look(getpid(), NULL, &failure);

	if (!r || failure.reason != PAGETAP_REASON_SELF || !failure.text[0])
		return 1;
	if (strcmp(pagetap_phase_name(PAGETAP_PHASE_SEIZE), "seize"))
		return 2;
	if (pagetap_phase_name(PAGETAP_PHASE_NR))
		return 3;
	r = pagetap_look(NO_PROCESS, NULL, &failure);
	if (!r || failure.reason != PAGETAP_REASON_NO_PROCESS)
		return 4;
	if (pagetap_failure_status(&failure) != 4)
		return 5;
	return 0;
}

static int borrow_of(pid_t pid)
{
	struct uffdio_api api = { UFFD_API, 0, 0 };
	struct pagetap_failure failure;
	struct pagetap_loan loan;
	int r;

	memset(&loan, 0, sizeof(loan));
	loan.size = sizeof(loan);
	if (pagetap_borrow(pid, NULL, &loan, &failure)) {
		fprintf(stderr, "stranger: %s\n", failure.text);
		return 6;
	}
	/* It comes before UFFDIO_API, which only the one who uses it can choose. */
	r = ioctl(loan.uffd, UFFDIO_API, &api);
	close(loan.uffd);
	close(loan.pidfd);
	return r ? 7 : 0;
}

static int borrow(void)
{
	int status, r;
	pid_t pid = fork();

	if (pid < 0)
		return 8;
	if (!pid)
		for (;;)
			pause();
	r = borrow_of(pid);
	kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM)
		return 9;
	return r;
}

int main(int argc, char **argv)
{
	int r = ask();

	if (!r && argc > 1 && !strcmp(argv[1], "borrow"))
		r = borrow();
	if (!r)
		puts("stranger: all as the headers say");
	return r;
}
