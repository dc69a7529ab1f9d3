/* SPDX-License-Identifier: MIT */
/*
 * Caps: which capabilities this process holds, and giving them up, capabilities(7).
 *
 * The only user of libcap.  Gains none.  Linux keeps capabilities by thread: what is
 * given up is given up by the calling thread, and by those it makes from then on.
 */
#ifndef MONITOR_CAPS_H
#define MONITOR_CAPS_H

#include <stdbool.h>

enum caps_wanted {
	CAPS_SYS_PTRACE,	/* attach to processes of other users */
	CAPS_SYS_ADMIN,		/* suspend a seccomp filter while attaching */
	CAPS_NET_ADMIN,		/* taskstats; the proc connector before Linux 6.6 */
	CAPS_DAC_OVERRIDE,	/* /proc/PID/mem and fd of other users */
	CAPS_KILL,		/* signal processes of other users */
	CAPS_PERFMON,		/* perf events of other users, Linux 5.8 */
	CAPS_DAC_READ_SEARCH,	/* files of other users, to be read */
	CAPS_CHECKPOINT_RESTORE,	/* /proc/PID/map_files, Linux 5.9 */
	CAPS_NR,
};

/* Sets of them are 1u << CAPS_... or-ed. */

/* Effective in this thread?  False, too, when it cannot be told. */
bool caps_hold(enum caps_wanted c);

/* These two allocate nothing, so that they may be called with targets attached. */

/* Put all aside, so that one can try what goes without; 0 or -errno. */
int caps_lower(void);
/*
 * Keep of this set what is held, effective again, and give up the rest for good: the
 * bounding set too (as far as CAP_SETPCAP is there to do it), so that no program
 * executed from here could bring any back.  0 or -errno.
 */
int caps_keep(unsigned int set);

#endif
