/* SPDX-License-Identifier: MIT */
/* HTTP source: demands, and its beginning and end.  See source-http.h. */

#include "restore/source-http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "restore/source-files.h"
#include "restore/source-http-parts.h"

static struct source_http *http_of(struct source *s)
{
	return (struct source_http *)s;
}

/* ---- demands ---------------------------------------------------------------- */

/* The smallest room that suffices. */
static struct http_slot *take_slot(struct source_http *s, uint32_t npages)
{
	for (unsigned int i = npages > HTTP_SMALL_PAGES ? HTTP_SMALL : 0; i < HTTP_SLOTS; i++)
		if (s->slot[i].state == HTTP_FREE)
			return &s->slot[i];
	return NULL;
}

/* Buffers stay with their slots: fresh memory costs a fault a page. */
static int make_room(const struct source_http *s, struct http_slot *slot, uint64_t len)
{
	uint64_t room = slot - s->slot < HTTP_SMALL ? HTTP_SMALL_PAGES * IMAGE_PAGE : len;
	uint8_t *data;

	if (slot->room >= len)
		return 0;
	data = aligned_alloc(IMAGE_PAGE, room);
	if (!data)
		return -ENOMEM;
	free(slot->data);
	slot->data = data;
	slot->room = room;
	return 0;
}

static void set_timer(struct source_http *s)
{
	uint64_t at = s->later || !TAILQ_EMPTY(&s->ready) ? 1 : http_resume_at(s);
	struct itimerspec t = { 0 };

	t.it_value.tv_sec = (time_t)(at / NSEC_PER_SEC);
	t.it_value.tv_nsec = (long)(at % NSEC_PER_SEC);
	timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static bool is_askable(const struct source_http *s, const struct source_want *want)
{
	const struct image_piece *p = want->piece;

	return want->npages && want->npages <= SOURCE_PAGES_MAX && p && p->pages < s->nfiles &&
	       want->vaddr >= p->vaddr && want->vaddr % IMAGE_PAGE == 0 &&
	       (want->vaddr - p->vaddr) / IMAGE_PAGE + want->npages <= p->npages;
}

static int http_ask(struct source *source, const struct source_want *want)
{
	struct source_http *s = http_of(source);
	struct http_slot *slot;
	int r;

	if (!is_askable(s, want))
		return -EINVAL;
	slot = take_slot(s, want->npages);
	if (!slot)
		return -EAGAIN;
	r = make_room(s, slot, want->npages * IMAGE_PAGE);
	if (r)
		return r;
	slot->id = want->id;
	slot->urgent = want->urgent;
	slot->file = want->piece->pages;
	slot->from = want->piece->offset + (want->vaddr - want->piece->vaddr);
	slot->len = want->npages * IMAGE_PAGE;
	slot->have = 0;
	if (http_cache_get(s->files[slot->file].cache, slot->from, slot->data, slot->len)) {
		s->totals.cached += want->npages;
		slot->state = HTTP_READY;
		TAILQ_INSERT_TAIL(&s->ready, slot, queue);
	} else if (!slot->urgent || !http_ride(s, slot)) {
		slot->state = HTTP_WAITING;
		TAILQ_INSERT_TAIL(slot->urgent ? &s->urgent : &s->bulk, slot, queue);
	}
	/*
	 * Whoever waits is asked for at once; what nobody waits for a little later, when its
	 * neighbours are known, too.
	 */
	if (!s->busy && slot->urgent)
		http_pump(s);
	else
		s->later = true;
	if (!s->busy)
		set_timer(s);
	return 0;
}

void http_slot_done(struct source_http *s, struct http_slot *slot)
{
	const struct source_got got = {
		.id = slot->id, .data = slot->data, .npages = (uint32_t)(slot->len / IMAGE_PAGE),
	};

	slot->state = HTTP_GIVEN;
	s->answer(s->answer_arg, &got);
}

static void http_release(struct source *source, uint64_t id)
{
	struct source_http *s = http_of(source);

	/* No other one that has been given has this id, so this one is nobody else's. */
	for (unsigned int i = 0; i < HTTP_SLOTS; i++)
		if (s->slot[i].state == HTTP_GIVEN && s->slot[i].id == id) {
			s->slot[i].state = HTTP_FREE;
			break;
		}
}

static void give_ready(struct source_http *s)
{
	struct http_slot *slot;

	while ((slot = TAILQ_FIRST(&s->ready))) {
		TAILQ_REMOVE(&s->ready, slot, queue);
		http_slot_done(s, slot);
	}
}

static int http_answers(struct source *source, source_answer answer, void *arg)
{
	struct source_http *s = http_of(source);
	uint64_t expired;

	s->busy = true;
	s->answer = answer;
	s->answer_arg = arg;
	if (read(s->timer, &expired, sizeof(expired)) < 0)
		expired = 0;
	http_client_turn(s->urgent_client);
	give_ready(s);
	http_client_turn(s->bulk_client);
	give_ready(s);
	s->busy = s->later = false;
	http_pump(s);
	set_timer(s);
	return 0;
}

static const void *http_at(struct source *source, const struct source_want *want)
{
	(void)source;
	(void)want;
	return NULL;
}


/* ---- the beginning and the end --------------------------------------------------- */

static void http_free(struct source *source)
{
	struct source_http *s = http_of(source);

	http_client_free(s->urgent_client);
	http_client_free(s->bulk_client);
	for (size_t i = 0; i < HTTP_SLOTS; i++)
		free(s->slot[i].data);
	http_files_free(s->files, s->nfiles);
	if (s->timer >= 0)
		close(s->timer);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s);
}

/*
 * A connection takes some turns, and one with TLS more: it is there before it is wanted.  Not
 * before somebody waits, who may be another process than the one that opened the source.
 */
static void warm_up(struct source_http *s)
{
	struct http_client *clients[] = { s->urgent_client, s->bulk_client };

	for (size_t i = 0; i < 2 && s->nfiles; i++) {
		s->warm[i] = (struct http_request){ .name = s->files[0].name,
						    .asked = { .head = true } };
		http_client_start(clients[i], &s->warm[i]);
	}
}

static int http_fd(struct source *source)
{
	struct source_http *s = http_of(source);

	if (!s->warmed)
		warm_up(s);
	s->warmed = true;
	return s->epoll;
}

static const struct source_ops ops = {
	.at = http_at,
	.ask = http_ask,
	.fd = http_fd,
	.answers = http_answers,
	.release = http_release,
	.free = http_free,
};

static int watch(const struct source_http *s, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_clients(struct source_http *s, const struct http_site *site)
{
	int r;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->epoll < 0 || s->timer < 0)
		return -errno;
	r = http_client_new(site, HTTP_URGENT_RANGES, &s->urgent_client);
	r = r ? r : http_client_new(site, HTTP_BULK_RANGES, &s->bulk_client);
	r = r ? r : watch(s, s->timer);
	r = r ? r : watch(s, http_client_fd(s->urgent_client));
	return r ? r : watch(s, http_client_fd(s->bulk_client));
}

int source_http_open(struct image_dir *dir, const struct image *image,
		     const struct source_http_options *o, struct source **ret, size_t *ret_file)
{
	struct source_http *s;
	int r, err;

	*ret_file = image->nfiles;
	if (source_files_lack(image))
		return -ENODATA;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->base = (struct source){ .ops = &ops, .bulk_pages = HTTP_BULK_PAGES,
				   .bulk_max = HTTP_BULK_MAX };
	s->o = *o;
	s->epoll = s->timer = -1;
	TAILQ_INIT(&s->urgent);
	TAILQ_INIT(&s->bulk);
	TAILQ_INIT(&s->ready);
	r = http_files_open(dir, image, o->cache, &s->files, ret_file, &err);
	if (!r)
		s->nfiles = image->nfiles;
	if (err && o->told)
		o->told(o->arg, SOURCE_HTTP_NO_CACHE, strerror(-err));
	s->no_cache_told = err;
	r = r ? r : open_clients(s, http_dir_site(dir));
	if (r) {
		http_free(&s->base);
		return r;
	}
	*ret = &s->base;
	return 0;
}

void source_http_totals(const struct source *s, struct source_http_totals *ret)
{
	*ret = ((const struct source_http *)s)->totals;
}
