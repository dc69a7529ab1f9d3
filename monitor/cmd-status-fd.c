/* SPDX-License-Identifier: MIT */
/* Status fd.  See cmd-status-fd.h. */

#include "cmd-status-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "exit.h"
#include "log.h"

int status_fd_check(uint64_t fd, const struct option_page *page)
{
	if (!fd || fcntl((int)fd, F_GETFD) >= 0)
		return EXIT_OK;
	return cmd_usage(page, "option --status-fd: %" PRIu64 " is not open", fd);
}

int status_fd_tell(uint64_t fd)
{
	if (!fd)
		return EXIT_OK;
	if (write((int)fd, "", 1) != 1) {
		log_error("status fd %" PRIu64 ": %s", fd, strerror(errno));
		return EXIT_RUNTIME;
	}
	close((int)fd);
	return EXIT_OK;
}
