/* SPDX-License-Identifier: MIT */
/* Truth, file: how a target makes one, for the calling thread. */
#ifndef JUDGE_TRUTH_FILE_H
#define JUDGE_TRUTH_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "truth.h"

/* Its descriptor, or -1 and errno.  The file is new: nobody else's is written to. */
static inline int truth_file_make(const char *dir, uint32_t birth, unsigned int execs,
				  uint64_t now_ns)
{
	struct truth_header h = {
		.pid = (uint32_t)getpid(), .tid = (uint32_t)gettid(), .page_size = 4096,
		.parent_pid = (uint64_t)getppid(), .birth = birth, .start_ns = now_ns,
	};
	char path[4096], exec[16] = "", again[16] = "";
	int fd = -1;

	memcpy(h.magic, TRUTH_MAGIC, sizeof(h.magic));
	if (execs)
		snprintf(exec, sizeof(exec), "-e%u", execs);
	for (unsigned int k = 1; fd < 0; k++) {
		snprintf(path, sizeof(path), "%s/%u-%u%s%s.truth", dir, h.pid, h.tid, exec, again);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 && errno != EEXIST)
			return -1;
		snprintf(again, sizeof(again), ".%u", k);
	}
	if (write(fd, &h, sizeof(h)) != sizeof(h)) {
		close(fd);
		return -1;
	}
	return fd;
}

#endif
