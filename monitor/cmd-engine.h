/* SPDX-License-Identifier: MIT */
/*
 * Engine: how first writes are seen, and which way is taken on this kernel.
 *
 * sync: each write to a protected page waits for its answer, and is told by itself.
 * async: nobody waits; which pages were written is told epoch by epoch.
 * both: async everywhere, but for what -a and -m name: that is sync.
 */
#ifndef MONITOR_CMD_ENGINE_H
#define MONITOR_CMD_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

enum engine { ENGINE_AUTO, ENGINE_ASYNC, ENGINE_SYNC, ENGINE_BOTH };

/* An option_parser; member is an enum engine. */
int engine_parse(void *member, const char *word, struct options_error *ret_error);
/* An option_parser: pages told of as one; member is a uint64_t. */
int engine_granularity(void *member, const char *word, struct options_error *ret_error);
/* An option_parser: per cent, with decimals; member is a uint64_t, parts a million. */
int engine_budget(void *member, const char *word, struct options_error *ret_error);

/*
 * Do these go together: the engine, an option that needs faults that wait, and one that
 * needs passes?  NULL: there is none.  0, or -EINVAL with the words of what does not.
 */
int engine_check(enum engine asked, const char *needs_sync, const char *needs_async,
		 struct options_error *ret_error);
/*
 * auto is async where this kernel has it (features: UFFD_FEATURE_*) and nothing that is
 * asked for needs the other: the option needs_sync, or NULL.  If it is not, that is said,
 * and *ret_why has the header's word for it.  EXIT_OK, or the status after saying what is
 * missing.
 */
int engine_choose(enum engine asked, const char *needs_sync, uint64_t features, bool *ret_async,
		  const char **ret_why);

#endif
