/* SPDX-License-Identifier: MIT */
/* Signals: signalfd(2).  See signals.h. */

#include "signals.h"

#include <errno.h>
#include <sys/signalfd.h>

int signals_take(int *ret_fd, sigset_t *ret_old)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	/*
	 * A reader that goes away is an error of write(2), not our end; and a monitor
	 * that the terminal stops (Ctrl-Z, output from the background) would leave the
	 * targets waiting for answers.
	 */
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGTTOU);
	sigprocmask(SIG_BLOCK, &set, ret_old);
	*ret_fd = fd;
	return 0;
}
