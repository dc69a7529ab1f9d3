/* SPDX-License-Identifier: MIT */
/* Top terminal: is it one that is known?  Alone, as <term.h> has macros of everyday words. */

#include "top-paint.h"

#ifndef WITHOUT_NCURSES

#include <curses.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

bool top_terminal_known(void)
{
	const char *term = getenv("TERM");
	bool known;
	int err;

	if (!term || !*term || setupterm(term, STDOUT_FILENO, &err) == ERR)
		return false;
	/* Without that nothing can be put anywhere. */
	known = cursor_address;
	del_curterm(cur_term);
	return known;
}

#else

bool top_terminal_known(void)
{
	return false;
}

#endif
