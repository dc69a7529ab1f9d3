/* SPDX-License-Identifier: MIT */
/* Model parts: what the files of the model share with one another. */
#ifndef REPORT_MODEL_PARTS_H
#define REPORT_MODEL_PARTS_H

#include "report/keys.h"
#include "report/model.h"

/* Things of one size that never move, in blocks. */
struct pool {
	char **blocks;
	size_t n, nr_blocks, room, size;
};

/* Zeroed.  NULL: no memory. */
void *pool_add(struct pool *p);
void *pool_at(const struct pool *p, size_t index);
void pool_done(struct pool *p);

/* Strings, each kept once. */
struct texts {
	struct keys keys;		/* by hash and attempt */
	struct pool all;		/* struct model_text */
	char *block;			/* where the next one goes */
	size_t left;
	char **blocks;
	size_t nr_blocks, room;
};

/* The one string with these bytes.  NULL: no memory. */
const struct model_text *texts_keep(struct texts *t, const char *bytes, size_t len);
/* Bytes of the caller's for as long as the texts are there, aligned to 8; NULL: no memory. */
void *texts_room(struct texts *t, size_t len);
void texts_done(struct texts *t);

struct model {
	uint32_t page_size;
	struct texts texts;
	struct pool labels, vmas, spaces, threads, stacks;
	struct keys label_keys;		/* by kind and name */
	struct keys label_texts;	/* by text: which are taken */
	struct keys mms, tids, stack_ids;
	/* Index + 1 of the last mapping with an id: by the id, or by its index in far_ids. */
	uint32_t *vma_now, *vma_far;
	size_t vma_now_room, vma_far_room;
	struct keys far_ids;		/* ids that are larger than any that came in order */
	uint64_t stack_bytes, stacks_left_out;
	struct model_space *last;	/* found last: most records are about few */
};

int model_vma_record(struct model *m, const struct record *r);
void model_vma_done(struct model *m);
/* The space of that number, made if it has not been there.  NULL: no memory. */
struct model_space *model_space_get(struct model *m, uint32_t mm, int32_t pid, uint64_t ts);
/* The label of index 0.  -ENOMEM. */
int model_label_unknown(struct model *m);

#endif
