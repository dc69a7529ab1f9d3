/* SPDX-License-Identifier: MIT */
/* A story: records as a recorder would tell them, and what validate says of it. */
#ifndef TESTS_TRACE_STORY_H
#define TESTS_TRACE_STORY_H

#include <string.h>

#include "suite.h"
#include "trace/validate.h"

#define UNUSED __attribute__((unused))

#define PAGE 4096u
#define RECORDS_MAX 128

struct story {
	struct reader_record r[RECORDS_MAX];
	unsigned int n;
	uint64_t ts;
};

UNUSED static struct reader_header header = { .page_size = PAGE };
UNUSED static char engine_sync[] = "sync", engine_async[] = "async";

/* The next record of the story; the caller fills in what the kind has. */
UNUSED static struct record *tell(struct story *s, enum record_kind kind, int32_t pid, uint32_t mm)
{
	struct reader_record *r = &s->r[s->n];

	CU_ASSERT_FATAL(s->n < RECORDS_MAX);
	*r = (struct reader_record){ .seq = ++s->n };
	r->record.kind = kind;
	r->record.pid = pid;
	r->record.mm = mm;
	r->record.ts = s->ts += 10;
	return &r->record;
}

UNUSED static struct record *tell_span(struct story *s, enum record_kind kind, uint32_t mm,
				uint64_t page, uint64_t npages)
{
	struct record *r = tell(s, kind, 100 * (int32_t)mm, mm);

	r->ts0 = r->ts - 5;
	r->addr = page * PAGE;
	r->npages = npages;
	return r;
}

UNUSED static struct record *vma(struct story *s, uint32_t mm, enum vma_op op, uint32_t id,
				 uint64_t page, uint64_t npages)
{
	struct record *r = tell_span(s, RECORD_VMA, mm, page, npages);

	r->vma.op = (uint8_t)op;
	r->vma.id = id;
	r->vma.watch = true;
	return r;
}

UNUSED static struct record *arm(struct story *s, uint32_t mm, uint64_t page, uint64_t npages)
{
	struct record *r = tell_span(s, RECORD_ARM, mm, page, npages);

	r->arm.mode = ARM_WP;
	return r;
}

/* The first write of a page of mapping `id`. */
UNUSED static struct record *wrote(struct story *s, uint32_t mm, uint32_t id, uint64_t page)
{
	struct record *r = tell_span(s, RECORD_FAULT, mm, page, 1);

	r->addr += 123;
	r->fault.kind = FAULT_WP;
	r->fault.act = ACT_UNPROTECT;
	r->fault.write = true;
	r->fault.vma = id;
	return r;
}

UNUSED static void fork_to(struct story *st, uint32_t mm, bool followed)
{
	struct record *r = tell(st, RECORD_FORK, 100, 1);

	r->fork.child = 100 * (int64_t)mm;
	r->fork.child_mm = mm;
	r->fork.followed = followed;
}

UNUSED static struct record *stats(struct story *s, uint64_t faults, uint64_t writes, uint64_t lost)
{
	struct record *r = tell(s, RECORD_STATS, 100, 0);

	r->stats.faults = faults;
	r->stats.writes = writes;
	r->stats.lost = lost;
	return r;
}

UNUSED static void end(struct story *s, uint64_t faults, uint64_t writes, uint64_t lost)
{
	stats(s, faults, writes, lost)->stats.final = true;
	tell(s, RECORD_DETACH, 100, 0);
}

/* A process with two mappings, armed; three writes. */
UNUSED static void begin(struct story *s)
{
	*s = (struct story){ .n = 0 };
	tell(s, RECORD_ATTACH, 100, 1);
	vma(s, 1, VMA_OP_SNAPSHOT, 1, 100, 50);
	vma(s, 1, VMA_OP_SNAPSHOT, 2, 150, 50);
	arm(s, 1, 100, 50);
	arm(s, 1, 150, 50);
	wrote(s, 1, 1, 100);
	wrote(s, 1, 1, 149);
	wrote(s, 1, 2, 150);
}

/* Complaints of one run: their lines and words after one another. */
static char heard[4096];
static unsigned int heard_n;

UNUSED static void hear(void *arg, uint64_t line, const char *words)
{
	(void)arg;
	heard_n++;
	snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%u:%s\n",
		 (unsigned int)line, words);
}

UNUSED static int run(const struct story *s, bool allow_cut)
{
	struct validator *v = NULL;
	int r;

	heard[0] = '\0';
	heard_n = 0;
	r = validate_new(&v, &header, hear, NULL);
	for (unsigned int i = 0; i < s->n && !r; i++)
		r = validate_record(v, i + 2, &s->r[i]);
	if (!r)
		validate_end(v, s->n + 1, allow_cut);
	if (v)
		CU_ASSERT_EQUAL(validate_totals(v)->complaints, heard_n);
	validate_free(v);
	return r;
}

UNUSED static void accept(const struct story *s)
{
	CU_ASSERT_EQUAL(run(s, false), 0);
	CU_ASSERT_STRING_EQUAL(heard, "");
}

/* The only complaint, and in which line (0: any). */
UNUSED static void refuse(const struct story *s, unsigned int line, const char *words)
{
	CU_ASSERT_EQUAL(run(s, false), 0);
	CU_ASSERT_EQUAL(heard_n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(heard, words));
	if (line)
		CU_ASSERT_EQUAL((unsigned int)strtoul(heard, NULL, 10), line);
	if (heard_n != 1 || !strstr(heard, words))
		printf("\nwanted: %s\nheard:\n%s", words, heard);
}

static struct story s;

#endif
