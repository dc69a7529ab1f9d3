/* SPDX-License-Identifier: MIT */
/*
 * Caps: which capabilities this process holds, capabilities(7).
 *
 * The only user of libcap.  Gains none and drops none.
 */
#ifndef MONITOR_CAPS_H
#define MONITOR_CAPS_H

#include <stdbool.h>

enum caps_wanted {
	CAPS_SYS_PTRACE,	/* attach to processes of other users */
	CAPS_SYS_ADMIN,		/* suspend a seccomp filter while attaching */
	CAPS_NET_ADMIN,		/* taskstats; the proc connector before Linux 6.6 */
	CAPS_NR,
};

/* Effective in this thread?  False, too, when it cannot be told. */
bool caps_hold(enum caps_wanted c);
/* "CAP_SYS_PTRACE"; NULL out of range. */
const char *caps_name(enum caps_wanted c);

#endif
