/* SPDX-License-Identifier: MIT */
/*
 * What every page holds: a function of its region, its number and who wrote it last.
 */
#include <string.h>

#include "known.h"

static const uint64_t stamp = UINT64_C(0x5354414d50454421);

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Word j of data is key + j * step: no two words of a page, no two pages are alike. */
static uint64_t page_key(const struct region *region, size_t i, uint32_t owner)
{
	return mix(region->salt ^ mix(i ^ (uint64_t)owner << 40));
}

static const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);

enum page_look { PAGE_DATA, PAGE_ZERO, PAGE_UNTOUCHED };

static enum page_look page_look(const struct region *region, size_t i)
{
	if (region->look == LOOK_FIRST && i >= region->filled)
		return PAGE_UNTOUCHED;
	if (region->look == LOOK_HOLES && i % 16 == 5)
		return PAGE_UNTOUCHED;
	if (region->look == LOOK_HOLES && i % 16 == 9)
		return PAGE_ZERO;
	return PAGE_DATA;
}

/* Child k overwrites an eighth, its children another one; of what is shared nothing. */
static uint32_t page_owner(const struct region *region, size_t i, uint32_t owners)
{
	return !region->shared && owners >> i % 8 & 1 ? i % 8 : 0;
}

void region_fill(const struct region *region, uint32_t owner)
{
	for (size_t i = 0; i < region->pages; i++) {
		uint64_t *word = (uint64_t *)(void *)(region->at + i * PAGE);
		uint64_t key = page_key(region, i, owner);

		if (owner && i % 8 != owner)
			continue;
		if (page_look(region, i) == PAGE_ZERO)
			memset(word, 0, PAGE);
		if (page_look(region, i) != PAGE_DATA)
			continue;
		for (size_t j = 0; j < WORDS; j++)
			word[j] = key + j * step;
	}
}

bool region_has(const struct region *region, size_t i)
{
	return !(region->unmapped && i / RUN % 4 == 1);
}

/* Of what is vast and empty, some. */
static bool page_asked(const struct region *region, size_t i)
{
	return region->look != LOOK_FIRST || i < region->filled || i % 61 == 0;
}

static bool page_zero(const struct region *region, size_t i)
{
	return page_look(region, i) != PAGE_DATA || (region->dropped && i / RUN % 2 == 0);
}

uint64_t page_first_word(const struct task *task, const struct region *region, size_t i)
{
	return page_zero(region, i) ? 0 : page_key(region, i, page_owner(region, i, task->owners));
}

static bool page_right(const struct task *task, const struct region *region, size_t i)
{
	const volatile uint64_t *word = (const volatile uint64_t *)(void *)(region->at + i * PAGE);
	uint64_t key = page_first_word(task, region, i), wrong = 0;
	uint64_t each = page_zero(region, i) ? 0 : step;

	wrong |= word[0] ^ key;
	wrong |= word[1] ^ (region->stamped ? stamp ^ i : key + each);
	for (size_t j = 2; j < WORDS; j++)
		wrong |= word[j] ^ (key + j * each);
	return !wrong;
}

void page_stamp(const struct region *region, size_t i)
{
	*(volatile uint64_t *)(void *)(region->at + i * PAGE + sizeof(uint64_t)) = stamp ^ i;
}

void page_check(struct worker *worker, const struct region *region, size_t i)
{
	struct slot *slot = worker->slot;

	slot->checked++;
	if (page_right(worker->task, region, i))
		return;
	if (!slot->bad++)
		slot->first_bad = (uint64_t)(uintptr_t)(region->at + i * PAGE);
}

void worker_check(struct worker *worker)
{
	struct task *task = worker->task;

	for (uint32_t r = 0; r < task->nregions; r++) {
		const struct region *region = &task->regions[r];

		for (size_t i = worker->number; i < region->pages; i += task->threads)
			if (region_has(region, i) && page_asked(region, i))
				page_check(worker, region, i);
	}
}
