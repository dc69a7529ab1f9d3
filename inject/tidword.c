/* SPDX-License-Identifier: MIT */
/* Tidword: where the kernel writes 0 when a thread ends. */

#include "tidword.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "remote.h"

#define BEFORE_LIST 16			/* bytes, in glibc's struct pthread */

/*
 * glibc has it right before its list of robust locks, which get_robust_list(2) shows, and
 * keeps the thread's id in it.  Others register no such list, or not in the beginning.
 */
void tidword_look(struct visit *v)
{
	uint64_t head = 0;
	int32_t id;
	size_t len;

	v->tid_word = 0;
	if (v->tracee.tid != v->tracee.pid ||
	    syscall(SYS_get_robust_list, v->tracee.tid, &head, &len) < 0 || !head ||
	    memory_read(&v->memory, head - BEFORE_LIST, &id, sizeof(id)) < 0)
		return;
	if (id == v->self)
		v->tid_word = head - BEFORE_LIST;
}

/* PR_GET_TID_ADDRESS (3.5) is there with CONFIG_CHECKPOINT_RESTORE. */
int tidword_ask(struct visit *v)
{
	uint64_t word = 0;
	long result;
	int r;

	if (v->tid_word)
		return 0;
	r = memory_write(&v->memory, v->scratch.at, &word, sizeof(word));
	if (!r)
		r = remote_call(v, &result, SYS_prctl, PR_GET_TID_ADDRESS, v->scratch.at, 0, 0,
				0, 0);
	if (!r && !result)
		r = memory_read(&v->memory, v->scratch.at, &word, sizeof(word));
	if (!r)
		v->tid_word = word;
	return r;
}
