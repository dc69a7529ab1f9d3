/* SPDX-License-Identifier: MIT */
/*
 * Prefetch, apart: a trace read by a process that may do nothing else.  See prefetch.h.
 *
 * The parent gives the bytes of the file as they are and says that they end by shutdown(2);
 * the child answers with a struct outcome, and behind it the words of a refusal, or for each
 * task the number of its runs and the runs.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restore/image-process.h"
#include "restore/prefetch.h"
#include "trace/reader-file.h"
#include "trace/reader.h"

#define BLOCK 65536u

struct outcome {
	int32_t err;
	uint32_t reserved;
};

/* ---- the child ------------------------------------------------------------------ */

static void give_or_end(const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len) {
		ssize_t n = write(IMAGE_PROCESS_SOCKET, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		at += n;
		len -= (size_t)n;
	}
}

static void keep_socket(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(fd, IMAGE_PROCESS_SOCKET) < 0)
		_exit(1);
	if (close_range(IMAGE_PROCESS_SOCKET + 1, ~0U, 0) < 0)
		for (int i = IMAGE_PROCESS_SOCKET + 1; i < 1 << 16; i++)
			close(i);
}

static int say_line(struct prefetch_problem *why, uint64_t line, int err, const char *words)
{
	snprintf(why->text, sizeof(why->text), "line %" PRIu64 ": %s", line, words);
	return err;
}

/* *ret_list: it is none of a trace, but of a list. */
static int read_first(struct reader_file *f, struct reader *ret, bool *ret_list,
		      struct prefetch_problem *why)
{
	struct reader_header h;
	struct reader_error e = { "" };
	const char *line;
	size_t len;
	int r = reader_file_next(f, &line, &len);

	if (r != 1) {
		snprintf(why->text, sizeof(why->text), "it is empty, or no trace");
		return r < 0 ? r : -EBADMSG;
	}
	*ret_list = prefetch_is_list(line, len);
	if (*ret_list)
		return prefetch_list_head(line, len, why);
	r = reader_header(line, len, &h, &e);
	if (r < 0) {
		snprintf(why->text, sizeof(why->text), "%s", e.text);
		return r;
	}
	if (h.page_size != IMAGE_PAGE) {
		snprintf(why->text, sizeof(why->text), "its pages have %" PRIu32 " bytes",
			 h.page_size);
		r = -EBADMSG;
	}
	*ret = (struct reader){ .page_size = h.page_size };
	reader_header_release(&h);
	return r;
}

static int add_line(const struct reader *reader, const char *line, size_t len,
		    struct prefetch_maker *m, struct prefetch_problem *why)
{
	struct reader_record rec;
	struct reader_error e;
	int r = reader_record(reader, line, len, &rec, &e);

	if (r < 0) {
		snprintf(why->text, sizeof(why->text), "%s", r == -ENOMEM ? "no memory" : e.text);
		return r;
	}
	if (!rec.unknown)
		r = prefetch_maker_add(m, &rec.record);
	record_release(&rec.record);
	return r;
}

static int add_listed(const char *line, size_t len, struct prefetch_maker *m,
		      struct prefetch_problem *why)
{
	struct record record;
	int r = prefetch_list_line(line, len, &record, why);

	return r > 0 ? prefetch_maker_add(m, &record) : r;
}

/* Its last line may have been cut off: then it is not given at all. */
static int read_all(struct reader_file *f, struct prefetch_maker *m, struct prefetch_problem *why)
{
	struct prefetch_problem words = { "" };
	struct reader reader;
	const char *line;
	size_t len;
	bool list = false;
	int r = read_first(f, &reader, &list, why);

	while (!r) {
		r = reader_file_next(f, &line, &len);
		if (r <= 0)
			break;
		r = list ? add_listed(line, len, m, &words) :
			   add_line(&reader, line, len, m, &words);
		if (r < 0)
			return say_line(why, reader_file_line(f), r, words.text[0] ? words.text :
					strerror(-r));
	}
	if (r == -EMSGSIZE)
		return say_line(why, reader_file_line(f), r, "it is too long");
	if (r < 0 && !why->text[0])
		snprintf(why->text, sizeof(why->text), "%s", r == -EILSEQ ?
			 "its compressed data is damaged" : strerror(-r));
	return r;
}

static int make(const struct image *image, struct prefetch *ret, struct prefetch_problem *why)
{
	struct prefetch_maker *m = NULL;
	struct reader_file *f = NULL;
	int r = prefetch_maker_new(image, &m);

	if (!r)
		r = reader_file_take(&f, IMAGE_PROCESS_SOCKET);
	if (!r)
		r = read_all(f, m, why);
	if (!r)
		r = prefetch_maker_end(m, ret);
	if (r && !why->text[0])
		snprintf(why->text, sizeof(why->text), "%s", strerror(-r));
	return r;
}

static _Noreturn void child_main(int fd, const struct image *image, void (*confine)(void))
{
	struct prefetch_problem why = { "" };
	struct prefetch p = PREFETCH_NULL;
	struct outcome o = { 0 };

	signal(SIGPIPE, SIG_IGN);
	keep_socket(fd);
	if (confine)
		confine();
	o.err = make(image, &p, &why);
	give_or_end(&o, sizeof(o));
	if (o.err)
		give_or_end(&why, sizeof(why));
	for (size_t i = 0; !o.err && i < p.ntasks; i++) {
		const uint64_t n = p.lists[i].n;

		give_or_end(&n, sizeof(n));
		give_or_end(p.lists[i].v, p.lists[i].n * sizeof(*p.lists[i].v));
	}
	_exit(0);
}

/* ---- the parent ----------------------------------------------------------------- */

/* The bytes of the file, as far as the child wants them; it may refuse the rest. */
static int feed(int from, int to)
{
	_free_ char *buf = malloc(BLOCK);
	ssize_t n, sent;

	if (!buf)
		return -ENOMEM;
	while ((n = read(from, buf, BLOCK))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (char *at = buf; n > 0; at += sent, n -= sent) {
			sent = send(to, at, (size_t)n, MSG_NOSIGNAL);
			if (sent < 0 && errno == EINTR)
				sent = 0;
			else if (sent < 0)
				return errno == EPIPE || errno == ECONNRESET ? 0 : -errno;
		}
	}
	shutdown(to, SHUT_WR);
	return 0;
}

static int take(int fd, void *bytes, size_t len)
{
	char *at = bytes;

	while (len) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EPROTO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A run lies in one mapping's worth of lazy pages, or in several next to one another. */
static bool is_lazy(const struct image_task *task, struct range r)
{
	uint64_t at = r.lo;

	if ((r.lo | r.hi) % IMAGE_PAGE || r.lo >= r.hi)
		return false;
	for (size_t i = image_seek(task, r.lo); i < task->npieces && at < r.hi; i++) {
		if (task->pieces[i].vaddr > at || !task->pieces[i].lazy)
			return false;
		at = task->pieces[i].vaddr + task->pieces[i].npages * IMAGE_PAGE;
	}
	return at >= r.hi;
}

static int take_list(int fd, const struct image_task *task, struct prefetch *p, size_t i)
{
	struct prefetch_list *l = &p->lists[i];
	uint64_t n, pages = 0;
	int r = take(fd, &n, sizeof(n));

	/* Each page once at most: so there is a bound. */
	if (r || n > task->lazy_pages)
		return -EPROTO;
	l->v = n ? calloc((size_t)n, sizeof(*l->v)) : NULL;
	if (n && !l->v)
		return -ENOMEM;
	l->n = l->room = (size_t)n;
	r = take(fd, l->v, l->n * sizeof(*l->v));
	for (size_t k = 0; !r && k < l->n; k++) {
		if (!is_lazy(task, l->v[k]))
			return -EPROTO;
		pages += range_len(l->v[k]) / IMAGE_PAGE;
	}
	if (pages > task->lazy_pages)
		return -EPROTO;
	p->pages += pages;
	return r;
}

static int take_lists(int fd, const struct image *image, struct prefetch *p)
{
	int r = 0;

	p->lists = calloc(image->ntasks + 1, sizeof(*p->lists));
	if (!p->lists)
		return -ENOMEM;
	p->ntasks = image->ntasks;
	for (size_t i = 0; !r && i < image->ntasks; i++)
		r = take_list(fd, &image->tasks[i], p, i);
	return r;
}

static int take_outcome(int fd, const struct image *image, struct prefetch *p,
			struct prefetch_problem *why)
{
	struct prefetch_problem words;
	struct outcome o;
	int r = take(fd, &o, sizeof(o));

	if (r)
		return r;
	if (!o.err)
		return take_lists(fd, image, p);
	if (o.err > 0 || o.err < -4095 || take(fd, &words, sizeof(words)))
		return -EPROTO;
	words.text[sizeof(words.text) - 1] = '\0';
	for (char *c = words.text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	*why = words;
	return o.err;
}

int prefetch_read_apart(int fd, const struct image *image, void (*confine)(void),
			struct prefetch *ret, struct prefetch_problem *ret_why)
{
	struct prefetch p = PREFETCH_NULL;
	int pair[2], r, status;
	pid_t pid;

	ret_why->text[0] = '\0';
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (!pid)
		child_main(pair[1], image, confine);
	r = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (!r)
		r = feed(fd, pair[0]);
	if (!r)
		r = take_outcome(pair[0], image, &p, ret_why);
	close(pair[0]);
	if (pid > 0) {
		/* Ours, and not waited for before: so its pid is its own. */
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (!r) {
		*ret = p;
		return 0;
	}
	prefetch_free(&p);
	if (!ret_why->text[0])
		snprintf(ret_why->text, sizeof(ret_why->text), "%s", r == -EPROTO ?
			 "the process that reads it failed" : strerror(-r));
	return r;
}
