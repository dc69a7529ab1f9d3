/* SPDX-License-Identifier: MIT */
/*
 * Status fd: a zero byte to whoever started a server, as soon as it listens; criu's --status-fd.
 */
#ifndef MONITOR_CMD_STATUS_FD_H
#define MONITOR_CMD_STATUS_FD_H

#include <stdint.h>

#include "options.h"

/* 0: none was given.  An exit status, and words. */
int status_fd_check(uint64_t fd, const struct option_page *page);
/* Writes the byte and closes it.  Likewise. */
int status_fd_tell(uint64_t fd);

#endif
