/* SPDX-License-Identifier: MIT */
/* Validate, budget: a rest is told, and so is its end; meanwhile async arms nothing. */

#include "trace/validate-parts.h"

int validate_budget(struct validator *v, const struct record *r)
{
	struct address_space *s;
	int err = validate_space(v, r, &s);

	if (err)
		return err;
	if (!r->budget.budget_ppm)
		validate_complain_about(v, "a budget of nothing");
	if (r->budget.resting && s->resting)
		validate_complain_about(v, "mm %u rests already", s->mm);
	s->resting = r->budget.resting;
	return 0;
}

void validate_rest(struct validator *v, const struct record *r, const struct address_space *s)
{
	if (s->resting && r->arm.mode == ARM_ASYNC && !v->blind)
		validate_complain_about(v, "mm %u is armed in a rest", r->mm);
}
