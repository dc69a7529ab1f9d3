/* SPDX-License-Identifier: MIT */
/*
 * Restore options: those behind `--` go to criu as they are, but for some.
 *
 * Pure.
 */
#ifndef MONITOR_RESTORE_OPTIONS_H
#define MONITOR_RESTORE_OPTIONS_H

/*
 * The first one that criu may not be given because it is ours to say, or cannot be kept; NULL:
 * none.  *ret_why: what to do instead, half a sentence.
 */
const char *restore_refused_option(char *const options[], const char **ret_why);

#endif
