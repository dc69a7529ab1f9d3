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

enum engine { ENGINE_SYNC, ENGINE_ASYNC, ENGINE_AUTO, ENGINE_BOTH };

/* An option_parser; member is an enum engine. */
int engine_parse(void *member, const char *word, struct options_error *ret_error);
/* An option_parser: pages told of as one; member is a uint64_t. */
int engine_granularity(void *member, const char *word, struct options_error *ret_error);
/* An option_parser: per cent, with decimals; member is a uint64_t, parts a million. */
int engine_budget(void *member, const char *word, struct options_error *ret_error);

/*
 * auto is async where this kernel has it (features: UFFD_FEATURE_*) and nothing that is
 * asked for needs the other.  EXIT_OK, or the status after saying what is missing.
 */
int engine_choose(enum engine asked, bool needs_sync, uint64_t features, bool *ret_async);

#endif
