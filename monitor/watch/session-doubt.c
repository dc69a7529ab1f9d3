/* SPDX-License-Identifier: MIT */
/*
 * Session, doubt: what the kernel does to protected pages without a word.
 *
 * KSM takes the protection of a page off when it merges it (replace_page() in mm/ksm.c
 * makes an entry without the bit).  While it runs, everything that is claimed is held
 * against pagemap each second, and at the end.
 */

#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "watch/session-state.h"

/* Documentation/admin-guide/mm/ksm.rst: 1 it merges; 0 and 2 it does not. */
void session_doubt(struct session *s)
{
	/* Not kept open: descriptors may be few. */
	_close_ int fd = open("/sys/kernel/mm/ksm/run", O_RDONLY | O_CLOEXEC);
	char run = '0';

	if (fd >= 0 && read(fd, &run, 1) == 1)
		s->shared.merging |= run == '1';
}

void session_doubt_all(struct session *s, uint64_t now)
{
	session_doubt(s);
	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		if (!s->shared.merging)
			sp->doubted = now;
		else if (sp->pid && !sp->dead && !sp->gone)
			arm_doubt(sp, now);
	}
	/* What it did since is looked at by then, should it have stopped meanwhile. */
	s->shared.merging = false;
	session_doubt(s);
}
