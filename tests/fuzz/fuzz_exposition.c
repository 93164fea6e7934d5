/* fuzz exposition: whatever OTLP and whatever Accept, pages are well-formed and whole: every line is a comment or
 * a sample, every message of protobuf ends where its length says. The first byte chooses formats, pieces and
 * what happens between them; then comes an Accept header up to a zero; the rest is an
 * ExportMetricsServiceRequest, which is told twice. */
#include "core/prometheus/exposition.h"
#include "core/wire/cursor.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void on_series_end(void *arg, struct series *s)
{
	exposition_on_series_end(arg, s);
}

static void on_family_end(void *arg, struct series_family *family)
{
	exposition_on_family_end(arg, family);
}

static void tell(struct exposition *e, const struct translation *t)
{
	for (size_t i = 0; i < t->n_samples; i++)
		CHECK(exposition_tell(e, &t->samples[i]) != EXPOSITION_NO_MEMORY);
}

static void translate(struct translator *t, struct exposition *e, struct slice bytes)
{
	struct rcbuf *pin = rcbuf_new(bytes.len, NULL);
	struct error error = ERROR_INIT;
	struct translation tr;
	struct batch *b = NULL;

	CHECK(pin);
	if (bytes.len)
		memcpy(pin->data, bytes.data, bytes.len);
	if (batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size), NULL, &b,
	                       &error) == 0) {
		CHECK(translator_batch(t, b, 1000000000, &tr, &error) == 0);
		tell(e, &tr);
	}
	batch_unref(b);
	rcbuf_unref(pin);
}

/* Quotes are closed where the line ends, and a value stands behind the labels. */
static void check_line(const uint8_t *line, size_t len)
{
	bool quoted = false;
	size_t i = 0;

	CHECK(len > 2);
	if (line[0] == '#')
		return;
	for (; i < len && (quoted || line[i] != ' '); i++) {
		if (quoted && line[i] == '\\')
			CHECK(i + 1 < len && strchr("\\\"n", line[++i]));
		else if (line[i] == '"')
			quoted = !quoted;
	}
	CHECK(!quoted && i + 1 < len);
}

static void check_text(struct slice page)
{
	while (page.len > 0) {
		const uint8_t *end = memchr(page.data, '\n', page.len);

		CHECK(end);
		check_line(page.data, (size_t)(end - page.data));
		page = slice_of(end + 1, page.len - (size_t)(end - page.data) - 1);
	}
}

static void check_messages(struct slice page)
{
	const uint8_t *at = page.data, *end = page.len ? page.data + page.len : page.data;

	while (at < end) {
		struct cursor c;
		struct cursor_field field;
		size_t len;

		at = cursor_length(at, end, &len);
		CHECK(at && len > 0);
		c = cursor_of(slice_of(at, len));
		while (cursor_next(&c, &field))
			if (field.number == 4) {
				struct cursor metric = cursor_of(field.body);

				while (cursor_next(&metric, &field))
					;
				CHECK(!metric.error);
			}
		CHECK(!c.error);
		at += len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size > 1 ? memchr(data + 1, 0, size - 1) : NULL;
	struct exposition e;
	struct translator_options options = {.one_type = true,
	                                     .tell_late = true,
	                                     .max_series = 1000,
	                                     .expiry_ns = 1000000000,
	                                     .on_series_end = on_series_end,
	                                     .on_family_end = on_family_end,
	                                     .arg = &e};
	struct exposition_cursor cursor;
	struct exposition_choice choice;
	struct buffer page = BUFFER_INIT;
	struct translator *t;
	struct translation tr;
	struct slice rest;
	bool changes;

	if (!zero)
		return 0;
	options.strategy = (enum name_strategy)(data[0] & 3);
	changes = data[0] & 4;
	rest = slice_of(zero + 1, size - (size_t)(zero + 1 - data));
	choice = exposition_negotiate(slice_of(data + 1, (size_t)(zero - data) - 1), data[0] & 8);
	if (data[0] & 16)
		choice.format = EXPOSITION_PROTOBUF;
	t = translator_new(&options);
	CHECK(t && exposition_init(&e, translator_table(t), NULL) == 0);
	translate(t, &e, rest);
	exposition_begin(&cursor, &e, choice, data[0] & 32);
	while (exposition_write(&cursor, &page, 1))
		if (changes) {
			if (translator_expire(t, UINT64_C(10000000000), 5000, 2, &tr) == 0)
				tell(&e, &tr);
			changes = e.n_points > 0;
		}
	exposition_end(&cursor);
	CHECK(!page.failed);
	if (choice.format == EXPOSITION_PROTOBUF)
		check_messages(buffer_slice(&page));
	else
		check_text(buffer_slice(&page));
	translate(t, &e, rest);
	exposition_fini(&e);
	translator_free(t);
	buffer_fini(&page);
	return 0;
}
