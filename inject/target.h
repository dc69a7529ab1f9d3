/* SPDX-License-Identifier: MIT */
/*
 * Target: look before touching.  Facts in, a verdict with words out.
 *
 * target_judge() is pure: no fd, no /proc, so that every situation can be tested on
 * recorded facts.  Nothing here touches the target.
 */
#ifndef INJECT_TARGET_H
#define INJECT_TARGET_H

#include "facts.h"
#include "pagetap/inject.h"

/* 0, or the refusal in *ret: reason, words, hint. */
int target_judge(const struct facts *f, const struct viewer *v, unsigned int flags,
		 struct pagetap_failure *ret);

/*
 * Gather and judge.  On 0 *ret_procfd is a directory fd of /proc/PID, the caller's
 * to close, and *ret_facts what was found.
 */
int target_look(pid_t pid, unsigned int flags, int *ret_procfd, struct facts *ret_facts,
		struct pagetap_failure *ret);

/*
 * Words for a PTRACE_SEIZE that failed although the look allowed it: the kernel gives
 * a bare EPERM for a foreign user, a traced target, a kernel thread and an LSM alike.
 */
int target_explain_seize(const struct facts *f, int error, struct pagetap_failure *ret);

#endif
