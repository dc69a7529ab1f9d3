/* SPDX-License-Identifier: MIT */
/* Kin: which processes descend from the targets.  See kin.h. */

#include "watch/kin.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "watch/procinfo.h"

/* PID_MAX_LIMIT of 64-bit kernels: pids are below it, whatever kernel.pid_max says. */
#define PIDS (4u << 20)
/* Longer chains of parents are not made by people. */
#define GENERATIONS 64

struct kin {
	uint8_t member[PIDS / CHAR_BIT];
};

int kin_new(struct kin **ret)
{
	struct kin *k = calloc(1, sizeof(*k));	/* pages that are never looked at cost nothing */

	if (!k)
		return -ENOMEM;
	*ret = k;
	return 0;
}

struct kin *kin_free(struct kin *k)
{
	free(k);
	return NULL;
}

static bool valid(pid_t pid)
{
	return pid > 0 && (unsigned int)pid < PIDS;
}

void kin_add(struct kin *k, pid_t pid)
{
	if (valid(pid))
		k->member[pid / CHAR_BIT] |= (uint8_t)(1u << pid % CHAR_BIT);
}

bool kin_has(const struct kin *k, pid_t pid)
{
	return valid(pid) && k->member[pid / CHAR_BIT] >> pid % CHAR_BIT & 1;
}

void kin_follow(struct kin *k, const struct procwatch_event *ev, bool lives)
{
	if (ev->kind == PROCWATCH_FORK && kin_has(k, ev->tgid))
		kin_add(k, ev->child_tgid);
	/* Its number may soon be another's, of whom we must know nothing. */
	if (ev->kind == PROCWATCH_EXIT && !lives && kin_has(k, ev->tgid))
		k->member[ev->tgid / CHAR_BIT] &= (uint8_t)~(1u << ev->tgid % CHAR_BIT);
}

bool kin_find(struct kin *k, pid_t pid)
{
	pid_t p = pid;

	for (int i = 0; i < GENERATIONS; i++) {
		struct procinfo who;

		if (kin_has(k, p)) {
			kin_add(k, pid);
			return true;
		}
		if (p <= 1 || procinfo_of(p, &who) < 0)
			return false;
		p = who.ppid;
	}
	return false;
}
