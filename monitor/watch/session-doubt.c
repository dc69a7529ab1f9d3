/* SPDX-License-Identifier: MIT */
/*
 * Session, doubt: what the kernel does to protected pages without a word.
 *
 * KSM takes the protection of a page off when it merges it (replace_page() in mm/ksm.c
 * makes an entry without the bit).  While it scans, everything that is claimed is held
 * against pagemap each second, and at the end.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/session-state.h"

/* Not kept open: descriptors may be few. */
static bool read_number(const char *path, uint64_t *ret_n)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[24] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	*ret_n = strtoull(text, NULL, 10);
	return true;
}

/*
 * Documentation/admin-guide/mm/ksm.rst: pages_scanned (since 6.6) counts each page that
 * was up for merging; it stands still while no process has mergeable memory.  Before,
 * there is run only: 1 it merges, 0 and 2 it does not.
 */
void session_doubt(struct session *s)
{
	uint64_t n = 0;

	if (read_number("/sys/kernel/mm/ksm/pages_scanned", &n)) {
		s->shared.merging |= s->looked && n != s->scanned;
		s->scanned = n;
	} else if (read_number("/sys/kernel/mm/ksm/run", &n)) {
		s->shared.merging |= n == 1;
	}
	if (!s->looked)
		s->looked = clock_now();
}

void session_doubt_all(struct session *s, uint64_t now)
{
	session_doubt(s);
	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		/* A page is counted when it is done: one in the making is of this look, too. */
		if (!s->shared.merging)
			sp->doubted = s->looked;
		else if (sp->pid && !sp->dead && !sp->gone)
			arm_doubt(sp, now);
	}
	s->looked = now;
	/* What it did since is looked at by then, should it have stopped meanwhile. */
	s->shared.merging = false;
	session_doubt(s);
}
