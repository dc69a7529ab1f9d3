/* SPDX-License-Identifier: MIT */
/*
 * Reader, schema: what the reader takes and what the JSON Schema says are one.
 *
 * Reads monitor/trace/trace-1.schema.json from $SRC or the working directory.
 */

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "suite.h"
#include "trace-samples.h"
#include "trace/names.h"
#include "trace/reader.h"

static const struct reader slow = { .page_size = SAMPLE_PAGE, .strict = true, .slow = true };

static char line[RECORD_TEXT_LINE_MAX];

/* Length of the sample's line without its newline. */
static size_t format(const struct record *r, uint64_t seq)
{
	int64_t n = record_format(r, seq, SAMPLE_PAGE, line, sizeof(line) - 1);

	CU_ASSERT_FATAL(n > 0);
	line[n] = '\0';
	return (size_t)n - 1;
}

/* The schema file and the reader ask for the same keys and know the same words. */

static json_t *load_schema(void)
{
	const char *src = getenv("SRC");
	char path[512];
	json_error_t e;

	snprintf(path, sizeof(path), "%s/monitor/trace/trace-1.schema.json", src ? src : ".");
	return json_load_file(path, 0, &e);
}

static int read_object(json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	struct reader_record rec = { 0 };
	struct reader_error e;
	int r = reader_record(&slow, text, strlen(text), &rec, &e);

	record_release(&rec.record);
	free(text);
	return r;
}

static bool requires(json_t *kind, const char *key)
{
	json_t *list = json_object_get(kind, "required"), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		if (!strcmp(json_string_value(one), key))
			return true;
	}
	return false;
}

/* Each key of the sample, left out: the schema and the reader agree whether that may be. */
static void check_keys(json_t *kind, json_t *sample, const char *ev)
{
	json_t *properties = json_object_get(kind, "properties");
	const char *key;
	json_t *value;

	json_object_foreach(properties, key, value) {
		json_t *less = json_deep_copy(sample);
		bool needed = requires(kind, key);
		/* One that depends on another key's value. */
		bool depends = !strcmp(key, "why") || strstr(key, "_hex");

		if (needed)
			CU_ASSERT_PTR_NOT_NULL(json_object_get(sample, key));
		if (!json_object_del(less, key) && !depends && strcmp(ev, "gap")) {
			CU_ASSERT_EQUAL(read_object(less), needed ? -EBADMSG : 0);
			if (needed != !!read_object(less))
				printf("\n%s.%s\n", ev, key);
		}
		/* And no key takes a value of a type it cannot have. */
		json_object_set_new(less, key, json_pack("[[]]"));
		if (needed)
			CU_ASSERT_EQUAL(read_object(less), -EBADMSG);
		json_decref(less);
	}
	json_object_foreach(sample, key, value)
		CU_ASSERT_PTR_NOT_NULL(json_object_get(properties, key));
}

static void test_schema_keys(void)
{
	json_t *schema = load_schema(), *definitions;

	CU_ASSERT_PTR_NOT_NULL_FATAL(schema);
	definitions = json_object_get(schema, "definitions");
	for (size_t i = 0; i < SAMPLES; i++) {
		struct record r = sample_record(&samples[i]);
		json_t *sample = json_loadb(line, format(&r, 1), 0, NULL);
		json_t *kind = json_object_get(definitions, record_kind_name(r.kind));

		CU_ASSERT_PTR_NOT_NULL_FATAL(kind);
		check_keys(kind, sample, record_kind_name(r.kind));
		json_decref(sample);
		record_release(&r);
	}
	json_decref(schema);
}

static void check_words(json_t *definitions, const char *kind, const char *key,
			enum names_set set)
{
	json_t *one = json_object_get(json_object_get(json_object_get(definitions, kind),
						      "properties"), key);
	json_t *list = json_object_get(one, "enum");
	unsigned int v = 0;

	for (; names_word(set, v); v++)
		CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(list, v)),
				       names_word(set, v));
	CU_ASSERT_EQUAL(json_array_size(list), v);
}

static void test_schema_words(void)
{
	json_t *schema = load_schema(), *d;

	CU_ASSERT_PTR_NOT_NULL_FATAL(schema);
	d = json_object_get(schema, "definitions");
	check_words(d, "fault", "kind", NAMES_FAULT_KIND);
	check_words(d, "fault", "act", NAMES_FAULT_ACT);
	check_words(d, "fault", "via", NAMES_FAULT_VIA);
	check_words(d, "fault", "src", NAMES_FAULT_SRC);
	check_words(d, "vma", "op", NAMES_VMA_OP);
	check_words(d, "vma", "kind", NAMES_VMA_KIND);
	check_words(d, "vma", "why", NAMES_VMA_WHY);
	check_words(d, "arm", "mode", NAMES_ARM_MODE);
	check_words(d, "gap", "reason", NAMES_GAP_REASON);
	check_words(d, "lost", "reason", NAMES_LOST_REASON);
	check_words(d, "detach", "reason", NAMES_DETACH_REASON);
	json_decref(schema);
}

static const struct suite_test tests[] = {
	{ "schema: keys", test_schema_keys },
	{ "schema: words", test_schema_words },
};

SUITE_MAIN("reader-schema", tests)
