/* SPDX-License-Identifier: MIT */
/* Target arguments: -p lists.  See target-args.h. */

#include "target-args.h"

#include <limits.h>

static int add_pid(struct target_args *t, const char *word, struct options_error *e)
{
	uint64_t v;

	if (!options_number(word, 1, INT_MAX, &v))
		return options_wrong(e, "'%s' is not a process id", word);
	for (unsigned int i = 0; i < t->n; i++)
		if (t->pid[i] == (pid_t)v)
			return 0;
	if (t->n == TARGET_ARGS_MAX)
		return options_wrong(e, "more than %d processes", TARGET_ARGS_MAX);
	t->pid[t->n++] = (pid_t)v;
	return 0;
}

int target_args_parse(void *args, const char *list, struct options_error *ret_error)
{
	const char *rest = list;
	char word[32];
	int r;

	while ((r = options_next(&rest, word, sizeof(word))) == 1) {
		r = add_pid(args, word, ret_error);
		if (r < 0)
			return r;
	}
	return r < 0 ? options_wrong(ret_error, "'%s' is not a list of process ids", list) : 0;
}

int target_args_parse_one(void *args, const char *text, struct options_error *ret_error)
{
	struct target_args *t = args;
	int r = add_pid(t, text, ret_error);

	return r < 0 || t->n == 1 ? r : options_wrong(ret_error, "one process only");
}
