/* SPDX-License-Identifier: MIT */
/* Certs: certificates for a test of TLS, into the folder that it is given. */

#include "certs.h"

int main(int argc, char **argv)
{
	if (argc != 2 || !certs_make(argv[1])) {
		fprintf(stderr, "certs: cannot make any in %s\n", argc > 1 ? argv[1] : "?");
		return 1;
	}
	return 0;
}
