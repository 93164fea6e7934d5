#include "tests/fuzz/remote_write_strict.h"

#include "core/wire/cursor.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { LABELS_MAX = 4096 };

struct pair {
	struct slice name, value;
};

struct known {
	struct buffer key; /* the labels of a series, with their lengths */
	int64_t last_ms;
};

struct reader {
	enum remote_write_version version;
	bool legacy;
	const char *wrong; /* the first fault */
	struct strict_figures *figures;
	struct buffer *text;

	struct slice *symbols;
	bool *used;
	size_t n_symbols;

	struct known *known;
	size_t n_known;
	struct pair pairs[LABELS_MAX];
	size_t n_pairs;
};

static bool want(struct reader *r, bool condition, const char *otherwise)
{
	if (!condition && !r->wrong)
		r->wrong = otherwise;
	return condition;
}

#define WANT(condition) want(r, condition, "not true: " #condition)

static uint64_t number(const struct cursor_field *f)
{
	uint64_t value = 0;

	if (f->type == WIRE_VARINT)
		cursor_varint(f->body.data, f->body.data + f->body.len, &value);
	else
		memcpy(&value, f->body.data, f->body.len < 8 ? f->body.len : 8);
	return value;
}

static double real(const struct cursor_field *f)
{
	uint64_t bits = number(f);
	double value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

static int64_t unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static struct slice symbol(struct reader *r, uint64_t at)
{
	if (!WANT(at < r->n_symbols))
		return (struct slice){0};
	r->used[at] = true;
	return r->symbols[at];
}

/* ---- labels */

static void add_pair(struct reader *r, struct slice name, struct slice value)
{
	if (!WANT(r->n_pairs < LABELS_MAX) || !WANT(name.len > 0) || !WANT(value.len > 0))
		return;
	r->pairs[r->n_pairs++] = (struct pair){name, value};
}

static void read_label(struct reader *r, struct slice body)
{
	struct cursor c = cursor_of(body);
	struct cursor_field f;
	struct slice name = {0}, value = {0};

	while (cursor_next(&c, &f)) {
		WANT(f.type == WIRE_LENGTH && (f.number == 1 || f.number == 2));
		*(f.number == 1 ? &name : &value) = f.body;
	}
	WANT(!c.error);
	add_pair(r, name, value);
}

static void read_refs(struct reader *r, struct slice body)
{
	const uint8_t *at = body.data, *end = at + body.len;
	uint64_t name, value;

	while (at < end && !r->wrong) {
		at = cursor_varint(at, end, &name);
		if (!WANT(at != NULL))
			return;
		at = cursor_varint(at, end, &value);
		if (!WANT(at != NULL)) /* references come in twos */
			return;
		add_pair(r, symbol(r, name), symbol(r, value));
	}
}

static void check_sorted(struct reader *r)
{
	for (size_t i = 1; i < r->n_pairs; i++)
		WANT(slice_compare(r->pairs[i - 1].name, r->pairs[i].name) < 0);
}

static void check_names(struct reader *r)
{
	struct slice metric = {0};

	for (size_t i = 0; i < r->n_pairs; i++) {
		struct slice name = r->pairs[i].name;

		if (slice_equal(name, SLICE_LITERAL("__name__")))
			metric = r->pairs[i].value;
		else if (r->legacy)
			WANT(name_is_legacy_label(name));
	}
	WANT(metric.len > 0);
	if (r->legacy)
		WANT(name_is_legacy_metric(metric));
}

static void print_labels(struct reader *r)
{
	if (!r->text)
		return;
	for (size_t i = 0; i < r->n_pairs; i++)
		buffer_printf(r->text, "%s%.*s=%.*s", i ? "," : "", SLICE_PRINTF(r->pairs[i].name),
		              SLICE_PRINTF(r->pairs[i].value));
}

static struct known *find_series(struct reader *r)
{
	struct buffer key = BUFFER_INIT;

	for (size_t i = 0; i < r->n_pairs; i++) {
		buffer_append(&key, &r->pairs[i].name.len, sizeof(size_t));
		buffer_append_slice(&key, r->pairs[i].name);
		buffer_append(&key, &r->pairs[i].value.len, sizeof(size_t));
		buffer_append_slice(&key, r->pairs[i].value);
	}
	for (size_t i = 0; i < r->n_known; i++)
		if (slice_equal(buffer_slice(&key), buffer_slice(&r->known[i].key))) {
			buffer_fini(&key);
			return &r->known[i];
		}
	r->known = realloc(r->known, (r->n_known + 1) * sizeof *r->known);
	r->known[r->n_known] = (struct known){key, INT64_MIN};
	return &r->known[r->n_known++];
}

/* ---- samples */

static void check_time(struct reader *r, struct known *series, int64_t ms)
{
	WANT(ms > series->last_ms);
	series->last_ms = ms;
}

static void read_sample(struct reader *r, struct slice body, struct known *series)
{
	struct cursor c = cursor_of(body);
	struct cursor_field f;
	double value = 0;
	int64_t ms = 0, start = 0;

	while (cursor_next(&c, &f)) {
		WANT(f.number <= (r->version == REMOTE_WRITE_2 ? 3 : 2));
		if (f.number == 1 && WANT(f.type == WIRE_FIXED64))
			value = real(&f);
		else if (WANT(f.type == WIRE_VARINT))
			*(f.number == 2 ? &ms : &start) = (int64_t)number(&f);
	}
	WANT(!c.error);
	check_time(r, series, ms);
	r->figures->samples++;
	if (r->text)
		buffer_printf(r->text, " %.17g@%" PRId64 "/%" PRId64, value, ms, start);
}

static size_t span_length(struct reader *r, struct slice body)
{
	struct cursor c = cursor_of(body);
	struct cursor_field f;
	size_t length = 0;

	while (cursor_next(&c, &f)) {
		WANT(f.type == WIRE_VARINT && (f.number == 1 || f.number == 2));
		if (f.number == 2)
			length = number(&f);
	}
	WANT(!c.error);
	return length;
}

struct buckets {
	size_t spans, deltas;
	uint64_t count;
};

static void read_deltas(struct reader *r, struct slice body, struct buckets *b)
{
	const uint8_t *at = body.data, *end = at + body.len;
	uint64_t value;
	int64_t count = 0;

	while (at && at < end) {
		at = cursor_varint(at, end, &value);
		if (!WANT(at != NULL))
			return;
		count = (int64_t)((uint64_t)count + (uint64_t)unzigzag(value));
		b->deltas++;
		b->count += (uint64_t)count;
	}
}

static void read_histogram(struct reader *r, struct slice body, struct known *series)
{
	struct buckets negative = {0}, positive = {0};
	struct cursor c = cursor_of(body);
	struct cursor_field f;
	uint64_t count = 0, zero = 0, hint = 0;
	bool has_count = false;
	double sum = 0;
	int64_t ms = 0, start = 0, schema = 0;

	while (cursor_next(&c, &f)) {
		switch (f.number) {
		case 1:
			count = number(&f);
			has_count = true;
			break;
		case 3:
			sum = real(&f);
			break;
		case 4:
			schema = unzigzag(number(&f));
			break;
		case 5:
			WANT(real(&f) >= 0);
			break;
		case 6:
			zero = number(&f);
			break;
		case 8:
			negative.spans += span_length(r, f.body);
			break;
		case 9:
			read_deltas(r, f.body, &negative);
			break;
		case 11:
			positive.spans += span_length(r, f.body);
			break;
		case 12:
			read_deltas(r, f.body, &positive);
			break;
		case 14:
			hint = number(&f);
			break;
		case 15:
			ms = (int64_t)number(&f);
			break;
		case 16:
			WANT(schema == -53 && f.body.len % 8 == 0);
			break;
		case 17:
			WANT(r->version == REMOTE_WRITE_2);
			start = (int64_t)number(&f);
			break;
		default:
			WANT(!"a field that a histogram does not have");
		}
	}
	WANT(!c.error && has_count);
	WANT((schema >= -4 && schema <= 8) || schema == -53);
	WANT(negative.spans == negative.deltas && positive.spans == positive.deltas);
	WANT(isnan(sum) || count == zero + negative.count + positive.count);
	check_time(r, series, ms);
	r->figures->histograms++;
	if (r->text)
		buffer_printf(r->text,
		              " {count %" PRIu64 " sum %g schema %" PRId64 " zero %" PRIu64
		              " positive %zu negative %zu hint %" PRIu64 "}@%" PRId64 "/%" PRId64,
		              count, sum, schema, zero, positive.deltas, negative.deltas, hint, ms,
		              start);
}

static void read_exemplar(struct reader *r, struct slice body)
{
	struct cursor c = cursor_of(body);
	struct cursor_field f;
	double value = 0;
	int64_t ms = 0;

	r->n_pairs = 0;
	while (cursor_next(&c, &f)) {
		if (f.number == 1 && r->version == REMOTE_WRITE_2)
			read_refs(r, f.body);
		else if (f.number == 1)
			read_label(r, f.body);
		else if (f.number == 2)
			value = real(&f);
		else if (WANT(f.number == 3))
			ms = (int64_t)number(&f);
	}
	WANT(!c.error && ms != 0);
	check_sorted(r);
	r->figures->exemplars++;
	if (!r->text)
		return;
	buffer_append_string(r->text, " # ");
	print_labels(r);
	buffer_printf(r->text, " %g@%" PRId64, value, ms);
}

static void read_metadata_2(struct reader *r, struct slice body)
{
	struct cursor c = cursor_of(body);
	struct cursor_field f;
	uint64_t type = 0;
	struct slice help = {0}, unit = {0};

	while (cursor_next(&c, &f)) {
		if (f.number == 1)
			type = number(&f);
		else if (f.number == 3)
			help = symbol(r, number(&f));
		else if (WANT(f.number == 4))
			unit = symbol(r, number(&f));
	}
	WANT(!c.error && type <= METRIC_STATESET);
	r->figures->metadata++;
	if (r->text)
		buffer_printf(r->text, " type %" PRIu64 " help '%.*s' unit '%.*s'", type,
		              SLICE_PRINTF(help), SLICE_PRINTF(unit));
}

static void read_metadata_1(struct reader *r, struct slice body)
{
	struct cursor c = cursor_of(body);
	struct cursor_field f;
	uint64_t type = 0;
	struct slice name = {0}, help = {0}, unit = {0};

	while (cursor_next(&c, &f)) {
		if (f.number == 1)
			type = number(&f);
		else if (f.number == 2)
			name = f.body;
		else if (f.number == 4)
			help = f.body;
		else if (WANT(f.number == 5))
			unit = f.body;
	}
	WANT(!c.error && type <= METRIC_STATESET && name.len > 0);
	r->figures->metadata++;
	if (r->text)
		buffer_printf(r->text, "%.*s: type %" PRIu64 " help '%.*s' unit '%.*s'\n",
		              SLICE_PRINTF(name), type, SLICE_PRINTF(help), SLICE_PRINTF(unit));
}

/* Labels come first, being field 1. */
static void read_series(struct reader *r, struct slice body)
{
	uint32_t histogram = r->version == REMOTE_WRITE_2 ? 3 : 4;
	uint32_t exemplar = r->version == REMOTE_WRITE_2 ? 4 : 3;
	size_t samples = r->figures->samples, histograms = r->figures->histograms;
	struct cursor c = cursor_of(body);
	struct known *series = NULL;
	struct cursor_field f;
	uint32_t last = 0;

	r->n_pairs = 0;
	while (!r->wrong && cursor_next(&c, &f)) {
		WANT(f.number >= last);
		last = f.number;
		if (f.number == 1 && r->version == REMOTE_WRITE_1) {
			read_label(r, f.body);
			continue;
		}
		if (f.number == 1) {
			read_refs(r, f.body);
			continue;
		}
		if (!series) {
			check_sorted(r);
			check_names(r);
			print_labels(r);
			series = find_series(r);
		}
		if (f.number == 2)
			read_sample(r, f.body, series);
		else if (f.number == histogram)
			read_histogram(r, f.body, series);
		else if (f.number == exemplar)
			read_exemplar(r, f.body);
		else if (WANT(f.number == 5 && r->version == REMOTE_WRITE_2))
			read_metadata_2(r, f.body);
	}
	WANT(!c.error);
	WANT((r->figures->samples > samples) != (r->figures->histograms > histograms));
	r->figures->series++;
	if (r->text)
		buffer_append_string(r->text, "\n");
}

static void read_symbols(struct reader *r, struct slice bytes)
{
	struct cursor c = cursor_of(bytes);
	struct cursor_field f;

	while (cursor_next(&c, &f))
		r->n_symbols += f.number == 4;
	r->symbols = calloc(r->n_symbols + 1, sizeof *r->symbols);
	r->used = calloc(r->n_symbols + 1, sizeof *r->used);
	r->n_symbols = 0;
	c = cursor_of(bytes);
	while (cursor_next(&c, &f))
		if (f.number == 4)
			r->symbols[r->n_symbols++] = f.body;
	WANT(r->n_symbols > 0 && r->symbols[0].len == 0);
	r->used[0] = true;
	for (size_t i = 0; i < r->n_symbols; i++)
		for (size_t k = 0; k < i; k++)
			WANT(!slice_equal(r->symbols[i], r->symbols[k]));
	r->figures->symbols = r->n_symbols;
}

const char *remote_write_strict(enum remote_write_version version, struct slice bytes, bool legacy,
                                struct strict_figures *ret, struct buffer *text)
{
	struct reader *r = calloc(1, sizeof *r);
	struct cursor c = cursor_of(bytes);
	struct cursor_field f;
	const char *wrong;

	*ret = (struct strict_figures){0};
	r->version = version;
	r->legacy = legacy;
	r->figures = ret;
	r->text = text;
	if (version == REMOTE_WRITE_2)
		read_symbols(r, bytes);
	while (!r->wrong && cursor_next(&c, &f)) {
		if (!WANT(f.type == WIRE_LENGTH))
			break;
		if (version == REMOTE_WRITE_2 && f.number == 4)
			continue;
		if (f.number == (version == REMOTE_WRITE_2 ? 5u : 1u))
			read_series(r, f.body);
		else if (WANT(version == REMOTE_WRITE_1 && f.number == 3))
			read_metadata_1(r, f.body);
	}
	WANT(!c.error);
	for (size_t i = 0; i < r->n_symbols; i++)
		WANT(r->used[i]);
	wrong = r->wrong;
	for (size_t i = 0; i < r->n_known; i++)
		buffer_fini(&r->known[i].key);
	free(r->known);
	free(r->symbols);
	free(r->used);
	free(r);
	return wrong;
}
