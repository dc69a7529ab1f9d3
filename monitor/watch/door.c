/* SPDX-License-Identifier: MIT */
/* Door: the descriptors through which one process is read.  See door.h. */

#include "watch/door.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "compat/sys.h"
#include "watch/tids.h"

/* ENOENT: a process that has gone.  EPERM: a filter says so, of pidfd_open(2). */
static int why(int error)
{
	return error == -ENOENT ? -ESRCH : error == -EPERM ? -EACCES : error;
}

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static int open_files(struct door *d)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", d->pid);
	d->procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (d->procfd < 0)
		return why(-errno);
	d->maps = openat(d->procfd, "maps", O_RDONLY | O_CLOEXEC);
	if (d->maps < 0)
		return why(-errno);
	d->pagemap = openat(d->procfd, "pagemap", O_RDONLY | O_CLOEXEC);
	d->mem = openat(d->procfd, "mem", O_RDONLY | O_CLOEXEC);
	return tids_same(d->procfd, &d->plain);
}

int door_open(struct door *ret, pid_t pid, int pidfd)
{
	struct door d = DOOR_NULL;
	int r = 0;

	d.pid = pid;
	d.pidfd = pidfd;
	if (pidfd < 0)
		r = d.pidfd = why(sys_pidfd_open(pid, 0));
	if (r >= 0)
		r = open_files(&d);
	/* It lived after the directory was opened, so the number was its own until then. */
	if (!r && has_ended(d.pidfd))
		r = -ESRCH;
	if (r < 0) {
		door_close(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void door_close(struct door *d)
{
	close_fd(&d->pidfd);
	close_fd(&d->procfd);
	close_fd(&d->maps);
	close_fd(&d->pagemap);
	close_fd(&d->mem);
	d->pid = 0;
}
