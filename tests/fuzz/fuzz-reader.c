/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: the reader of lines, and the validator behind it.
 *
 * The input is the text of a trace without its header.  Whatever it holds: both ways
 * of reading a line agree, what was read is written and read again as the same, and
 * the validator ends with complaints and nothing worse.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/record-equal.h"
#include "trace/reader.h"
#include "trace/validate.h"

#define PAGE 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char engine[] = "sync";
static const struct reader_header header = { .page_size = PAGE, .engine = engine };

static char line[RECORD_TEXT_LINE_MAX], again[RECORD_TEXT_LINE_MAX];

static void hear(void *arg, uint64_t at, const char *words)
{
	(void)at;
	*(uint64_t *)arg += words[0] != '\0';
}

/* Text that is longer than a line can hold is cut, and so is not the same again. */
static bool is_cut(const struct record *r)
{
	return r->text && r->text->len[0] + r->text->len[1] > RECORD_TEXT_MAX / 2;
}

static void check_round_trip(const struct reader *rd, const struct reader_record *rec)
{
	struct reader_record back;
	struct reader_error e;
	int64_t n, m;

	if (rec->unknown || is_cut(&rec->record))
		return;
	n = record_format(&rec->record, rec->seq, PAGE, line, sizeof(line));
	if (n < 0 || reader_record(rd, line, (size_t)n - 1, &back, &e) < 0)
		abort();
	m = record_format(&back.record, back.seq, PAGE, again, sizeof(again));
	if (m != n || memcmp(line, again, (size_t)n))
		abort();
	record_release(&back.record);
}

static void check_line(const char *text, size_t len, struct validator *v, uint64_t number)
{
	const struct reader quick = { .page_size = PAGE };
	const struct reader slow = { .page_size = PAGE, .slow = true };
	struct reader_record a = { 0 }, b = { 0 };
	struct reader_error ea = { "" }, eb = { "" };
	int ra = reader_record(&quick, text, len, &a, &ea);
	int rb = reader_record(&slow, text, len, &b, &eb);

	if (ra != rb || strcmp(ea.text, eb.text))
		abort();
	if (ra == -EBADMSG) {
		validate_bad_line(v, number, ea.text);
	} else if (!ra) {
		if (a.seq != b.seq || a.unknown != b.unknown || !record_equal(&a.record, &b.record))
			abort();
		check_round_trip(&slow, &a);
		if (validate_record(v, number, &a) < 0)
			abort();
	}
	record_release(&a.record);
	record_release(&b.record);
}

static void check_header(const char *text, size_t len)
{
	struct reader_header h;
	struct reader_error e;

	if (!reader_header(text, len, &h, &e))
		reader_header_release(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;
	uint64_t heard = 0, number = 1;
	struct validator *v;

	if (validate_new(&v, &header, hear, &heard) < 0)
		abort();
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((nl ? nl : end) - text);

		check_header(text, len);
		if (len < READER_LINE_MAX)
			check_line(text, len, v, ++number);
		text += len + 1;
	}
	validate_end(v, number, false);
	if (heard != validate_totals(v)->complaints)
		abort();
	validate_free(v);
	return 0;
}
