/* SPDX-License-Identifier: MIT */
/* Output: open, write, cut back, close.  See output.h. */

#include "trace/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/*
 * A pipe that polls writable has a page free, so a write of a page does not block
 * (pipe(7): up to PIPE_BUF bytes are atomic); a larger one could wait for ever in a
 * call that nothing ends but a signal.
 */
#define STREAM_CHUNK 4096

/* The descriptor that a name of /dev or /proc means; -1: it is a path as any other. */
static int descriptor_of(const char *path)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	int fd = -1;

	if (!strcmp(path, "-") || !strcmp(path, "/dev/stdout"))
		return STDOUT_FILENO;
	if (!strcmp(path, "/dev/stderr"))
		return STDERR_FILENO;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		const char *digits = path + strlen(folders[i]);

		if (strncmp(path, folders[i], strlen(folders[i])) || !*digits)
			continue;
		for (fd = 0; *digits >= '0' && *digits <= '9' && fd < 1000000; digits++)
			fd = fd * 10 + (*digits - '0');
		return *digits ? -1 : fd;
	}
	return -1;
}

bool output_is_lent(const char *path)
{
	return descriptor_of(path) >= 0;
}

static int keep_old(const char *path)
{
	_free_ char *old = NULL;

	if (asprintf(&old, "%s.old", path) < 0) {
		old = NULL;
		return -ENOMEM;
	}
	return rename(path, old) < 0 ? -errno : 0;
}

static int create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

/* A FIFO waits here for its reader, as it does in every program. */
static int open_special(const char *path)
{
	_close_ int fd = open(path, O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return -EINVAL;
	return steal_fd(&fd);
}

static int open_path(const char *path)
{
	int fd = descriptor_of(path), r;
	struct stat st;

	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? -errno : fd;
	}
	fd = create(path);
	if (fd != -EEXIST)
		return fd;
	if (lstat(path, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		return open_special(path);
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	r = keep_old(path);
	return r < 0 ? r : create(path);
}

static int look_at(struct output *o)
{
	off_t at;
	struct stat st;
	int flags = fcntl(o->fd, F_GETFL);

	if (flags < 0 || fstat(o->fd, &st) < 0)
		return -errno;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (S_ISREG(st.st_mode)) {
		o->kind = OUTPUT_FILE;
		at = flags & O_APPEND ? st.st_size : lseek(o->fd, 0, SEEK_CUR);
		if (at < 0)
			return -errno;
		o->start = (uint64_t)at;
	} else if (S_ISSOCK(st.st_mode)) {
		o->kind = OUTPUT_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || isatty(o->fd)) {
		o->kind = OUTPUT_STREAM;
	} else if (S_ISCHR(st.st_mode)) {
		o->kind = OUTPUT_DEVICE;
	} else {
		return -EINVAL;
	}
	return 0;
}

int output_open(struct output *o, const char *path)
{
	int r;

	*o = (struct output){ .fd = -1, .hurry = -1 };
	r = open_path(path);
	if (r < 0)
		return r;
	o->fd = r;
	o->made = !output_is_lent(path);
	r = look_at(o);
	if (!r) {
		o->hurry = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = o->hurry < 0 ? -errno : 0;
	}
	if (r < 0) {
		close_fd(&o->fd);
		close_fd(&o->hurry);
	}
	return r;
}

struct guard {
	sigset_t raised, before, mask;
};

static void guard_begin(struct guard *g)
{
	sigemptyset(&g->raised);
	sigaddset(&g->raised, SIGPIPE);
	sigaddset(&g->raised, SIGXFSZ);
	sigpending(&g->before);
	pthread_sigmask(SIG_BLOCK, &g->raised, &g->mask);
}

/* Take back the signal that the failed write has sent to this thread. */
static void guard_end(struct guard *g, int error)
{
	const struct timespec now = { 0, 0 };
	int sig = error == -EPIPE ? SIGPIPE : error == -EFBIG ? SIGXFSZ : 0;
	int saved = errno;

	if (sig && !sigismember(&g->before, sig)) {
		sigemptyset(&g->raised);
		sigaddset(&g->raised, sig);
		sigtimedwait(&g->raised, NULL, &now);
	}
	pthread_sigmask(SIG_SETMASK, &g->mask, NULL);
	errno = saved;
}

static int wait_for_reader(struct output *o)
{
	uint64_t deadline = atomic_load(&o->deadline), now = clock_now();
	struct pollfd p[2] = {
		{ .fd = o->fd, .events = POLLOUT },
		/* Once it has told us of the deadline it has nothing more to say. */
		{ .fd = deadline ? -1 : o->hurry, .events = POLLIN },
	};
	int timeout = -1;

	if (deadline && now >= deadline)
		timeout = 0;
	else if (deadline)
		timeout = (int)((deadline - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
	if (poll(p, 2, timeout) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents)
		return 1;
	return deadline && clock_now() >= deadline ? -ETIMEDOUT : 0;
}

static ssize_t write_some(struct output *o, const char *bytes, size_t len)
{
	int r;

	if (o->kind == OUTPUT_FILE || o->kind == OUTPUT_DEVICE)
		return write(o->fd, bytes, len);
	do {
		r = wait_for_reader(o);
	} while (!r);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	if (o->kind == OUTPUT_SOCKET)
		return send(o->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(o->fd, bytes, len < STREAM_CHUNK ? len : STREAM_CHUNK);
}

int output_write(struct output *o, const char *bytes, size_t len, size_t *ret_done)
{
	struct guard g;
	size_t done = 0;
	ssize_t n;
	int r = 0;

	guard_begin(&g);
	while (done < len && !r) {
		n = write_some(o, bytes + done, len - done);
		if (n > 0)
			done += (size_t)n;
		else if (!n)
			r = -EIO;
		else if (errno != EINTR && errno != EAGAIN)
			r = -errno;
	}
	guard_end(&g, r);
	o->bytes += done;
	*ret_done = done;
	return r;
}

/* 0: the file is what was written here, and nobody's besides. */
static int check_ours(const struct output *o)
{
	struct stat st;

	if (o->kind != OUTPUT_FILE)
		return -EINVAL;
	if (fstat(o->fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size == o->start + o->bytes ? 0 : -EINVAL;
}

int output_cut(struct output *o, uint64_t keep)
{
	int flags = fcntl(o->fd, F_GETFL);
	int r = flags < 0 ? -errno : check_ours(o);

	if (r < 0)
		return r;
	if (keep > o->bytes)
		return -EINVAL;
	if (ftruncate(o->fd, (off_t)(o->start + keep)) < 0)
		return -errno;
	if (!(flags & O_APPEND) && lseek(o->fd, (off_t)(o->start + keep), SEEK_SET) < 0)
		return -errno;
	o->bytes = keep;
	return 0;
}

static int write_over(struct output *o, uint64_t keep, const char *bytes, size_t len)
{
	size_t done = 0;
	ssize_t n;

	/* Shorter first: whoever finds us dead in between finds a cut line, no more. */
	if (o->bytes > keep + len && ftruncate(o->fd, (off_t)(o->start + keep + len)) < 0)
		return -errno;
	while (done < len) {
		n = pwrite(o->fd, bytes + done, len - done, (off_t)(o->start + keep + done));
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR)
			return -errno;
		else if (!n)
			return -EIO;
	}
	return 0;
}

int output_amend(struct output *o, uint64_t keep, const char *bytes, size_t len)
{
	int flags = fcntl(o->fd, F_GETFL);
	int r = flags < 0 ? -errno : check_ours(o);
	struct guard g;

	if (r < 0)
		return r;
	if (keep > o->bytes)
		return -EINVAL;
	/* pwrite(2) with O_APPEND appends, whatever the offset; see BUGS there. */
	if (flags & O_APPEND)
		r = output_cut(o, keep);
	if (r < 0)
		return r;
	guard_begin(&g);
	r = write_over(o, keep, bytes, len);
	guard_end(&g, r);
	o->bytes = keep + len;
	if (r < 0 && !ftruncate(o->fd, (off_t)(o->start + keep)))
		o->bytes = keep;
	return r;
}

bool output_gone(const struct output *o)
{
	struct stat st;

	return o->made && !fstat(o->fd, &st) && !st.st_nlink;
}

void output_hurry(struct output *o, unsigned int ms)
{
	uint64_t one = 1;

	atomic_store(&o->deadline, clock_now() + ms * NSEC_PER_MSEC);
	/* Fails only when it is readable already. */
	if (write(o->hurry, &one, sizeof(one)) < 0)
		return;
}

int output_close(struct output *o)
{
	int r = 0;

	/* EINTR of close(2) on Linux: the descriptor is gone all the same. */
	if (o->fd >= 0 && close(o->fd) < 0 && errno != EINTR)
		r = -errno;
	o->fd = -1;
	close_fd(&o->hurry);
	return r;
}
