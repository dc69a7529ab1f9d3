/* SPDX-License-Identifier: MIT */
/* Phases: the names of the phases of an injection, for kill.sh. */
#include <stdio.h>

#include "pagetap/inject.h"

int main(void)
{
	for (unsigned int i = PAGETAP_PHASE_NONE + 1; i < PAGETAP_PHASE_NR; i++) {
		/* Nothing has begun while looking: there is nobody to be killed by. */
		if (i != PAGETAP_PHASE_LOOK)
			puts(pagetap_phase_name(i));
	}
	return 0;
}
