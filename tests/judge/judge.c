/* SPDX-License-Identifier: MIT */
/*
 * Judge: is the trace what the target says it did?
 *
 *	judge [--json] [--require PCT] [--ambiguous-max PCT] TRACE TRUTHDIR
 *	judge --plant KIND[,N] | --plants N  TRACE TRUTHDIR
 *
 * Status 0: no error; 1: errors, too little covered, too much ambiguous, or a planted
 * fault that was not found; 2: it could not be judged.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"

struct options {
	bool json, plants;
	double require, ambiguous_max;
	enum plant only;
	unsigned int each;
};

static int usage(void)
{
	fprintf(stderr, "Usage: judge [--json] [--require PCT] [--ambiguous-max PCT] "
		"TRACE TRUTHDIR\n"
		"       judge {--plant KIND[,N] | --plants N} TRACE TRUTHDIR\nKinds:");
	for (enum plant k = PLANT_NONE + 1; k < PLANT_NR; k++)
		fprintf(stderr, " %s", plant_name(k));
	fprintf(stderr, "\n");
	return 2;
}

/* KIND or KIND,N */
static bool parse_plant(struct options *o, const char *s)
{
	size_t len = strcspn(s, ",");

	o->plants = true;
	o->each = s[len] ? (unsigned int)strtoul(s + len + 1, NULL, 10) : 1;
	for (enum plant k = PLANT_NONE + 1; k < PLANT_NR; k++)
		if (strlen(plant_name(k)) == len && !strncmp(plant_name(k), s, len))
			o->only = k;
	return o->only != PLANT_NONE && o->each;
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "require", required_argument, NULL, 'r' },
		{ "ambiguous-max", required_argument, NULL, 'a' },
		{ "plant", required_argument, NULL, 'p' },
		{ "plants", required_argument, NULL, 'P' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'r':
			o->require = strtod(optarg, NULL);
			break;
		case 'a':
			o->ambiguous_max = strtod(optarg, NULL);
			break;
		case 'p':
			if (!parse_plant(o, optarg))
				return false;
			break;
		case 'P':
			o->plants = true;
			o->each = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	return optind + 2 == argc;
}

static int judge_run(struct truth *t, const char *path, const struct options *o)
{
	struct judge j;
	int r;

	judge_begin(&j, t, path);
	r = trace_read(&j);
	if (r < 0)
		return 2;
	judge_end(&j);
	if (o->json)
		report_json(&j);
	else
		report_text(&j);
	if (t->outside)
		fprintf(stderr, "judge: %llu writes outside every area of the truth\n",
			(unsigned long long)t->outside);
	r = judge_errors(&j) || t->outside || share_covered(&j) < o->require ||
	    share_ambiguous(&j) > o->ambiguous_max;
	judge_free(&j);
	return r;
}

int main(int argc, char **argv)
{
	struct options o = { .ambiguous_max = 100 };
	struct truth t;
	int r;

	if (!parse(argc, argv, &o))
		return usage();
	if (truth_load(&t, argv[optind + 1]) < 0)
		return 2;
	if (o.plants)
		r = plants_run(&t, argv[optind], o.only, o.each);
	else
		r = judge_run(&t, argv[optind], &o);
	truth_free(&t);
	return r < 0 ? 2 : r > 1 && o.plants ? 1 : r;
}
