/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: a web server that may say anything before the contents.
 *
 * Whatever it says, a range counts only if all of it is the one that was asked for, of the
 * version that was asked for; addresses come out without a password, or not at all.
 */

#include <stdlib.h>
#include <string.h>

#include "restore/http-rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void hear(struct http_head *h, const uint8_t *data, size_t size)
{
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t n = end ? (size_t)(end - data) + 1 : size;

		http_head_line(h, (const char *)data, n);
		data += n;
		size -= n;
	}
	must(memchr(h->etag, '\0', sizeof(h->etag)));
	must(memchr(h->modified, '\0', sizeof(h->modified)));
	must(!h->has_range || (h->from <= h->to && h->to < h->total));
}

static void judge(const struct http_head *h)
{
	const struct http_version version = { "\"a\"", "", 65536 };
	const struct http_asked asked = { .ranged = true, .from = 4096, .len = 8192,
					  .version = &version };
	const struct http_asked whole = { .most = 4096 };
	struct http_version learned;
	struct http_problem why;

	if (!http_judge(&asked, h, &why))
		must(h->status == 206 && h->from == 4096 && h->to == 12287 && !h->encoded &&
		     h->total == 65536 && !strcmp(h->etag, "\"a\""));
	if (!http_judge(&whole, h, &why))
		must(h->status == 200 && !h->encoded && (!h->has_length || h->length <= 4096));
	if (!http_version_of(h, &learned, &why))
		must(learned.etag[0] || learned.modified[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head h = { 0 };
	struct http_problem why;
	char text[4096], *url;

	hear(&h, data, size);
	judge(&h);
	size = size < sizeof(text) ? size : sizeof(text) - 1;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!http_url_take(text, &url, &why)) {
		const char *host = strstr(url, "://") + 3;

		must(url[strlen(url) - 1] == '/' && !memchr(host, '@', strcspn(host, "/")));
		free(url);
	}
	return 0;
}
