/* SPDX-License-Identifier: MIT */
/*
 * Validate, address spaces: where they come from, whose they are, how they end.
 */

#include <errno.h>
#include <stdlib.h>

#include "trace/validate-parts.h"

static struct address_space *find(struct validator *v, uint32_t mm)
{
	struct address_space *s = v->recent;

	if (s && s->mm == mm)
		return s;
	HASH_FIND(hh, v->spaces, &mm, sizeof(mm), s);
	if (s)
		v->recent = s;
	return s;
}

static int introduce(struct validator *v, uint32_t mm, int32_t pid, struct address_space **ret)
{
	struct address_space *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->mm = mm;
	s->pid = pid;
	RB_INIT(&s->mappings);
	spans_init(&s->covered);
	spans_init(&s->declared);
	HASH_ADD(hh, v->spaces, mm, sizeof(s->mm), s);
	if (!s->hh.tbl) {
		free(s);
		return -ENOMEM;
	}
	v->recent = *ret = s;
	return 0;
}

/* Exec and fork come from the connector; with its records lost, or left out, any may. */
static bool births_are_seen(const struct validator *v)
{
	return v->sees_fork && !v->blind && !v->processes_blind;
}

int validate_space(struct validator *v, const struct record *r, struct address_space **ret)
{
	struct address_space *s = find(v, r->mm);
	int err;

	if (!s) {
		err = introduce(v, r->mm, r->pid, &s);
		if (err < 0)
			return err;
		if (births_are_seen(v))
			validate_complain_about(v, "mm %u has not been introduced by an attach, "
						"a followed fork or an exec", r->mm);
	} else if (s->over && !v->blind && !(r->kind == RECORD_EXEC && s->lent)) {
		/* Who lives in its memory, by vfork(2), may outlive it, and executes at last. */
		validate_complain_about(v, "mm %u has ended before", r->mm);
	} else if (!s->pid) {
		s->pid = r->pid;
	} else if (r->pid && r->pid != s->pid && r->kind != RECORD_ERROR && !v->blind &&
		   !(r->kind == RECORD_FORK && s->lent)) {
		validate_complain_about(v, "mm %u is that of process %d, not of %d", r->mm, s->pid,
					r->pid);
	}
	*ret = s;
	return 0;
}

int validate_attach(struct validator *v, const struct record *r)
{
	struct address_space *s = find(v, r->mm);
	int err = 0;

	if (!s)
		err = introduce(v, r->mm, r->pid, &s);
	else if (s->attached || !s->introduced)
		validate_complain_about(v, "mm %u is attached a second time", r->mm);
	if (!err) {
		s->introduced = s->attached = true;
		s->refused = false;
	}
	return err;
}

int validate_fork(struct validator *v, const struct record *r)
{
	struct address_space *parent, *child;
	int err = validate_space(v, r, &parent);

	/* A child that is not followed, although children are, has a number for its gap. */
	if (!err && !r->fork.child_mm)
		parent->lent = true;
	if (err || !r->fork.child_mm)
		return err;
	if (find(v, r->fork.child_mm)) {
		if (births_are_seen(v))
			validate_complain_about(v, "mm %u of the child is in use",
						r->fork.child_mm);
		return 0;
	}
	err = introduce(v, r->fork.child_mm,
			r->fork.child == RECORD_UNKNOWN ? 0 : (int32_t)r->fork.child, &child);
	if (err)
		return err;
	/* The child has the parent's mappings (told again, with ids of their own) and arms. */
	child->introduced = true;
	child->refused = !r->fork.followed;
	child->attached = r->fork.followed;
	if (child->refused)
		return 0;
	err = spans_copy(&child->covered, &parent->covered);
	return err ? err : spans_copy(&child->declared, &parent->declared);
}

static void end_space(struct validator *v, struct address_space *s)
{
	s->over = true;
	validate_mappings_done(v, s);
	spans_done(&s->covered);
	spans_done(&s->declared);
}

/* A vfork child has lived in its parent's memory: that one goes on. */
static bool owns(const struct address_space *s, const struct record *r)
{
	return !s->pid || s->pid == r->pid;
}

int validate_exec(struct validator *v, const struct record *r)
{
	struct address_space *s = find(v, r->mm), *next;
	int err;

	if (!s && births_are_seen(v))
		validate_complain_about(v, "mm %u has not been introduced", r->mm);
	if (s && owns(s, r))
		end_space(v, s);
	if (!r->exec.new_mm)
		return 0;
	if (find(v, r->exec.new_mm)) {
		validate_complain_about(v, "new_mm %u is in use", r->exec.new_mm);
		return 0;
	}
	err = introduce(v, r->exec.new_mm, r->pid, &next);
	if (!err)
		next->introduced = true;
	return err;
}

int validate_exit(struct validator *v, const struct record *r)
{
	struct address_space *s;
	int err = validate_space(v, r, &s);

	if (!err && owns(s, r))
		end_space(v, s);
	return err;
}

void validate_spaces_done(struct validator *v)
{
	struct address_space *s, *next;

	HASH_ITER(hh, v->spaces, s, next) {
		HASH_DEL(v->spaces, s);
		end_space(v, s);
		free(s);
	}
}
