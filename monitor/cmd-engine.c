/* SPDX-License-Identifier: MIT */
/* Engine: how first writes are seen.  See cmd-engine.h. */

#include "cmd-engine.h"

#include <string.h>

#include "cmd.h"
#include "exit.h"
#include "log.h"
#include "watch/session.h"

/* A huge page of 2 MiB: more is not told of as one either. */
#define GRANULARITY_MAX 512
/* 0.1 and 100 per cent. */
#define BUDGET_MIN 1000
#define BUDGET_MAX 1000000
#define NS_A_PPM 100000		/* of what is read as seconds: 1 is 1 per cent */

int engine_parse(void *member, const char *word, struct options_error *ret_error)
{
	static const char *const words[] = {
		[ENGINE_SYNC] = "sync", [ENGINE_ASYNC] = "async", [ENGINE_AUTO] = "auto",
		[ENGINE_BOTH] = "both",
	};

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(word, words[i])) {
			*(enum engine *)member = (enum engine)i;
			return 0;
		}
	return options_wrong(ret_error, "'%s' is none of auto, async, sync, both", word);
}

int engine_granularity(void *member, const char *word, struct options_error *ret_error)
{
	uint64_t n;

	if (!options_number(word, 1, GRANULARITY_MAX, &n) || n & (n - 1))
		return options_wrong(ret_error, "'%s' is no power of two up to %d", word,
				     GRANULARITY_MAX);
	*(uint64_t *)member = n;
	return 0;
}

int engine_budget(void *member, const char *word, struct options_error *ret_error)
{
	uint64_t ns, ppm = 0;

	if (options_seconds(word, &ns))
		ppm = ns / NS_A_PPM;
	if (ppm < BUDGET_MIN || ppm > BUDGET_MAX)
		return options_wrong(ret_error, "'%s' is no percentage from 0.1 to 100", word);
	*(uint64_t *)member = ppm;
	return 0;
}

int engine_check(enum engine asked, const char *needs_sync, const char *needs_async,
		 struct options_error *e)
{
	if (asked == ENGINE_ASYNC && needs_sync)
		return options_wrong(e, "%s needs --engine sync", needs_sync);
	if (asked == ENGINE_SYNC && needs_async)
		return options_wrong(e, "%s needs --engine async", needs_async);
	if (asked == ENGINE_AUTO && needs_async && needs_sync)
		return options_wrong(e, "%s does not go with %s", needs_async, needs_sync);
	return 0;
}

int engine_choose(enum engine asked, const char *needs_sync, uint64_t features, bool *ret_async,
		  const char **ret_why)
{
	bool can = session_can_async(features);

	*ret_async = asked == ENGINE_ASYNC || asked == ENGINE_BOTH ||
		     (asked == ENGINE_AUTO && can && !needs_sync);
	*ret_why = asked != ENGINE_AUTO || *ret_async ? NULL : needs_sync ? needs_sync : "kernel";
	if (*ret_why && needs_sync)
		log_info("%s: writers wait for their answers (--engine sync)", needs_sync);
	else if (*ret_why)
		log_info("this kernel has no asynchronous write protection (Linux 6.7): writers "
			 "wait for their answers (--engine sync)");
	if (!*ret_async || can)
		return EXIT_OK;
	log_error("this kernel has no asynchronous write protection (Linux 6.7)");
	log_hint("--engine sync");
	return EXIT_UNSUPPORTED;
}
