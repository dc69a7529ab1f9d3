/* SPDX-License-Identifier: MIT */
/*
 * KSM: what the kernel does to protected pages without a word.
 *
 * It takes the protection of a page off when it merges it: replace_page() in mm/ksm.c
 * makes an entry without bit 57.  So whatever lacks the bit may have been written since
 * the look before.  While KSM scans, everything that is claimed is held against pagemap
 * each second, and at the end.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/space.h"

/* Not kept open: descriptors may be few. */
static bool read_number(const char *path, uint64_t *ret_n)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[24] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	*ret_n = strtoull(text, NULL, 10);
	return true;
}

void ksm_look(struct ksm *k)
{
	uint64_t run = 0, n = 0;

	k->runs = read_number("/sys/kernel/mm/ksm/run", &run) && run == 1;
	if (read_number("/sys/kernel/mm/ksm/pages_scanned", &n)) {
		k->merged |= k->looked && n != k->scanned;
		k->scanned = n;
	} else {
		k->merged |= k->runs;
	}
	if (!k->looked)
		k->looked = clock_now();
}

static uint64_t top(const struct space *s)
{
	return align_down(UINT64_MAX, s->shared->page_size);
}

bool ksm_is_check(const struct space *s, const struct space_todo *t)
{
	return t->what == TODO_CHECK && t->r.hi == top(s) && t->armed != s->born_at;
}

void ksm_doubt(struct space *s, uint64_t now)
{
	if (s->async)
		return;
	if (s->doubting) {
		s->doubt_again = true;
		return;
	}
	if (s->trusted < s->born_at)
		s->trusted = s->born_at + 1;
	s->doubt_at = now;
	s->doubting = !space_owe(s, (struct range){ 0, top(s) }, now, TODO_CHECK, s->trusted);
}

void ksm_checked(struct space *s)
{
	bool again = s->doubt_again;

	s->trusted = s->doubt_at;
	s->doubting = s->doubt_again = false;
	if (again)
		ksm_doubt(s, clock_now());
}

void ksm_tick(struct space_shared *sh, struct space *spaces, uint64_t now)
{
	struct ksm *k = &sh->ksm;

	ksm_look(k);
	for (struct space *s = spaces; s; s = s->next) {
		/* A page is counted when it is done: one in the making is of this look, too. */
		if (!k->merged)
			s->trusted = s->doubting ? s->trusted : k->looked;
		else if (s->pid && !s->dead && !s->gone)
			ksm_doubt(s, now);
	}
	k->looked = now;
	/* What it did since is looked at by then, should it have stopped meanwhile. */
	k->merged = false;
	ksm_look(k);
}

bool ksm_may_hide(const struct space *s)
{
	return s->doubting || s->shared->ksm.runs || s->shared->ksm.merged;
}

bool ksm_confess(struct space *s, struct range r, uint64_t now)
{
	if (!ksm_may_hide(s))
		return false;
	if (!s->shared->ksm.merged)
		ksm_look(&s->shared->ksm);
	if (!s->shared->ksm.merged)
		return false;
	emit_gap(&s->shared->emit, s->pid, s->mm, s->trusted < s->born_at ? s->born_at : s->trusted,
		 now, r, GAP_KSM);
	return true;
}
