/* SPDX-License-Identifier: MIT */
/* Turnstile: one pagetap after the other.  See turnstile.h. */

#include "watch/turnstile.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define STEP (2 * NSEC_PER_MSEC)

int turnstile_enter(pid_t pid, uint64_t wait_ns)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const struct timespec step = { .tv_nsec = STEP };
	uint64_t until = clock_now() + wait_ns;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), len;

	/* The first byte is a zero: no file. */
	len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "pagetap-attach-%d", pid);
	while (fd >= 0 && bind(fd, (struct sockaddr *)&name,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) < 0) {
		if (errno != EADDRINUSE || clock_now() >= until) {
			close(fd);
			return -1;
		}
		nanosleep(&step, NULL);
	}
	return fd;
}
