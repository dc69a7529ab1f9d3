/* SPDX-License-Identifier: MIT */
/*
 * Remote arguments: the options of a restore whose pages come from a page server, and that
 * server as a source.
 */
#ifndef MONITOR_REMOTE_ARGS_H
#define MONITOR_REMOTE_ARGS_H

#include "restore/image.h"
#include "restore/source.h"
#include "tls-args.h"

struct remote_args {
	bool on;
	const char *address;
	uint64_t port;
	struct tls_args tls;
};

#define REMOTE_ADDRESS "127.0.0.1"

#define REMOTE_ARGS_OPTIONS(STRUCT, field)                                                     \
	{ .name = "page-server", .help = "pages come from a page server", .type = OPTION_FLAG, \
	  .offset = offsetof(STRUCT, field.on) },                                              \
	{ .name = "address", .arg = "ADDR", .help = "of that server [" REMOTE_ADDRESS "]",     \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.address) },                    \
	{ .name = "port", .arg = "N", .help = "of that server", .type = OPTION_NUMBER,         \
	  .offset = offsetof(STRUCT, field.port), .min = 1, .max = UINT16_MAX },               \
	TLS_ARGS_OPTIONS(STRUCT, field.tls)

/* A server that is connected to. */
struct remote {
	struct source *source;
	struct tls_credentials *tls;
	char name[300];			/* ADDRESS:PORT as it was given */
};
#define REMOTE_NULL ((struct remote){ 0 })

/*
 * Connect.  EXIT_OK, or the exit status after it has been said what is wrong.  What happens
 * to the connection later is said by the thread that uses the source.  *ret stays where it
 * is until remote_source_close().
 */
int remote_source_open(const struct remote_args *a, struct image_dir *dir,
		       const struct image *image, struct remote *ret);
/*
 * In a process that was cloned from the one that connected, when another such has died: anew,
 * until there is a server, which has to prove that it has the same pages.
 */
int remote_source_reopen(const struct remote_args *a, struct image_dir *dir,
			 const struct image *image, struct remote *ret);
/* All pages are there: tell the server, and sum up. */
void remote_source_finish(struct remote *r);
/* Of REMOTE_NULL, too. */
void remote_source_close(struct remote *r);

#endif
