/* SPDX-License-Identifier: MIT */
/* Caps: libcap.  See caps.h. */

#include "caps.h"

#include <stddef.h>
#include <sys/capability.h>

static const struct {
	const char *name;
	cap_value_t value;
} wanted[CAPS_NR] = {
	[CAPS_SYS_PTRACE] = { "CAP_SYS_PTRACE", CAP_SYS_PTRACE },
	[CAPS_SYS_ADMIN] = { "CAP_SYS_ADMIN", CAP_SYS_ADMIN },
	[CAPS_NET_ADMIN] = { "CAP_NET_ADMIN", CAP_NET_ADMIN },
};

bool caps_hold(enum caps_wanted c)
{
	cap_flag_value_t v = CAP_CLEAR;
	cap_t own = (unsigned int)c < CAPS_NR ? cap_get_proc() : NULL;

	if (!own)
		return false;
	if (cap_get_flag(own, wanted[c].value, CAP_EFFECTIVE, &v) < 0)
		v = CAP_CLEAR;
	cap_free(own);
	return v == CAP_SET;
}

const char *caps_name(enum caps_wanted c)
{
	return (unsigned int)c < CAPS_NR ? wanted[c].name : NULL;
}
