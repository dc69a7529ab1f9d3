/* SPDX-License-Identifier: MIT */
/* Loaded: a whole trace, read once.  See loaded.h. */

#include "report/loaded.h"

struct reading {
	struct loaded *l;
	struct pick *pick;
	walk_record also;
	void *arg;
};

int loaded_open(struct loaded *ret, const char *path, struct reader_error *ret_why)
{
	struct loaded l = LOADED_NULL;
	int r = walk_open(&l.walk, path, ret_why);

	if (!r)
		r = model_new(&l.model, walk_header(l.walk)->page_size);
	if (!r)
		r = tally_new(&l.tally, walk_header(l.walk), l.model);
	if (r < 0) {
		loaded_done(&l);
		return r;
	}
	*ret = l;
	return 0;
}

static int take(void *arg, const struct reader_record *rec)
{
	const struct record *r = &rec->record;
	struct reading *g = arg;
	int err = model_record(g->l->model, r);

	if (err || !pick_takes(g->pick, g->l->model, r))
		return err;
	err = tally_record(g->l->tally, r);
	if (err || !g->also)
		return err;
	return g->also(g->arg, rec);
}

int loaded_read(struct loaded *l, struct pick *pick, walk_record also, void *arg)
{
	struct reading g = { l, pick, also, arg };

	l->tally->heat.origin = pick->since;
	return walk_run(l->walk, take, &g, &l->end);
}

void loaded_done(struct loaded *l)
{
	l->tally = tally_free(l->tally);
	l->model = model_free(l->model);
	l->walk = walk_close(l->walk);
}
