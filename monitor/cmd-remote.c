/* SPDX-License-Identifier: MIT */
/* Remote: pages from a page server, and what is said of it.  See remote-args.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "exit.h"
#include "remote-args.h"
#include "restore/identity.h"
#include "restore/source-net.h"
#include "words.h"

#define AGAIN_NS 500000000

static void on_told(void *arg, enum source_net_kind kind, const char *words)
{
	const struct remote *r = arg;

	switch (kind) {
	case SOURCE_NET_LOST:
		log_warn("page server %s: %s; trying again, and who needs a page waits", r->name,
			 words);
		break;
	case SOURCE_NET_BACK:
		log_info("page server %s: %s", r->name, words);
		break;
	case SOURCE_NET_GAVE_UP:
		log_error("page server %s: %s; not tried any more", r->name, words);
		break;
	}
}

/* 0, or -errno with words; *ret_status is set where no server is to blame. */
static int open_once(const struct remote_args *a, struct image_dir *dir,
		     const struct image *image, bool proof, struct remote *ret,
		     struct source_net_problem *ret_why, int *ret_status)
{
	uint8_t identity[WIRE_IDENTITY_SIZE];
	struct source_net_options o = {
		.address = a->address ? a->address : REMOTE_ADDRESS,
		.port = (uint16_t)a->port,
		.layout = image->wide ? WIRE_WIDE : WIRE_NARROW,
		.identity = identity,
		.proof = proof,
		.tls = ret->tls,
		.tls_any_name = a->tls.any_name,
		.told = on_told,
		.arg = ret,
	};
	int r;

	snprintf(ret->name, sizeof(ret->name), strchr(o.address, ':') ? "[%s]:%u" : "%s:%u",
		 o.address, o.port);
	r = identity_make(dir, image, identity);
	if (r < 0) {
		log_error("cannot read the checkpoint again: %s", strerror(-r));
		*ret_status = EXIT_RUNTIME;
		return r;
	}
	return source_net_open(&o, &ret->source, ret_why);
}

int remote_source_open(const struct remote_args *a, struct image_dir *dir,
		       const struct image *image, struct remote *ret)
{
	struct source_net_problem why;
	int status = tls_args_load(&a->tls, &ret->tls);

	if (status != EXIT_OK)
		return status;
	if (!open_once(a, dir, image, false, ret, &why, &status))
		return EXIT_OK;
	if (status == EXIT_OK)
		log_error("page server %s: %s", ret->name, why.words);
	return EXIT_RUNTIME;
}

int remote_source_reopen(const struct remote_args *a, struct image_dir *dir,
			 const struct image *image, struct remote *ret)
{
	struct tls_credentials *tls = ret->tls;
	struct source_net_problem why;
	int status = EXIT_OK;
	bool said = false;

	/* The connections that it had are the dead one's. */
	*ret = REMOTE_NULL;
	ret->tls = tls;
	while (open_once(a, dir, image, true, ret, &why, &status)) {
		if (status != EXIT_OK)
			return status;
		if (!said)
			log_warn("page server %s: %s; trying again, and who needs a page waits",
				 ret->name, why.words);
		said = true;
		nanosleep(&(struct timespec){ .tv_nsec = AGAIN_NS }, NULL);
	}
	if (said)
		log_info("page server %s: connected", ret->name);
	return EXIT_OK;
}

void remote_source_finish(struct remote *r)
{
	struct source_net_totals t;
	struct words a, b, c;
	int e;

	source_net_totals(r->source, &t);
	e = source_net_finish(r->source);
	log_verbose("page server %s: %s pages in %s answers over %u connection%s, %u lost, "
		    "%s demands sent again", r->name, words_count(t.pages, &a),
		    words_count(t.answers, &b), t.connections, t.connections == 1 ? "" : "s",
		    t.lost, words_count(t.again, &c));
	/* Nothing is missing; but a dump waits to be told. */
	if (e < 0)
		log_warn("page server %s: could not be told that all is done: %s", r->name,
			 strerror(-e));
}

void remote_source_close(struct remote *r)
{
	if (r->source)
		r->source->ops->free(r->source);
	tls_unload(r->tls);
	*r = REMOTE_NULL;
}
