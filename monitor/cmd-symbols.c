/* SPDX-License-Identifier: MIT */
/* Cmd symbols: the files that names of code come from.  See symbols-args.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "log.h"
#include "symbols-args.h"

/* So many files are named. */
#define TOLD_MAX 5

int symbols_args_hold(struct symbols_args *a)
{
	_close_ int dir = -1;
	int r = 0;

	if (!a->root)
		return 0;
	dir = open(a->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		r = -errno;
		log_error("--root %s: %s", a->root, strerror(-r));
		return r;
	}
	snprintf(a->held, sizeof(a->held), "/proc/self/fd/%d", dir);
	/* Without /proc the path has to do. */
	if (access(a->held, F_OK))
		return 0;
	a->root = a->held;
	steal_fd(&dir);
	return 0;
}

int symbols_args_open(const struct symbols_args *a, struct symbols **ret)
{
	const struct symbols_options o = { .root = a->root, .off = a->off };

	return symbols_new(ret, &o);
}

void symbols_args_tell(const struct symbols *s)
{
	struct symbols_module m;
	unsigned int told = 0;

	for (size_t i = 0; symbols_module(s, i, &m); i++) {
		if (m.state == SYMBOLS_DIFFERS && told++ < TOLD_MAX)
			log_warn("%s is another build than in the trace: its code has no names",
				 m.path);
		else if (m.state == SYMBOLS_GONE)
			log_verbose("%s: not there, or not for us: its code has no names", m.path);
		else if (m.state == SYMBOLS_NONE)
			log_verbose("%s: it has no names of its code", m.path);
		else if (m.state == SYMBOLS_NAMES)
			log_verbose("%s: names, but no source lines", m.path);
	}
	if (told > TOLD_MAX)
		log_warn("and so are %u more", told - TOLD_MAX);
}
