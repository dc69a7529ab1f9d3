/* SPDX-License-Identifier: MIT */
/* Validate, stacks: each is told once, before the first fault that names it. */

#include "trace/validate-parts.h"

int validate_stack(struct validator *v, const struct record *r)
{
	uint64_t id = r->stack.id;

	if (spans_has(&v->stacks, id))
		validate_complain_about(v, "stack id %u is used a second time", r->stack.id);
	return spans_add(&v->stacks, id, id + 1);
}

void validate_names_stack(struct validator *v, const struct record *r)
{
	if (r->fault.stack && !v->blind && !spans_has(&v->stacks, r->fault.stack))
		validate_complain_about(v, "stack %u has not been told", r->fault.stack);
}
