/* SPDX-License-Identifier: MIT */
/* Top paint: ncurses.  See top-paint.h. */

#include "top-paint.h"

#include <errno.h>

#ifdef WITHOUT_NCURSES

int top_paint_check(void)
{
	return -EOPNOTSUPP;
}

int top_paint_begin(bool color)
{
	(void)color;
	return -EOPNOTSUPP;
}

void top_paint_end(void)
{
}

void top_paint_leave(void)
{
}

void top_paint_return(void)
{
}

bool top_paint_in_front(void)
{
	return false;
}

void top_paint_size(unsigned int *ret_rows, unsigned int *ret_columns)
{
	*ret_rows = 24;
	*ret_columns = 80;
}

bool top_paint_unicode(void)
{
	return false;
}

void top_paint_screen(const struct screen *s)
{
	(void)s;
}

void top_paint_anew(void)
{
}

int top_paint_key(void)
{
	return -EIO;
}

#else

#include <langinfo.h>
#include <locale.h>
#include <curses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "top-view.h"

static SCREEN *terminal;
static attr_t looks[SCREEN_TONES];
static bool blocks;		/* heat is the colour of the cell, not a character */
static bool left;		/* given back for a while */

int top_paint_check(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	return top_terminal_known() ? 0 : -EINVAL;
}

/* From blue to red, of 256 colours; of 8 what there is. */
static void make_heat(void)
{
	static const short many[SCREEN_SHADES] = {
		0, 17, 18, 24, 30, 34, 112, 220, 208, 196,
	};

	blocks = COLORS >= 256;
	for (short i = 1; i < SCREEN_SHADES; i++) {
		short pair = (short)(4 + i);

		if (blocks)
			init_pair(pair, COLOR_WHITE, many[i]);
		else
			init_pair(pair, i < 4 ? COLOR_CYAN : i < 7 ? COLOR_YELLOW : COLOR_RED, -1);
		looks[SCREEN_HEAT + i] = (attr_t)COLOR_PAIR(pair);
	}
}

static void make_looks(bool color)
{
	memset(looks, 0, sizeof(looks));
	blocks = false;
	looks[SCREEN_STRONG] = A_BOLD;
	looks[SCREEN_HEAD] = A_REVERSE;
	looks[SCREEN_ALARM] = A_BOLD;
	if (!color || !has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(1, COLOR_RED, -1);
	looks[SCREEN_ALARM] = A_BOLD | (attr_t)COLOR_PAIR(1);
	looks[SCREEN_FAINT] = A_DIM;
	make_heat();
}

int top_paint_begin(bool color)
{
	int r = top_paint_check();
	struct termios t;

	if (r < 0)
		return r;
	setlocale(LC_CTYPE, "");
	/* Its size is looked at as often as it is painted: no handler interrupts anybody. */
	signal(SIGWINCH, SIG_IGN);
	terminal = newterm(NULL, stdout, stdin);
	if (!terminal)
		return -EINVAL;
	cbreak();
	noecho();
	nonl();
	/* Ctrl-S would stop the screen for good. */
	if (!tcgetattr(STDIN_FILENO, &t)) {
		t.c_iflag &= ~(tcflag_t)(IXON | IXOFF);
		tcsetattr(STDIN_FILENO, TCSANOW, &t);
		def_prog_mode();
	}
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	make_looks(color);
	left = false;
	return 0;
}

void top_paint_end(void)
{
	if (!terminal)
		return;
	if (!left) {
		curs_set(1);
		endwin();
	}
	delscreen(terminal);
	terminal = NULL;
}

void top_paint_leave(void)
{
	if (!left)
		endwin();
	left = true;
}

void top_paint_return(void)
{
	left = false;
	reset_prog_mode();
	curs_set(0);
	clearok(stdscr, TRUE);
}

bool top_paint_in_front(void)
{
	pid_t front = tcgetpgrp(STDIN_FILENO);

	return front < 0 || front == getpgrp();
}

void top_paint_size(unsigned int *ret_rows, unsigned int *ret_columns)
{
	struct winsize ws = { 0 };

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) && ws.ws_row && ws.ws_col &&
	    (ws.ws_row != LINES || ws.ws_col != COLS))
		resizeterm(ws.ws_row, ws.ws_col);
	*ret_rows = LINES > 0 ? (unsigned int)LINES : 24;
	*ret_columns = COLS > 0 ? (unsigned int)COLS : 80;
}

bool top_paint_unicode(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

void top_paint_screen(const struct screen *s)
{
	erase();
	for (unsigned int row = 0; row < s->rows; row++)
		for (unsigned int at = 0; at < s->columns; at++) {
			const struct screen_cell *c = screen_at(s, row, at);
			bool block = blocks && c->tone >= SCREEN_HEAT;

			if (!c->text[0])
				continue;
			attrset(looks[c->tone]);
			mvaddstr((int)row, (int)at, block ? " " : c->text);
		}
	attrset(A_NORMAL);
	refresh();
}

void top_paint_anew(void)
{
	clearok(stdscr, TRUE);
}

int top_paint_key(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	int key = getch();

	switch (key) {
	case ERR:
		/* No key, or nobody there any more. */
		return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR | POLLNVAL) ? -EIO : 0;
	case KEY_UP: return TOP_KEY_UP;
	case KEY_DOWN: return TOP_KEY_DOWN;
	case KEY_PPAGE: return TOP_KEY_PAGE_UP;
	case KEY_NPAGE: return TOP_KEY_PAGE_DOWN;
	case KEY_HOME: return TOP_KEY_HOME;
	case KEY_END: return TOP_KEY_END;
	default: return key > 0 && key < 0x100 ? key : 0;
	}
}

#endif
