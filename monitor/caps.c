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

static const struct {
	const char *name;
	cap_value_t value;
} wanted[CAPS_NR] = {
	[CAPS_SYS_PTRACE] = { "CAP_SYS_PTRACE", CAP_SYS_PTRACE },
	[CAPS_SYS_ADMIN] = { "CAP_SYS_ADMIN", CAP_SYS_ADMIN },
	[CAPS_NET_ADMIN] = { "CAP_NET_ADMIN", CAP_NET_ADMIN },
	[CAPS_DAC_OVERRIDE] = { "CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE },
	[CAPS_KILL] = { "CAP_KILL", CAP_KILL },
	[CAPS_PERFMON] = { "CAP_PERFMON", CAP_PERFMON },
	[CAPS_CHECKPOINT_RESTORE] = { "CAP_CHECKPOINT_RESTORE", CAP_CHECKPOINT_RESTORE },
};

static bool has(cap_t caps, cap_value_t value, cap_flag_t flag)
{
	cap_flag_value_t v = CAP_CLEAR;

	return !cap_get_flag(caps, value, flag, &v) && v == CAP_SET;
}

bool caps_hold(enum caps_wanted c)
{
	cap_t own = (unsigned int)c < CAPS_NR ? cap_get_proc() : NULL;
	bool held = own && has(own, wanted[c].value, CAP_EFFECTIVE);

	cap_free(own);
	return held;
}

const char *caps_name(enum caps_wanted c)
{
	return (unsigned int)c < CAPS_NR ? wanted[c].name : NULL;
}

static int set_proc(cap_t caps)
{
	return cap_set_proc(caps) < 0 ? -errno : 0;
}

int caps_lower(void)
{
	cap_t own = cap_get_proc();
	int r;

	if (!own)
		return -errno;
	r = cap_clear_flag(own, CAP_EFFECTIVE) < 0 ? -errno : set_proc(own);
	cap_free(own);
	return r;
}

/* A capability that the kernel does not know ends the list (EINVAL). */
static void drop_bounding_set(cap_t own)
{
	cap_value_t setpcap = CAP_SETPCAP;

	/* caps_lower() may have put it aside. */
	if (!has(own, CAP_SETPCAP, CAP_PERMITTED) ||
	    cap_set_flag(own, CAP_EFFECTIVE, 1, &setpcap, CAP_SET) < 0 || set_proc(own) < 0)
		return;
	for (cap_value_t v = 0; cap_get_bound(v) >= 0; v++)
		cap_drop_bound(v);
}

int caps_keep(unsigned int set)
{
	cap_t own = cap_get_proc(), kept = cap_init();
	int r = own && kept ? 0 : -ENOMEM;

	if (!r)
		drop_bounding_set(own);
	for (int i = 0; i < CAPS_NR && !r; i++) {
		const cap_value_t *v = &wanted[i].value;

		if (!(set & 1u << i) || !has(own, *v, CAP_PERMITTED))
			continue;
		if (cap_set_flag(kept, CAP_PERMITTED, 1, v, CAP_SET) < 0 ||
		    cap_set_flag(kept, CAP_EFFECTIVE, 1, v, CAP_SET) < 0)
			r = -errno;
	}
	if (!r)
		r = set_proc(kept);
	cap_free(own);
	cap_free(kept);
	return r;
}
