/* SPDX-License-Identifier: MIT */
/* Restore options: which of criu's are not for its user.  See restore-options.h. */

#include "restore-options.h"

#include <string.h>

static const struct {
	char letter;
	const char *name, *why;
} refused[] = {
	{ 'D', "images-dir", "give it before --" },
	{ 'W', "work-dir", "give it before --" },
	{ 'o', "log-file", "the log is restore.log in the working directory" },
	{ 'S', "restore-sibling", "its parent is pagetap; use -d" },
	{ 0, "lazy-pages", "it is given anyway" },
	{ 0, "page-server", "give it before --" },
	{ 0, "address", "give it before --" },
	{ 0, "port", "give it before --" },
};

#define NR_REFUSED (sizeof(refused) / sizeof(refused[0]))

/* Short options of criu that take a value: the rest of the word is that. */
static const char valued[] = "tDoWrJLMvx";

/* getopt_long(3) takes the beginning of a name for it. */
static int by_name(const char *name)
{
	size_t len = strcspn(name, "=");

	for (size_t i = 0; i < NR_REFUSED; i++)
		if (len && !strncmp(name, refused[i].name, len))
			return (int)i;
	return -1;
}

static int by_letters(const char *letters)
{
	for (; *letters; letters++) {
		for (size_t i = 0; i < NR_REFUSED; i++)
			if (refused[i].letter == *letters)
				return (int)i;
		if (strchr(valued, *letters))
			break;
	}
	return -1;
}

const char *restore_refused_option(char *const options[], const char **ret_why)
{
	for (; *options; options++) {
		const char *o = *options;
		int i;

		/* What is behind it is a command's (--exec-cmd). */
		if (!strcmp(o, "--"))
			return NULL;
		if (o[0] != '-' || !o[1])
			continue;
		i = o[1] == '-' ? by_name(o + 2) : by_letters(o + 1);
		if (i < 0)
			continue;
		*ret_why = refused[i].why;
		return o;
	}
	return NULL;
}
