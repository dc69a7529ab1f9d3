/* SPDX-License-Identifier: MIT */
/*
 * Injector: the child process that carries a transaction out, and its one message home.
 *
 * Everything in the child is async-signal-safe: it is a fork of a process that may
 * have threads.
 */
#ifndef INJECT_INJECTOR_H
#define INJECT_INJECTOR_H

#include "inject.h"

struct injector_report {
	int result;			/* 0 or a negative errno */
	struct pagetap_failure failure;
	struct pagetap_loan loan;	/* uffd travels beside it, SCM_RIGHTS */
};

/* In the child, all signals blocked.  Does not return. */
void injector_main(struct inject *in, int sock) __attribute__((noreturn));
/* In the caller.  Blocks until the child reports or ends.  -EPIPE: it ended. */
int injector_receive(int sock, struct injector_report *ret);

#endif
