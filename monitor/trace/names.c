/* SPDX-License-Identifier: MIT */
/* Names: the words of the trace format and their values, both ways.  See names.h. */

#include "trace/names.h"

#include <string.h>

#include "trace/record.h"

#define WORD(n, w) w,

static const char *const record_kinds[] = { PAGETAP_RECORD_KINDS(WORD) };
static const char *const fault_kinds[] = { PAGETAP_FAULT_KINDS(WORD) };
static const char *const fault_acts[] = { PAGETAP_FAULT_ACTS(WORD) };
static const char *const fault_vias[] = { PAGETAP_FAULT_VIAS(WORD) };
static const char *const fault_srcs[] = { PAGETAP_FAULT_SRCS(WORD) };
static const char *const vma_ops[] = { PAGETAP_VMA_OPS(WORD) };
static const char *const vma_kinds[] = { PAGETAP_VMA_KINDS(WORD) };
static const char *const vma_whys[] = { PAGETAP_VMA_WHYS(WORD) };
static const char *const arm_modes[] = { PAGETAP_ARM_MODES(WORD) };
static const char *const gap_reasons[] = { PAGETAP_GAP_REASONS(WORD) };
static const char *const lost_reasons[] = { PAGETAP_LOST_REASONS(WORD) };
static const char *const detach_reasons[] = { PAGETAP_DETACH_REASONS(WORD) };

#define SET(a) { a, sizeof(a) / sizeof((a)[0]) }

static const struct {
	const char *const *words;
	unsigned int n;
} sets[NAMES_SET_NR] = {
	[NAMES_RECORD_KIND] = SET(record_kinds),
	[NAMES_FAULT_KIND] = SET(fault_kinds),
	[NAMES_FAULT_ACT] = SET(fault_acts),
	[NAMES_FAULT_VIA] = SET(fault_vias),
	[NAMES_FAULT_SRC] = SET(fault_srcs),
	[NAMES_VMA_OP] = SET(vma_ops),
	[NAMES_VMA_KIND] = SET(vma_kinds),
	[NAMES_VMA_WHY] = SET(vma_whys),
	[NAMES_ARM_MODE] = SET(arm_modes),
	[NAMES_GAP_REASON] = SET(gap_reasons),
	[NAMES_LOST_REASON] = SET(lost_reasons),
	[NAMES_DETACH_REASON] = SET(detach_reasons),
};

int names_find(enum names_set set, const char *word, size_t len)
{
	for (unsigned int i = 0; i < sets[set].n; i++) {
		const char *w = sets[set].words[i];

		if (strlen(w) == len && !memcmp(w, word, len))
			return (int)i;
	}
	return -1;
}

const char *names_word(enum names_set set, unsigned int value)
{
	return value < sets[set].n ? sets[set].words[value] : NULL;
}

const char *record_kind_name(unsigned int v)
{
	return names_word(NAMES_RECORD_KIND, v);
}

const char *fault_kind_name(unsigned int v)
{
	return names_word(NAMES_FAULT_KIND, v);
}

const char *fault_act_name(unsigned int v)
{
	return names_word(NAMES_FAULT_ACT, v);
}

const char *fault_via_name(unsigned int v)
{
	return names_word(NAMES_FAULT_VIA, v);
}

const char *vma_op_name(unsigned int v)
{
	return names_word(NAMES_VMA_OP, v);
}

const char *vma_kind_name(unsigned int v)
{
	return names_word(NAMES_VMA_KIND, v);
}

const char *vma_why_name(unsigned int v)
{
	return names_word(NAMES_VMA_WHY, v);
}

const char *arm_mode_name(unsigned int v)
{
	return names_word(NAMES_ARM_MODE, v);
}

const char *gap_reason_name(unsigned int v)
{
	return names_word(NAMES_GAP_REASON, v);
}

const char *lost_reason_name(unsigned int v)
{
	return names_word(NAMES_LOST_REASON, v);
}

const char *detach_reason_name(unsigned int v)
{
	return names_word(NAMES_DETACH_REASON, v);
}
