/* SPDX-License-Identifier: MIT */
/* Scribe.  See scribe.h. */

#include "scribe.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "trace/output.h"

/* What is left of a failure is no file that looks like a whole one. */
static int write_file(const char *path, const char *bytes, size_t len)
{
	struct output o;
	int r = output_open(&o, path), closed;
	size_t done;

	if (r < 0)
		return r;
	r = output_write(&o, bytes, len, &done);
	if (r < 0 && o.made && o.kind == OUTPUT_FILE)
		unlink(path);
	closed = output_close(&o);
	return r < 0 ? r : closed;
}

/* All of it is here before the file is: who has sent it waits for no fifo's reader but us. */
static void work(void *path)
{
	_free_ char *bytes = NULL;
	uint64_t len;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	apart_take(&len, sizeof(len));
	bytes = malloc(len);
	if (bytes)
		apart_take(bytes, len);
	r = bytes ? write_file(path, bytes, len) : -ENOMEM;
	apart_give(&r, sizeof(r));
}

int scribe_begin(struct apart *ret, const char *path)
{
	*ret = (struct apart){ .fd = -1 };
	return output_is_lent(path) ? 0 : apart_begin(ret, NULL, work, (void *)(uintptr_t)path);
}

int scribe_write(const struct apart *s, const char *path, const char *bytes, size_t len)
{
	const uint64_t n = len;
	ssize_t got;
	int r;

	if (s->fd < 0)
		return write_file(path, bytes, len);
	r = apart_send(s, &n, sizeof(n));
	/* Without memory it does not take them, and says so. */
	if (!r)
		apart_send(s, bytes, len);
	do
		got = read(s->fd, &r, sizeof(r));
	while (got < 0 && errno == EINTR);
	return got == sizeof(r) ? r : -EIO;
}

/* By the end of its input: who calls may have given up signalling. */
void scribe_end(struct apart *s)
{
	close_fd(&s->fd);
}
