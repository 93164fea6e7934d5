#include "tests/unit/prometheus/translation_text.h"

#include "core/base/utf8.h"
#include "core/prometheus/number.h"
#include "core/wire/otlp_json_decode.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

struct batch *translation_batch(const char *json)
{
	struct batch *b = batch_new(SIGNAL_METRICS, NULL);
	struct error error = ERROR_INIT;
	struct slice text = slice_from_string(json), copy;
	ProtobufCMessage *m = NULL;

	if (!b || !arena_copy(&b->arena, text, &copy))
		goto fail;
	for (size_t i = 0; i < copy.len; i++)
		if (copy.data[i] == '\'')
			((uint8_t *)copy.data)[i] = '"';
	if (otlp_json_decode(SIGNAL_METRICS, copy, &b->arena, &m, &error) < 0)
		goto fail;
	Otlp__ExportMetricsServiceRequest *request = (Otlp__ExportMetricsServiceRequest *)m;
	for (size_t i = 0; i < request->n_resource_metrics; i++)
		if (!batch_append(b, &request->resource_metrics[i]->base))
			goto fail;
	return b;
fail:
	batch_unref(b);
	return NULL;
}

/* ---- text */

static void print_labels(struct translator *t, const struct series *s, struct buffer *out)
{
	const struct symbols *symbols = &translator_table(t)->symbols;
	bool first = true;

	buffer_append_slice(out, series_find_label(translator_table(t), s, "__name__"));
	buffer_append_byte(out, '{');
	for (uint32_t i = 0; i < s->shape->n_labels; i++) {
		struct series_label label = series_label(s, i);
		struct slice name = symbols_text(symbols, label.name);

		if (slice_equal(name, SLICE_LITERAL("__name__")))
			continue;
		buffer_append_string(out, first ? "" : ",");
		buffer_append_slice(out, name);
		buffer_append_string(out, "=\"");
		buffer_append_slice(out, symbols_text(symbols, label.value));
		buffer_append_string(out, "\"");
		first = false;
	}
	buffer_append_string(out, "} ");
}

/* Buckets as INDEX:COUNT. */
static void print_spans(const struct native_span *spans, size_t n, const int64_t *deltas,
                        struct buffer *out)
{
	int64_t index = 0, count = 0;

	for (size_t i = 0; i < n; i++) {
		index += spans[i].offset;
		for (uint32_t j = 0; j < spans[i].length; j++, index++) {
			count += *deltas++;
			buffer_printf(out, " %" PRId64 ":%" PRId64, index, count);
		}
	}
}

static void print_native(const struct native_histogram *h, struct buffer *out)
{
	buffer_printf(out, "schema %d count %" PRIu64 " zero %" PRIu64 " sum ", h->schema, h->count,
	              h->zero_count);
	number_append(out, h->sum);
	if (h->n_positive_spans)
		buffer_append_string(out, " positive");
	print_spans(h->positive_spans, h->n_positive_spans, h->positive_deltas, out);
	if (h->n_negative_spans)
		buffer_append_string(out, " negative");
	print_spans(h->negative_spans, h->n_negative_spans, h->negative_deltas, out);
	if (h->n_custom_values)
		buffer_append_string(out, " bounds");
	for (size_t i = 0; i < h->n_custom_values; i++) {
		buffer_append_byte(out, ' ');
		number_append(out, h->custom_values[i]);
	}
}

void translation_print(struct translator *t, const struct translation *tr, struct buffer *out)
{
	for (size_t i = 0; i < tr->n_samples; i++) {
		const struct sample *s = &tr->samples[i];

		print_labels(t, s->series, out);
		if (s->stale)
			buffer_append_string(out, "stale");
		else if (s->series->role == SERIES_NATIVE)
			print_native(s->histogram, out);
		else
			number_append(out, s->value);
		buffer_printf(out, " @%" PRId64, s->ms);
		if (s->start_ms)
			buffer_printf(out, " from %" PRId64, s->start_ms);
		if (s->late)
			buffer_append_string(out, " late");
		for (uint32_t j = 0; j < s->n_exemplars; j++) {
			const struct exemplar *e = &s->exemplars[j];

			buffer_append_string(out, " # ");
			number_append(out, e->value);
			buffer_printf(out, "@%" PRId64, e->ms);
			for (size_t k = 0; k < e->n_labels; k++)
				buffer_printf(out, " %.*s=%.*s", SLICE_PRINTF(e->labels[k].name),
				              SLICE_PRINTF(e->labels[k].value));
		}
		buffer_append_byte(out, '\n');
	}
}

/* ---- validity */

static bool is_utf8(struct slice s)
{
	for (size_t at = 0, n; at < s.len; at += n) {
		n = utf8_character(s.data + at, s.len - at);
		if (!n)
			return false;
	}
	return true;
}

static const char *labels_wrong(struct translator *t, const struct series *s, bool legacy)
{
	const struct symbols *symbols = &translator_table(t)->symbols;
	struct slice before = {0};
	bool named = false;

	for (uint32_t i = 0; i < s->shape->n_labels; i++) {
		struct slice name = symbols_text(symbols, s->shape->names[i]);
		struct slice value = symbols_text(symbols, s->values[i]);
		bool is_name = slice_equal(name, SLICE_LITERAL("__name__"));

		if (i && slice_compare(before, name) >= 0)
			return "labels are not sorted, or not unique";
		if (!name.len || !value.len)
			return "a label without name or value";
		if (!is_utf8(name) || !is_utf8(value))
			return "a label that is no UTF-8";
		if (legacy && !name_is_legacy_label(name))
			return "a label with a wrong name";
		if (!is_name && name.len > 1 && memcmp(name.data, "__", 2) == 0)
			return "a reserved label";
		if (is_name && legacy && !name_is_legacy_metric(value))
			return "a wrong metric name";
		named |= is_name;
		before = name;
	}
	return named ? NULL : "no metric name";
}

static const char *side_wrong(const struct native_span *spans, size_t n_spans,
                              const int64_t *deltas, size_t n_deltas, uint64_t *count)
{
	size_t n = 0;
	int64_t value = 0;

	for (size_t i = 0; i < n_spans; i++) {
		if (i && spans[i].offset < 0)
			return "a span before the last one";
		if (!spans[i].length)
			return "an empty span";
		n += spans[i].length;
	}
	if (n != n_deltas)
		return "spans and deltas do not fit";
	for (size_t i = 0; i < n_deltas; i++) {
		value += deltas[i];
		if (value < 0)
			return "a negative bucket";
		*count += (uint64_t)value;
	}
	return NULL;
}

static const char *native_wrong(const struct sample *s)
{
	const struct native_histogram *h = s->histogram;
	uint64_t count = h->zero_count;
	const char *wrong;

	if (s->stale)
		return isnan(h->sum) ? NULL : "a stale histogram without a stale sum";
	if (h->schema != -53 && (h->schema < -4 || h->schema > 8))
		return "a schema that does not exist";
	wrong = side_wrong(h->positive_spans, h->n_positive_spans, h->positive_deltas,
	                   h->n_positive_deltas, &count);
	if (!wrong)
		wrong = side_wrong(h->negative_spans, h->n_negative_spans, h->negative_deltas,
		                   h->n_negative_deltas, &count);
	if (!wrong && count != h->count)
		wrong = "a count that is not that of the buckets";
	if (!wrong && h->schema == -53) {
		int64_t end = 0;

		for (size_t i = 0; i < h->n_positive_spans; i++)
			end += h->positive_spans[i].offset + (int64_t)h->positive_spans[i].length;
		if (end > (int64_t)h->n_custom_values + 1 ||
		    (h->n_positive_spans && h->positive_spans[0].offset < 0))
			wrong = "a bucket without a bound";
		for (size_t i = 0; i < h->n_custom_values; i++)
			if (!isfinite(h->custom_values[i]) ||
			    (i && h->custom_values[i] <= h->custom_values[i - 1]))
				wrong = "bounds that do not rise";
	}
	return wrong;
}

static const char *exemplars_wrong(const struct sample *s)
{
	for (uint32_t i = 0; i < s->n_exemplars; i++) {
		const struct exemplar *e = &s->exemplars[i];

		if (!e->ms)
			return "an exemplar without a time";
		if (i && s->exemplars[i - 1].ms > e->ms)
			return "exemplars out of order";
		for (size_t k = 0; k < e->n_labels; k++)
			if (!e->labels[k].name.len || !e->labels[k].value.len ||
			    (k && slice_compare(e->labels[k - 1].name, e->labels[k].name) >= 0))
				return "an exemplar with wrong labels";
	}
	return NULL;
}

static int by_series(const void *a, const void *b)
{
	const struct sample *x = *(const struct sample *const *)a;
	const struct sample *y = *(const struct sample *const *)b;

	if (x->series != y->series)
		return x->series < y->series ? -1 : 1;
	return x < y ? -1 : 1;
}

static const char *order_wrong(const struct translation *tr)
{
	const struct sample **all = calloc(tr->n_samples + 1, sizeof *all);
	const char *wrong = NULL;

	if (!all)
		return NULL;
	for (size_t i = 0; i < tr->n_samples; i++)
		all[i] = &tr->samples[i];
	qsort(all, tr->n_samples, sizeof *all, by_series);
	for (size_t i = 1; i < tr->n_samples; i++)
		if (all[i]->series == all[i - 1]->series && all[i]->ms <= all[i - 1]->ms)
			wrong = "timestamps of a series do not rise";
	free(all);
	return wrong;
}

const char *translation_wrong(struct translator *t, const struct translation *tr,
                              enum name_strategy strategy)
{
	bool legacy = strategy == NAME_ESCAPED || strategy == NAME_ESCAPED_SUFFIXED;
	const char *wrong = order_wrong(tr);

	for (size_t i = 0; i < tr->n_samples && !wrong; i++) {
		const struct sample *s = &tr->samples[i];

		wrong = labels_wrong(t, s->series, legacy);
		if (!wrong && s->series->role == SERIES_NATIVE)
			wrong = native_wrong(s);
		if (!wrong)
			wrong = exemplars_wrong(s);
		if (!wrong && (s->ms <= 0 || s->start_ms < 0 || s->start_ms > s->ms))
			wrong = "a time that cannot be";
	}
	return wrong;
}
