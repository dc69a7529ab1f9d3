/* SPDX-License-Identifier: MIT */
/*
 * TLS arguments: the options about TLS, as CRIU calls them, of both ends.
 */
#ifndef MONITOR_TLS_ARGS_H
#define MONITOR_TLS_ARGS_H

#include <stdbool.h>

#include "options.h"
#include "restore/tls.h"

struct tls_args {
	bool on, any_name;
	const char *cacert, *cacrl, *cert, *key;
};

#define TLS_ARGS_OPTIONS(STRUCT, field)                                                        \
	{ .name = "tls", .help = "encrypt, and know each other by certificates",               \
	  .type = OPTION_FLAG, .offset = offsetof(STRUCT, field.on) },                         \
	{ .name = "tls-cacert", .arg = "FILE", .help = "trust only this authority",            \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.cacert) },                     \
	{ .name = "tls-cacrl", .arg = "FILE", .help = "what it has revoked",                   \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.cacrl) },                      \
	{ .name = "tls-cert", .arg = "FILE", .help = "certificate of this end",                \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.cert) },                       \
	{ .name = "tls-key", .arg = "FILE", .help = "and its key",                             \
	  .type = OPTION_TEXT, .offset = offsetof(STRUCT, field.key) },                        \
	{ .name = "tls-no-cn-verify", .help = "the server's name may be any",                  \
	  .type = OPTION_FLAG, .offset = offsetof(STRUCT, field.any_name) }

/*
 * With --tls the credentials, else *ret is NULL.  EXIT_OK, or the exit status after it has
 * been said what is wrong.
 */
int tls_args_load(const struct tls_args *a, struct tls_credentials **ret);

#endif
