/* SPDX-License-Identifier: MIT */
/* TLS arguments: to credentials.  See tls-args.h. */

#include "cmd.h"
#include "exit.h"
#include "tls-args.h"

int tls_args_load(const struct tls_args *a, struct tls_credentials **ret)
{
	const struct tls_files files = {
		.cacert = a->cacert, .cacrl = a->cacrl, .cert = a->cert, .key = a->key,
	};
	struct tls_problem why;

	*ret = NULL;
	if (!a->on && (a->cacert || a->cacrl || a->cert || a->key)) {
		log_error("certificates are given, but not --tls");
		return EXIT_USAGE;
	}
	if (!a->on || !tls_load(&files, ret, &why))
		return EXIT_OK;
	log_error("TLS: %s", why.words);
	return EXIT_RUNTIME;
}
