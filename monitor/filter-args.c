/* SPDX-License-Identifier: MIT */
/* Filter arguments: -m, -a, -e and --mode.  See filter-args.h. */

#include "filter-args.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct word {
	const char *name;
	uint32_t bit;
};

static const struct word modes[] = {
	{ "write", WATCH_MODE_WRITE },
	{ "missing", WATCH_MODE_MISSING },
	{ "minor", WATCH_MODE_MINOR },
	{ NULL, 0 },
};

static const struct word kinds[] = {
	{ "missing", WATCH_KIND_MISSING },
	{ "wp", WATCH_KIND_WP },
	{ "minor", WATCH_KIND_MINOR },
	{ "fork", WATCH_KIND_FORK },
	{ "exit", WATCH_KIND_EXIT },
	{ "map", WATCH_KIND_MAP },
	{ NULL, 0 },
};

static int parse_set(const struct word *table, const char *what, const char *list, uint32_t *set,
		     struct options_error *e)
{
	const char *rest = list;
	const struct word *w;
	char name[32];
	int r;

	while ((r = options_next(&rest, name, sizeof(name))) == 1) {
		for (w = table; w->name && strcmp(w->name, name);)
			w++;
		if (!w->name)
			return options_wrong(e, "'%s' is not a %s", name, what);
		*set |= w->bit;
	}
	return r < 0 ? options_wrong(e, "'%s' is not a list of %ss", list, what) : 0;
}

static void name_set(const struct word *table, uint32_t set, const char *ret_names[8])
{
	unsigned int n = 0;

	for (; table->name; table++)
		if (set & table->bit)
			ret_names[n++] = table->name;
	ret_names[n] = NULL;
}

int filter_args_modes(void *args, const char *list, struct options_error *ret_error)
{
	struct filter_args *f = args;

	return parse_set(modes, "mode (write, missing or minor)", list, &f->modes, ret_error);
}

int filter_args_kinds(void *args, const char *list, struct options_error *ret_error)
{
	struct filter_args *f = args;

	return parse_set(kinds, "kind (missing, wp, minor, fork, exit or map)", list, &f->kinds,
			 ret_error);
}

void filter_args_mode_names(uint32_t set, const char *ret_names[8])
{
	name_set(modes, set, ret_names);
}

void filter_args_kind_names(uint32_t set, const char *ret_names[8])
{
	name_set(kinds, set, ret_names);
}

/* Digits up to `stop`; moves *text there. */
static bool parse_hex(const char **text, char stop, uint64_t *ret)
{
	const char *p = *text;
	uint64_t v = 0;
	size_t n = 0;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
		p += 2;
	for (; *p != stop; p++, n++) {
		const char *digits = "0123456789abcdefABCDEF", *d = strchr(digits, *p);
		long i = d && *p ? d - digits : -1;

		if (i < 0 || n == 16)
			return false;
		v = v << 4 | (uint64_t)(i > 15 ? i - 6 : i);
	}
	*text = p;
	*ret = v;
	return n > 0;
}

int filter_args_range(void *args, const char *text, struct options_error *ret_error)
{
	struct filter_args *f = args;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), lo, hi;
	const char *p = text;
	bool ok = parse_hex(&p, '-', &lo) && *p++ == '-' && parse_hex(&p, '\0', &hi);

	if (!ok || lo >= hi || hi > UINT64_MAX - page)
		return options_wrong(ret_error, "'%s' is not a range of addresses (such as "
				     "7f3c00000000-7f3c04000000)", text);
	if (f->nr_ranges == FILTER_ARGS_MAX)
		return options_wrong(ret_error, "more than %d ranges", FILTER_ARGS_MAX);
	f->ranges[f->nr_ranges++] =
		(struct range){ align_down(lo, page), align_up(hi, page) };
	return 0;
}

int filter_args_glob(void *args, const char *text, struct options_error *ret_error)
{
	struct filter_args *f = args;

	if (!*text)
		return options_wrong(ret_error, "the name is empty (anon: mappings without one)");
	if (f->nr_globs == FILTER_ARGS_MAX)
		return options_wrong(ret_error, "more than %d names", FILTER_ARGS_MAX);
	f->globs[f->nr_globs++] = text;
	return 0;
}

struct watch_filter filter_args_filter(const struct filter_args *args)
{
	return (struct watch_filter){
		.modes = args->modes ? args->modes : WATCH_MODE_WRITE,
		.ranges = args->ranges,
		.nr_ranges = args->nr_ranges,
		.globs = args->globs,
		.nr_globs = args->nr_globs,
	};
}
