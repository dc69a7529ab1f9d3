/* SPDX-License-Identifier: MIT */
/* Holder: who reads what we write.  See holder.h. */

#include "holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"

/* Documentation/admin-guide/devices.txt: pseudo-terminal slaves, and /dev/ptmx. */
#define PTS_MAJOR_FIRST 136
#define PTS_MAJOR_LAST 143
#define PTMX_MAJOR 5
#define PTMX_MINOR 2

struct end {
	struct stat st;
	long tty;	/* number of the pseudo-terminal; -1 none */
};

static long tty_of(const struct stat *st)
{
	unsigned int ma = major(st->st_rdev);

	if (!S_ISCHR(st->st_mode) || ma < PTS_MAJOR_FIRST || ma > PTS_MAJOR_LAST)
		return -1;
	return (long)(ma - PTS_MAJOR_FIRST) * 256 + (long)minor(st->st_rdev);
}

/* fdinfo of a pseudo-terminal master says `tty-index:` (Linux 4.14). */
static long master_of(int procfd, const char *name)
{
	char path[64], line[128];
	_close_ int fd = -1;
	_fclose_ FILE *f = NULL;
	long index = -1;

	snprintf(path, sizeof(path), "fdinfo/%.20s", name);
	fd = openat(procfd, path, O_RDONLY | O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		return -1;
	steal_fd(&fd);
	while (index < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "tty-index:\t%ld", &index) != 1)
			index = -1;
	return index;
}

/* The link in /proc/PID/fd has r where the descriptor can be read, proc_pid_fd(5). */
static bool is_reader(int procfd, int dirfd, const char *name, const struct end *ours)
{
	struct stat link, st;

	if (fstatat(dirfd, name, &st, 0) < 0)
		return false;
	if (ours->tty >= 0)
		return S_ISCHR(st.st_mode) && st.st_rdev == makedev(PTMX_MAJOR, PTMX_MINOR) &&
		       master_of(procfd, name) == ours->tty;
	if (st.st_dev != ours->st.st_dev || st.st_ino != ours->st.st_ino)
		return false;
	return !fstatat(dirfd, name, &link, AT_SYMLINK_NOFOLLOW) && (link.st_mode & S_IRUSR);
}

static bool reads(pid_t pid, const struct end *ours)
{
	_close_ int procfd = -1;
	_closedir_ DIR *d = NULL;
	struct dirent *e;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(procfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && is_reader(procfd, fd, e->d_name, ours))
			return true;
	return false;
}

bool holder_reads(pid_t pid, int fd)
{
	struct end ours;

	if (fstat(fd, &ours.st) < 0)
		return false;
	ours.tty = tty_of(&ours.st);
	return (ours.tty >= 0 || S_ISFIFO(ours.st.st_mode)) && reads(pid, &ours);
}

bool holder_reads_path(pid_t pid, const char *path)
{
	struct end ours = { .tty = -1 };

	return !stat(path, &ours.st) && S_ISFIFO(ours.st.st_mode) && reads(pid, &ours);
}
