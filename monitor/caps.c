/* SPDX-License-Identifier: MIT */
/* Caps: libcap.  See caps.h. */

#include "caps.h"

#include <errno.h>
#include <stddef.h>
#include <sys/capability.h>

#ifndef CAP_PERFMON			/* 5.8 */
#define CAP_PERFMON 38
#endif
#ifndef CAP_CHECKPOINT_RESTORE		/* 5.9 */
#define CAP_CHECKPOINT_RESTORE 40
#endif

static const cap_value_t wanted[CAPS_NR] = {
	[CAPS_SYS_PTRACE] = CAP_SYS_PTRACE,
	[CAPS_SYS_ADMIN] = CAP_SYS_ADMIN,
	[CAPS_NET_ADMIN] = CAP_NET_ADMIN,
	[CAPS_DAC_OVERRIDE] = CAP_DAC_OVERRIDE,
	[CAPS_KILL] = CAP_KILL,
	[CAPS_PERFMON] = CAP_PERFMON,
	[CAPS_DAC_READ_SEARCH] = CAP_DAC_READ_SEARCH,
	[CAPS_CHECKPOINT_RESTORE] = CAP_CHECKPOINT_RESTORE,
};

static bool has(cap_t caps, cap_value_t value, cap_flag_t flag)
{
	cap_flag_value_t v = CAP_CLEAR;

	return !cap_get_flag(caps, value, flag, &v) && v == CAP_SET;
}

bool caps_hold(enum caps_wanted c)
{
	cap_t own = (unsigned int)c < CAPS_NR ? cap_get_proc() : NULL;
	bool held = own && has(own, wanted[c], CAP_EFFECTIVE);

	cap_free(own);
	return held;
}

/*
 * Giving up is done while targets wait on us, and there nothing allocates: a cap_t would.
 * So these two sets, which capget(2) and capset(2) take, lie on the stack.
 */
struct sets {
	struct __user_cap_data_struct part[_LINUX_CAPABILITY_U32S_3];
};

static int get_sets(struct sets *ret)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	*ret = (struct sets){ 0 };
	return capget(&head, ret->part) < 0 ? -errno : 0;
}

static int set_sets(struct sets *sets)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return capset(&head, sets->part) < 0 ? -errno : 0;
}

static bool permits(const struct sets *sets, cap_value_t v)
{
	return sets->part[CAP_TO_INDEX(v)].permitted & CAP_TO_MASK(v);
}

static void keep_one(struct sets *sets, cap_value_t v)
{
	sets->part[CAP_TO_INDEX(v)].permitted |= CAP_TO_MASK(v);
	sets->part[CAP_TO_INDEX(v)].effective |= CAP_TO_MASK(v);
}

int caps_lower(void)
{
	struct sets own;
	int r = get_sets(&own);

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		own.part[i].effective = 0;
	return r < 0 ? r : set_sets(&own);
}

/* A capability that the kernel does not know ends the list (EINVAL). */
static void drop_bounding_set(const struct sets *own)
{
	struct sets with = *own;

	/* caps_lower() may have put it aside. */
	if (!permits(own, CAP_SETPCAP))
		return;
	keep_one(&with, CAP_SETPCAP);
	if (set_sets(&with) < 0)
		return;
	for (cap_value_t v = 0; cap_get_bound(v) >= 0; v++)
		cap_drop_bound(v);
}

int caps_keep(unsigned int set)
{
	struct sets own, kept = { 0 };
	int r = get_sets(&own);

	if (r < 0)
		return r;
	drop_bounding_set(&own);
	for (int i = 0; i < CAPS_NR; i++)
		if (set & 1u << i && permits(&own, wanted[i]))
			keep_one(&kept, wanted[i]);
	return set_sets(&kept);
}
