/* SPDX-License-Identifier: MIT */
/*
 * Validate, coverage: a covered page is reported once, an uncovered one not at all.
 *
 * A page is covered from its arm until its first reported write, its next remove or
 * unmap, or a gap that names it.  A gap promises nothing: until the page is armed
 * again a write of it may be told or not.
 */

#include <errno.h>
#include <inttypes.h>

#include "trace/validate-parts.h"

#define ALL_PAGES UINT64_MAX

/* Records of the layout may be missing: then nothing can be held against a fault. */
static bool is_checked(const struct validator *v)
{
	return v->sees_map && !v->blind;
}

int validate_arm(struct validator *v, const struct record *r, struct address_space *s)
{
	uint64_t lo = validate_first(v, r), hi = validate_last(v, r);
	int err;

	validate_rest(v, r, s);
	if ((r->arm.mode != ARM_WP && r->arm.mode != ARM_ASYNC) || !is_checked(v))
		return 0;
	err = spans_remove(&s->declared, lo, hi);
	return err ? err : spans_add(&s->covered, lo, hi);
}

int validate_gap(struct validator *v, const struct record *r, struct address_space *s)
{
	uint64_t lo = 0, hi = ALL_PAGES;
	int err;

	v->totals.gaps++;
	if (r->npages) {
		lo = validate_first(v, r);
		hi = validate_last(v, r);
	}
	err = spans_remove(&s->covered, lo, hi);
	return err ? err : spans_add(&s->declared, lo, hi);
}

int validate_remap(struct validator *v, const struct record *r, struct address_space *s)
{
	uint64_t lo = validate_first(v, r), hi = validate_last(v, r);
	uint64_t to = r->remap.new_addr / v->page_size;
	int err;

	if (!is_checked(v))
		return 0;
	err = spans_move(&s->covered, lo, hi, to);
	return err ? err : spans_move(&s->declared, lo, hi, to);
}

int validate_remove(struct validator *v, const struct record *r, struct address_space *s)
{
	if (!is_checked(v))
		return 0;
	return spans_remove(&s->covered, validate_first(v, r), validate_last(v, r));
}

/*
 * A fault of a huge page is about the aligned block of npages that holds it.  What
 * the perf ring saw (via perf) is told of uncovered pages on purpose.
 */
int validate_coverage(struct validator *v, const struct record *r, struct address_space *s)
{
	uint64_t page = r->addr / v->page_size, lo, hi;

	if (!v->sync || !is_checked(v) || r->fault.via != VIA_UFFD || !r->fault.write)
		return 0;
	lo = page - page % r->npages;
	hi = lo + r->npages;
	if (r->fault.kind == FAULT_WP && !spans_any(&s->covered, lo, hi) &&
	    !spans_any(&s->declared, lo, hi))
		validate_complain_about(v, "page %" PRIu64 " is not covered: its write has been "
					"reported since its last arm, or it was never armed", page);
	return spans_remove(&s->covered, lo, hi);
}

/* Collected and armed anew at once: it stays covered.  Of what is in doubt, some is told. */
void validate_dirty(struct validator *v, const struct record *r, struct address_space *s)
{
	uint64_t lo = validate_first(v, r), hi = validate_last(v, r);

	v->totals.dirty_pages += r->npages;
	if (r->dirty.epoch < s->epoch)
		validate_complain_about(v, "epoch %" PRIu64 " after epoch %" PRIu64, r->dirty.epoch,
					s->epoch);
	s->epoch = r->dirty.epoch;
	if (!is_checked(v) || spans_all(&s->covered, lo, hi))
		return;
	for (uint64_t page = lo; page < hi; page++)
		if (!spans_has(&s->covered, page) && !spans_has(&s->declared, page)) {
			validate_complain_about(v, "page %" PRIu64 " is not covered: it was never "
						"armed, or is there no more", page);
			return;
		}
}
