/* SPDX-License-Identifier: MIT */
/* Words: numbers as people read them.  See words.h. */

#include "words.h"

#include <stdio.h>
#include <string.h>

const char *words_count(uint64_t n, struct words *w)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	size_t at = 0;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			w->s[at++] = ',';
		w->s[at++] = digits[i];
	}
	w->s[at] = '\0';
	return w->s;
}

/* value / unit with one decimal below ten, rounded half up. */
static void put_scaled(struct words *w, uint64_t value, uint64_t unit, const char *name)
{
	uint64_t tenths = value / unit * 10 + (value % unit * 10 + unit / 2) / unit;

	if (tenths < 100)
		snprintf(w->s, sizeof(w->s), "%llu.%llu %s", (unsigned long long)(tenths / 10),
			 (unsigned long long)(tenths % 10), name);
	else
		snprintf(w->s, sizeof(w->s), "%llu %s", (unsigned long long)((tenths + 5) / 10),
			 name);
}

const char *words_bytes(uint64_t bytes, struct words *w)
{
	static const char *const names[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int i = 0;

	if (bytes < 1024) {
		snprintf(w->s, sizeof(w->s), "%llu bytes", (unsigned long long)bytes);
		return w->s;
	}
	while (i < 5 && bytes >> (10 * (i + 2)))
		i++;
	put_scaled(w, bytes, UINT64_C(1) << (10 * (i + 1)), names[i]);
	return w->s;
}

const char *words_duration(uint64_t ns, struct words *w)
{
	if (ns < 1000)
		snprintf(w->s, sizeof(w->s), "%llu ns", (unsigned long long)ns);
	else if (ns < 1000 * 1000)
		put_scaled(w, ns, 1000, "us");
	else if (ns < 1000 * 1000 * 1000)
		put_scaled(w, ns, 1000 * 1000, "ms");
	else
		snprintf(w->s, sizeof(w->s), "%llu.%llu s",
			 (unsigned long long)(ns / 1000000000),
			 (unsigned long long)(ns / 100000000 % 10));
	return w->s;
}

const char *words_signal(int sig, struct words *w)
{
	const char *name = sigabbrev_np(sig);

	if (name)
		snprintf(w->s, sizeof(w->s), "SIG%s", name);
	else
		snprintf(w->s, sizeof(w->s), "signal %d", sig);
	return w->s;
}
