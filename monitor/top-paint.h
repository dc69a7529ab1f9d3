/* SPDX-License-Identifier: MIT */
/*
 * Top paint: cells onto a terminal, and keys from it.  The only user of ncurses.
 *
 * One terminal, that of standard input and output; one thread.  Between top_paint_begin() and
 * top_paint_end() the terminal is the screen's; after it, it is as it was before.
 */
#ifndef MONITOR_TOP_PAINT_H
#define MONITOR_TOP_PAINT_H

#include <stdbool.h>

#include "report/screen.h"

/*
 * Can it be painted on?  0; -ENOTTY: no terminal; -EINVAL: TERM names none that is known;
 * -EOPNOTSUPP: this build has no ncurses.  Leaves nothing behind.
 */
int top_paint_check(void);
/* Part of the check: TERM names a terminal on which things can be put somewhere. */
bool top_terminal_known(void);
/* The errors of the check, -ENOMEM.  Reads the description of the terminal. */
int top_paint_begin(bool color);
void top_paint_end(void);
/* Give the terminal back for a while, and take it again. */
void top_paint_leave(void);
void top_paint_return(void);
/* Is this process in front, that is, is the terminal ours to paint on? */
bool top_paint_in_front(void);
/* Its size now; ncurses learns of it as well. */
void top_paint_size(unsigned int *ret_rows, unsigned int *ret_columns);
/* Are characters beyond ASCII shown? */
bool top_paint_unicode(void);
void top_paint_screen(const struct screen *s);
/* All of it, whatever is thought to be there, with the next screen. */
void top_paint_anew(void);
/* A character, a TOP_KEY_*, 0: none has been pressed; -EIO: the terminal has gone. */
int top_paint_key(void);

#endif
