/* SPDX-License-Identifier: MIT */
/*
 * Screen: a grid of characters with tones, drawn into before anything is painted.
 *
 * Pure: knows no terminal.  What is put here may be anybody's bytes: control characters and
 * whatever would change a terminal, or the direction of its text, become '?', so that a cell
 * holds one character that is shown, or the right half of a wide one.
 */
#ifndef REPORT_SCREEN_H
#define REPORT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_ROWS_MAX 1024u
#define SCREEN_COLUMNS_MAX 1024u
/* Shades of heat; 0 is none. */
#define SCREEN_SHADES 10

enum screen_tone {
	SCREEN_PLAIN,
	SCREEN_STRONG,
	SCREEN_FAINT,
	SCREEN_HEAD,		/* the line of column names */
	SCREEN_ALARM,		/* what is missing */
	SCREEN_HEAT,		/* and SCREEN_SHADES - 1 more */
	SCREEN_TONES = SCREEN_HEAT + SCREEN_SHADES,
};

struct screen_cell {
	char text[5];		/* UTF-8 of one character; "" is the right half of a wide one */
	uint8_t tone;
};

struct screen {
	unsigned int rows, columns;
	bool unicode;		/* what is beyond ASCII may be shown, with the locale's widths */
	struct screen_cell *cells;	/* rows * columns, owned */
};

/* All blank.  Sizes are cut to the greatest there are, and are at least 1.  -ENOMEM. */
int screen_init(struct screen *s, unsigned int rows, unsigned int columns, bool unicode);
void screen_done(struct screen *s);
void screen_clear(struct screen *s);
/* NULL outside. */
const struct screen_cell *screen_at(const struct screen *s, unsigned int row, unsigned int column);

/*
 * len bytes from a column on, at most `width` columns: what is longer ends with '~'.  Returns
 * the columns that were taken; outside of the screen nothing is put.
 */
unsigned int screen_put(struct screen *s, unsigned int row, unsigned int column,
			unsigned int width, enum screen_tone tone, const char *text, size_t len);
/* The same with a NUL-terminated text, as far as there is room. */
unsigned int screen_say(struct screen *s, unsigned int row, unsigned int column,
			enum screen_tone tone, const char *text);
/* Right-aligned in `width` columns; what is longer is put all the same. */
void screen_right(struct screen *s, unsigned int row, unsigned int column, unsigned int width,
		  enum screen_tone tone, const char *text);
/* All of a row in one tone, its text as it is. */
void screen_tint(struct screen *s, unsigned int row, enum screen_tone tone);
/* One cell of heat, shade 0 to SCREEN_SHADES - 1. */
void screen_heat(struct screen *s, unsigned int row, unsigned int column, unsigned int shade);
/* The shade of n where the most is `most`: 0 only for 0. */
unsigned int screen_shade(uint64_t n, uint64_t most);
/*
 * A row as text without blanks at its end, NUL-terminated, cut where cap ends.  Returns its
 * length.
 */
size_t screen_row(const struct screen *s, unsigned int row, char *buf, size_t cap);

#endif
