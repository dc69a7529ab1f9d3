/* SPDX-License-Identifier: MIT */
/* Screen: a grid of characters.  See screen.h. */

#include "screen.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/utf8.h"

static unsigned int within(unsigned int n, unsigned int most)
{
	return n < 1 ? 1 : n > most ? most : n;
}

int screen_init(struct screen *s, unsigned int rows, unsigned int columns, bool unicode)
{
	*s = (struct screen){
		.rows = within(rows, SCREEN_ROWS_MAX),
		.columns = within(columns, SCREEN_COLUMNS_MAX),
		.unicode = unicode,
	};
	s->cells = malloc((size_t)s->rows * s->columns * sizeof(*s->cells));
	if (!s->cells)
		return -ENOMEM;
	screen_clear(s);
	return 0;
}

void screen_done(struct screen *s)
{
	free(s->cells);
	*s = (struct screen){ 0 };
}

void screen_clear(struct screen *s)
{
	for (size_t i = 0; i < (size_t)s->rows * s->columns; i++)
		s->cells[i] = (struct screen_cell){ .text = " " };
}

static struct screen_cell *cell(const struct screen *s, unsigned int row, unsigned int column)
{
	if (row >= s->rows || column >= s->columns)
		return NULL;
	return &s->cells[(size_t)row * s->columns + column];
}

const struct screen_cell *screen_at(const struct screen *s, unsigned int row, unsigned int column)
{
	return cell(s, row, column);
}

struct glyph {
	char text[5];
	unsigned int width;	/* 1 or 2 */
};

/* The next character; returns its bytes. */
static size_t next_glyph(const struct screen *s, const char *text, size_t len, struct glyph *ret)
{
	size_t n = utf8_sequence(text, len);
	int width = 1;
	uint32_t c;

	*ret = (struct glyph){ "?", 1 };
	if (!n)
		return 1;
	c = utf8_code(text, n);
	if (utf8_disturbs(c) || (n > 1 && !s->unicode))
		return n;
	if (n > 1)
		width = wcwidth((wchar_t)c);
	if (width != 1 && width != 2)
		return n;
	memcpy(ret->text, text, n);
	ret->text[n] = '\0';
	ret->width = (unsigned int)width;
	return n;
}

static void set(struct screen *s, unsigned int row, unsigned int column, enum screen_tone tone,
		const char *text)
{
	struct screen_cell *c = cell(s, row, column);

	assert(c);
	memset(c->text, 0, sizeof(c->text));
	memcpy(c->text, text, strlen(text));
	c->tone = (uint8_t)tone;
}

/* Half of a wide character alone is none: before something is put at a column, and behind it. */
static void mend_before(struct screen *s, unsigned int row, unsigned int column)
{
	struct screen_cell *c = cell(s, row, column);

	if (c && !c->text[0] && column)
		memcpy(c[-1].text, " ", 2);
}

static void mend_behind(struct screen *s, unsigned int row, unsigned int column)
{
	struct screen_cell *c = cell(s, row, column);

	if (c && !c->text[0])
		c->text[0] = ' ';
}

unsigned int screen_put(struct screen *s, unsigned int row, unsigned int column,
			unsigned int width, enum screen_tone tone, const char *text, size_t len)
{
	unsigned int at = 0, last = 0;
	struct glyph g;

	if (row >= s->rows || column >= s->columns)
		return 0;
	if (width > s->columns - column)
		width = s->columns - column;
	mend_before(s, row, column);
	for (size_t i = 0; i < len && width;) {
		i += next_glyph(s, text + i, len - i, &g);
		if (at + g.width > width) {
			/* Over the last character, all of it if it is a wide one. */
			for (unsigned int k = last + 1; k < at; k++)
				set(s, row, column + k, tone, " ");
			set(s, row, column + last, tone, "~");
			at = at ? at : 1;
			break;
		}
		last = at;
		set(s, row, column + at, tone, g.text);
		if (g.width == 2)
			set(s, row, column + at + 1, tone, "");
		at += g.width;
	}
	mend_behind(s, row, column + at);
	return at;
}

unsigned int screen_say(struct screen *s, unsigned int row, unsigned int column,
			enum screen_tone tone, const char *text)
{
	return screen_put(s, row, column, s->columns, tone, text, strlen(text));
}

void screen_right(struct screen *s, unsigned int row, unsigned int column, unsigned int width,
		  enum screen_tone tone, const char *text)
{
	size_t len = strlen(text);
	unsigned int lead = len < width ? width - (unsigned int)len : 0;

	screen_say(s, row, column + lead, tone, text);
}

void screen_tint(struct screen *s, unsigned int row, enum screen_tone tone)
{
	for (unsigned int i = 0; row < s->rows && i < s->columns; i++)
		cell(s, row, i)->tone = (uint8_t)tone;
}

void screen_heat(struct screen *s, unsigned int row, unsigned int column, unsigned int shade)
{
	static const char shades[SCREEN_SHADES + 1] = " .:-=+*#%@";
	char text[2] = { shades[shade < SCREEN_SHADES ? shade : SCREEN_SHADES - 1], '\0' };

	if (row >= s->rows || column >= s->columns)
		return;
	if (shade >= SCREEN_SHADES)
		shade = SCREEN_SHADES - 1;
	mend_before(s, row, column);
	mend_behind(s, row, column + 1);
	set(s, row, column, SCREEN_HEAT + shade, text);
}

unsigned int screen_shade(uint64_t n, uint64_t most)
{
	const uint64_t darkest = SCREEN_SHADES - 1;

	if (!n || !most)
		return 0;
	if (n >= most)
		return SCREEN_SHADES - 1;
	/* Counts may be as large as they like. */
	return (unsigned int)(1 + (uint64_t)((double)n / (double)most * (double)(darkest - 1)));
}

size_t screen_row(const struct screen *s, unsigned int row, char *buf, size_t cap)
{
	size_t at = 0, end = 0;

	if (!cap)
		return 0;
	for (unsigned int i = 0; row < s->rows && i < s->columns; i++) {
		const char *text = cell(s, row, i)->text;
		size_t n = strlen(text);

		if (at + n + 1 > cap)
			break;
		memcpy(buf + at, text, n);
		at += n;
		if (n && strcmp(text, " ") != 0)
			end = at;
	}
	buf[end] = '\0';
	return end;
}
