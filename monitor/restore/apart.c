/* SPDX-License-Identifier: MIT */
/* Apart.  See apart.h. */

#include "restore/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

uint64_t apart_silence_ns = 60 * NSEC_PER_SEC;

/* ---- the child ------------------------------------------------------------------ */

/* When the parent has gone, nobody would want to know why. */
static size_t went_on(ssize_t n)
{
	if (n <= 0 && !(n < 0 && errno == EINTR))
		_exit(1);
	return n < 0 ? 0 : (size_t)n;
}

void apart_give(const void *bytes, size_t len)
{
	for (size_t done = 0; done < len;)
		done += went_on(write(APART_SOCKET, (const char *)bytes + done, len - done));
}

void apart_take(void *bytes, size_t len)
{
	for (size_t done = 0; done < len;)
		done += went_on(read(APART_SOCKET, (char *)bytes + done, len - done));
}

/* What the parent has open is not ours to hold, and nothing is read from its terminal. */
static void keep_socket(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(fd, APART_SOCKET) < 0)
		_exit(1);
	if (close_range(APART_SOCKET + 1, ~0U, 0) < 0)
		for (int i = APART_SOCKET + 1; i < 1 << 16; i++)
			close(i);
}

/* ---- the parent ----------------------------------------------------------------- */

int apart_begin(struct apart *ret, void (*confine)(void), void (*work)(void *arg), void *arg)
{
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*ret = (struct apart){ .fd = pair[0], .pid = fork() };
	err = -errno;
	if (!ret->pid) {
		/* Of its socket it hears by EPIPE. */
		signal(SIGPIPE, SIG_IGN);
		keep_socket(pair[1]);
		if (confine)
			confine();
		work(arg);
		_exit(0);
	}
	close(pair[1]);
	if (ret->pid > 0)
		return 0;
	close(pair[0]);
	return err;
}

static int wait_for(const struct apart *a, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = a->fd, .events = events };
	uint64_t now = clock_now();

	if (now >= deadline)
		return -ETIMEDOUT;
	if (poll(&p, 1, (int)((deadline - now) / NSEC_PER_MSEC) + 1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static int move(const struct apart *a, char *at, size_t len, bool out)
{
	const uint64_t deadline = clock_now() + apart_silence_ns;
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	int r = 0;

	while (len && !r) {
		ssize_t n = out ? send(a->fd, at, len, flags) : recv(a->fd, at, len, flags);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else if (!n || errno == ECONNRESET || errno == EPIPE) {
			r = -EPIPE;
		} else if (errno == EAGAIN) {
			r = wait_for(a, out ? POLLOUT : POLLIN, deadline);
		} else if (errno != EINTR) {
			r = -errno;
		}
	}
	return r;
}

int apart_send(const struct apart *a, const void *bytes, size_t len)
{
	return move(a, (char *)(uintptr_t)bytes, len, true);
}

int apart_receive(const struct apart *a, void *bytes, size_t len)
{
	return move(a, bytes, len, false);
}

/* Ours, and not waited for before: so its pid is its own. */
int apart_end(struct apart *a)
{
	int status = 0;

	kill(a->pid, SIGKILL);
	while (waitpid(a->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(a->fd);
	*a = (struct apart){ .fd = -1 };
	return status;
}

void apart_clean(char *words, size_t size)
{
	words[size - 1] = '\0';
	for (char *c = words; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}
