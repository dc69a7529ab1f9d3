/* SPDX-License-Identifier: MIT */
/*
 * Page-server: gives the pages of a checkpoint to lazy restores on other machines.
 *
 * pagetap-page-server(1).
 */

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "cmd-status-fd.h"
#include "cmd.h"
#include "exit.h"
#include "images-args.h"
#include "restore/page-server.h"
#include "restore/shelf-http.h"
#include "restore/shelf-image.h"
#include "sandbox.h"
#include "signals.h"
#include "tls-args.h"
#include "words.h"

#define CLIENTS_DEFAULT 256
#define CLIENTS_MAX 16384
#define BACKLOG 128
/* Without TLS nobody but this machine, unless told otherwise. */
#define ADDRESS_PLAIN "127.0.0.1"

struct server_args {
	struct cmd_voice voice;
	struct images_args images;
	const char *address;
	struct tls_args tls;
	uint64_t port, clients, status_fd;
	bool lazy_pages, no_config;
};

#define AT(member) .offset = offsetof(struct server_args, member)

static const struct option_spec options[] = {
	{ 'D', "images-dir", "DIR", "the checkpoint; also http:// or https://", OPTION_TEXT,
	  AT(images.path) },
	IMAGES_ARGS_OPTIONS(struct server_args, images),
	{ .name = "address", .arg = "ADDR", .help = "listen there [" ADDRESS_PLAIN "]",
	  .type = OPTION_TEXT, AT(address) },
	{ .name = "port", .arg = "N", .help = "listen there; 0: any that is free",
	  .type = OPTION_NUMBER, AT(port), .max = UINT16_MAX },
	{ .name = "max-clients", .arg = "N", .help = "connections at the same time [256]",
	  .type = OPTION_NUMBER, AT(clients), .min = 1, .max = CLIENTS_MAX },
	{ .name = "status-fd", .arg = "FD", .help = "write a zero byte there once we listen",
	  .type = OPTION_NUMBER, AT(status_fd), .max = 1 << 20 },
	TLS_ARGS_OPTIONS(struct server_args, tls),
	{ .name = "lazy-pages", .help = "nothing: that is what this server does",
	  .type = OPTION_FLAG, AT(lazy_pages) },
	{ .name = "no-default-config", .help = "nothing: there is no configuration",
	  .type = OPTION_FLAG, AT(no_config) },
	CMD_VOICE_OPTIONS(struct server_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap page-server -D checkpoint/ --port 27",
	"pagetap page-server -D checkpoint/ --address 10.0.0.1 --port 27 -v",
	"pagetap lazy-pages -D copy/ --page-server --address 10.0.0.1 --port 27",
	NULL,
};

static const struct option_page page = {
	.command = "page-server",
	.about = "Give the pages of a CRIU checkpoint to lazy restores, to many at once.",
	.options = options,
	.examples = examples,
};

/* The pages, in files of this machine or at a web server. */
struct pages {
	struct shelf shelf;
	struct shelf_image *files;
	struct shelf_http *fetched;
};

static int open_shelf(struct images *images, struct pages *ret)
{
	const struct source_http_options o = {
		.cache = images->cache, .told = images_told, .arg = images,
	};
	const struct image *image = &images->image;
	size_t file;
	int r = images->site ?
		shelf_http_open(images->dir, image, &o, &ret->fetched, &ret->shelf, &file) :
		shelf_image_open(images->dir, image, &ret->files, &ret->shelf, &file);

	if (!r)
		return EXIT_OK;
	if (file < image->nfiles)
		log_error("%s: pages-%u.img: %s", images->path, image->files[file].id,
			  strerror(-r));
	else
		log_error("%s: %s", images->path, strerror(-r));
	return EXIT_RUNTIME;
}

static int listen_at(const struct server_args *a, int *ret_fd)
{
	const char *address = a->address ? a->address : ADDRESS_PLAIN;
	struct addrinfo *all;
	struct link_name name;
	int r = link_resolve(address, (uint16_t)a->port, true, &all);

	if (r) {
		log_error("cannot listen on %s: %s", address, gai_strerror(r));
		return EXIT_RUNTIME;
	}
	*ret_fd = link_listen(all, BACKLOG);
	freeaddrinfo(all);
	if (*ret_fd < 0) {
		log_error("cannot listen on %s port %" PRIu64 ": %s", address, a->port,
			  strerror(-*ret_fd));
		return *ret_fd == -EACCES ? EXIT_NOT_PERMITTED : EXIT_RUNTIME;
	}
	link_name(*ret_fd, false, &name);
	log_info("serving %s on %s", a->images.path, name.s);
	return EXIT_OK;
}

static void on_event(void *arg, const struct page_server_event *ev)
{
	struct words w;

	(void)arg;
	switch (ev->kind) {
	case PAGE_SERVER_CAME:
		log_verbose("%s: connected", ev->peer);
		break;
	case PAGE_SERVER_WENT:
		log_verbose("%s: done, %s pages", ev->peer, words_count(ev->pages, &w));
		break;
	case PAGE_SERVER_BROKE:
	case PAGE_SERVER_REFUSED:
		log_warn("%s: %s", ev->peer, ev->words);
		break;
	}
}

static void sum_up(const struct page_server *s)
{
	struct page_server_totals t;
	struct words a, b, c;

	page_server_totals(s, &t);
	log_info("%s connection%s, %s requests, %s pages given", words_count(t.clients, &a),
		 t.clients == 1 ? "" : "s", words_count(t.requests, &b), words_count(t.pages, &c));
}

/* Until a signal ends it: 0, or -errno. */
static int serve(struct page_server *s, int signals)
{
	struct pollfd p[] = {
		{ .fd = page_server_fd(s), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	struct signalfd_siginfo si;
	int r = 0;

	while (!r) {
		if (poll(p, 2, -1) < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		if (p[1].revents && read(signals, &si, sizeof(si)) == sizeof(si)) {
			if (si.ssi_signo != SIGUSR1)
				return 0;
			sum_up(s);
		}
		if (p[0].revents)
			r = page_server_turn(s, on_event, NULL);
	}
	return r;
}

static int run_server(const struct server_args *a, const struct shelf *shelf,
		      const struct tls_credentials *tls, int listener)
{
	const struct page_server_options o = {
		.shelf = *shelf, .tls = tls,
		.clients_max = a->clients ? (unsigned int)a->clients : CLIENTS_DEFAULT,
	};
	_close_ int signals = -1;
	struct page_server *s = NULL;
	int r, status = EXIT_OK;
	sigset_t old;

	r = signals_take(&signals, &old);
	r = r ? r : page_server_new(&o, listener, &s);
	/* All is open.  Nothing else is wanted. */
	sandbox_server(http_url_is(a->images.path));
	if (!r) {
		status = status_fd_tell(a->status_fd);
		r = status == EXIT_OK ? serve(s, signals) : 0;
	}
	if (r < 0)
		log_error("cannot serve: %s", strerror(-r));
	if (s && status == EXIT_OK) {
		page_server_cut(s, on_event, NULL);
		sum_up(s);
	}
	page_server_free(s);
	return r < 0 ? EXIT_RUNTIME : status;
}

int cmd_page_server(int argc, char **argv)
{
	struct server_args a = { .images.path = "." };
	struct images images = IMAGES_NULL;
	struct pages pages = { .files = NULL };
	_close_ int listener = -1;
	struct tls_credentials *tls = NULL;
	int operand, status;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand < argc)
		return cmd_usage(&page, "unexpected argument '%s'", argv[operand]);
	status = status_fd_check(a.status_fd, &page);
	if (status == EXIT_OK)
		status = images_check(&a.images, &page);
	if (status == EXIT_OK)
		status = tls_args_load(&a.tls, &tls);
	if (status == EXIT_OK)
		status = images_open(&a.images, &images);
	/* A connection takes one, and each pages file. */
	limit_raise_descriptors();
	if (status == EXIT_OK)
		status = open_shelf(&images, &pages);
	if (status == EXIT_OK)
		status = listen_at(&a, &listener);
	if (status == EXIT_OK)
		status = run_server(&a, &pages.shelf, tls, listener);
	tls_unload(tls);
	shelf_image_free(pages.files);
	shelf_http_free(pages.fetched);
	images_close(&images);
	return status;
}
