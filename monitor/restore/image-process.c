/* SPDX-License-Identifier: MIT */
/*
 * Image process.  See image-process.h.
 *
 * A stream in each direction.  The child asks (struct ask), the parent answers (struct
 * answer, and the bytes of a file); the last one says what came of it, with the bytes of
 * the image or the words of the refusal behind it.
 */

#include "restore/image-process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "restore/apart.h"

/* 128 levels of 8192 tasks, three files each. */
#define ASKS_MAX (UINT64_C(3) << 20)
/*
 * A record of a file, of 8 bytes at least, becomes a piece or a task of 32, and may cut
 * another piece in two: so many bytes of image a byte of file, and some for the head.
 */
#define IMAGE_PER_BYTE 16
#define IMAGE_HEAD 4096

enum op {
	OP_LEVEL,
	OP_SIZE,
	OP_READ,
	OP_IMAGE,		/* size bytes follow */
	OP_REFUSED,		/* struct image_problem follows */
};

struct ask {
	uint32_t op;
	int32_t err;		/* of OP_REFUSED */
	uint32_t kind, id, level;
	uint32_t reserved;
	uint64_t size;		/* of OP_IMAGE */
};

struct answer {
	int32_t err;
	uint32_t reserved;
	uint64_t size;		/* of OP_SIZE; of OP_READ, and so many bytes follow */
};

/* ---- the child ------------------------------------------------------------------ */

static struct answer ask(enum op op, const struct image_name *name)
{
	const struct ask a = { .op = op, .kind = name->kind, .id = name->id, .level = name->level };
	struct answer answer;

	apart_give(&a, sizeof(a));
	apart_take(&answer, sizeof(answer));
	return answer;
}

static int ask_level(struct image_dir *dir, uint32_t level)
{
	(void)dir;
	return ask(OP_LEVEL, &(struct image_name){ .level = level }).err;
}

static int ask_size(struct image_dir *dir, const struct image_name *name, uint64_t *ret)
{
	const struct answer a = ask(OP_SIZE, name);

	(void)dir;
	if (!a.err)
		*ret = a.size;
	return a.err;
}

static int ask_read(struct image_dir *dir, const struct image_name *name, void **ret,
		    size_t *ret_len)
{
	struct answer a = ask(OP_READ, name);
	char rest[4096];
	void *bytes;

	(void)dir;
	if (a.err)
		return a.err;
	bytes = malloc(a.size + 1);
	if (bytes) {
		apart_take(bytes, a.size);
		*ret = bytes;
		*ret_len = a.size;
		return 0;
	}
	for (size_t n; a.size; a.size -= n) {
		n = a.size < sizeof(rest) ? a.size : sizeof(rest);
		apart_take(rest, n);
	}
	return -ENOMEM;
}

static const struct image_dir_ops ask_ops = {
	.level = ask_level,
	.size = ask_size,
	.read = ask_read,
};

static void parse(void *arg)
{
	struct image_dir dir = { &ask_ops };
	struct image_problem why = { "" };
	struct ask end = { .op = OP_IMAGE };
	void *bytes = NULL;
	size_t len = 0;

	(void)arg;
	end.err = image_parse(&dir, &bytes, &len, &why);
	end.size = len;
	if (end.err)
		end.op = OP_REFUSED;
	apart_give(&end, sizeof(end));
	if (end.err)
		apart_give(&why, sizeof(why));
	else
		apart_give(bytes, len);
	free(bytes);
}

/* ---- the parent ----------------------------------------------------------------- */

struct reading {
	struct image_dir *dir;
	struct apart child;
	uint64_t given;			/* bytes of files */
	void *bytes;			/* what came of it */
	size_t len;
};

static int answer_with(struct reading *a, int err, const void *bytes, uint64_t size)
{
	struct answer answer = { .err = err, .size = err ? 0 : size };
	int r = apart_send(&a->child, &answer, sizeof(answer));

	if (!r && !err && bytes) {
		a->given += size;
		r = apart_send(&a->child, bytes, size);
	}
	return r;
}

static int serve_read(struct reading *a, const struct image_name *name)
{
	_free_ void *bytes = NULL;
	size_t len = 0;
	int err = a->dir->ops->read(a->dir, name, &bytes, &len);

	return answer_with(a, err, bytes, len);
}

static int serve(struct reading *a, const struct ask *ask)
{
	const struct image_name name = { (enum image_kind)ask->kind, ask->id, ask->level };
	uint64_t size = 0;
	int err;

	if (ask->kind >= IMAGE_KINDS || ask->level >= IMAGE_LEVELS ||
	    (ask->op == OP_READ && ask->kind == IMAGE_PAGES))
		return -EPROTO;
	switch (ask->op) {
	case OP_LEVEL:
		return answer_with(a, a->dir->ops->level(a->dir, ask->level), NULL, 0);
	case OP_SIZE:
		err = a->dir->ops->size(a->dir, &name, &size);
		return answer_with(a, err, NULL, size);
	case OP_READ:
		return serve_read(a, &name);
	default:
		return -EPROTO;
	}
}

static int take_refusal(struct reading *a, const struct ask *ask, struct image_problem *ret_why)
{
	struct image_problem why;
	int r = apart_receive(&a->child, &why, sizeof(why));

	if (r)
		return r;
	if (ask->err >= 0 || ask->err < -4095)
		return -EPROTO;
	apart_clean(why.text, sizeof(why.text));
	*ret_why = why;
	return ask->err;
}

static int take_image(struct reading *a, uint64_t size)
{
	if (size > IMAGE_HEAD + a->given * IMAGE_PER_BYTE)
		return -EPROTO;
	a->bytes = malloc(size + 1);
	if (!a->bytes)
		return -ENOMEM;
	a->len = size;
	return apart_receive(&a->child, a->bytes, size);
}

/* Until it has said what came of it. */
static int serve_all(struct reading *a, struct image_problem *ret_why)
{
	struct ask ask;
	int r = 0;

	for (uint64_t n = 0; !r; n++) {
		r = n < ASKS_MAX ? apart_receive(&a->child, &ask, sizeof(ask)) : -EPROTO;
		if (r)
			break;
		if (ask.op == OP_IMAGE)
			return take_image(a, ask.size);
		if (ask.op == OP_REFUSED)
			return take_refusal(a, &ask, ret_why);
		r = serve(a, &ask);
	}
	return r;
}

static int say(struct image_problem *why, int err, const char *words)
{
	snprintf(why->text, sizeof(why->text), "%s", words);
	return err;
}

static int say_end(struct image_problem *why, int err, int status)
{
	if (err == -ETIMEDOUT)
		return say(why, err, "reading the images takes too long");
	if (err == -ENOMEM)
		return say(why, err, "no memory for what the images say");
	if (err == -EPIPE && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		snprintf(why->text, sizeof(why->text),
			 "the process that reads the images died of signal %d", WTERMSIG(status));
		return -EPROTO;
	}
	return say(why, -EPROTO, "the process that reads the images failed");
}

/* What the child says a pages file is long is what the folder says. */
static int check_sizes(struct image_dir *dir, const struct image *image)
{
	for (size_t i = 0; i < image->nfiles; i++) {
		const struct image_pages *f = &image->files[i];
		const struct image_name name = { IMAGE_PAGES, f->id, f->level };
		uint64_t size = 0;
		int r = dir->ops->size(dir, &name, &size);

		if (r || size != f->size)
			return r ? r : -EPROTO;
	}
	return 0;
}

int image_read_apart(struct image_dir *dir, void (*confine)(void), struct image *ret,
		     struct image_problem *ret_why)
{
	struct reading a = { .dir = dir };
	struct image image;
	int status, r = apart_begin(&a.child, confine, parse, NULL);

	if (r)
		return say(ret_why, r, strerror(-r));
	/* Words of a refusal are the child's; of all else there are none yet. */
	ret_why->text[0] = 0;
	r = serve_all(&a, ret_why);
	status = apart_end(&a.child);
	if (!r)
		r = image_adopt(a.bytes, a.len, &image, ret_why);
	else if (!ret_why->text[0])
		r = say_end(ret_why, r, status);
	if (r) {
		free(a.bytes);
		return r;
	}
	r = check_sizes(dir, &image);
	if (r) {
		image_free(&image);
		return say(ret_why, r, "a pages file has not the length it had");
	}
	*ret = image;
	return 0;
}
