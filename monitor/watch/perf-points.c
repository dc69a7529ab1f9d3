/* SPDX-License-Identifier: MIT */
/* Perf points: their numbers are in tracefs.  See perf-points.h. */

#include "watch/perf-points.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char *const names[PERF_POINT_NR] = { "page_fault_user", "page_fault_kernel" };

static uint64_t configs[PERF_POINT_NR];
static bool looked, found;

/*
 * One of our own that is in no directory and ends with its descriptor, where none is
 * mounted: fsmount(2), Linux 5.2.
 */
static int open_tracefs(void)
{
	int fd = open("/sys/kernel/tracing/events", O_PATH | O_DIRECTORY | O_CLOEXEC), fs, top;

	if (fd >= 0)
		return fd;
	fs = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	top = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? -1 :
	      fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (top >= 0)
		fd = openat(top, "events", O_PATH | O_DIRECTORY | O_CLOEXEC);
	close_fd(&top);
	close(fs);
	return fd < 0 ? -EACCES : fd;
}

static bool read_text(int events, const char *name, const char *file, char *ret, size_t cap)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "exceptions/%s/%s", name, file);
	fd = openat(events, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, ret, cap - 1);
	close(fd);
	if (n <= 0)
		return false;
	ret[n] = '\0';
	return true;
}

/* Where the fields are is part of each kernel's own truth: these are what is decoded. */
static bool is_as_decoded(const char *format)
{
	return strstr(format, "field:unsigned long address;\toffset:8;\tsize:8;") &&
	       strstr(format, "field:unsigned long ip;\toffset:16;\tsize:8;") &&
	       strstr(format, "field:unsigned long error_code;\toffset:24;\tsize:8;");
}

static bool find(int events, const char *name, uint64_t *ret)
{
	char text[4096];

	if (!read_text(events, name, "format", text, sizeof(text)) || !is_as_decoded(text) ||
	    !read_text(events, name, "id", text, sizeof(text)))
		return false;
	*ret = strtoull(text, NULL, 10);
	return *ret;
}

void perf_points_look(void)
{
	int events;

	if (looked)
		return;
	looked = true;
	events = open_tracefs();
	if (events < 0)
		return;
	found = true;
	for (int i = 0; i < PERF_POINT_NR; i++)
		found = found && find(events, names[i], &configs[i]);
	close(events);
}

bool perf_point_of(enum perf_point point, uint64_t *ret_config)
{
	*ret_config = configs[point];
	return found;
}

bool perf_point_is_one(uint64_t config)
{
	for (int i = 0; found && i < PERF_POINT_NR; i++)
		if (configs[i] == config)
			return true;
	return false;
}
