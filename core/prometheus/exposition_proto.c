/* io.prometheus.client (prometheus/client_model, metrics.proto), each MetricFamily after its length.
 * A family of many metrics comes in several messages, so that none needs to be whole in memory. */
#include "core/prometheus/exposition_internal.h"

#include "core/wire/cursor.h"

#include <math.h>
#include <stdlib.h>

enum { MESSAGE_BYTES = 32 * 1024 };

/* ---- wire format: fields are written forwards, and the length of a message moved in behind */

static void put_varint(struct buffer *out, uint64_t value)
{
	uint8_t bytes[10];
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[n++] = (uint8_t)(value | 0x80);
	bytes[n++] = (uint8_t)value;
	buffer_append(out, bytes, n);
}

static void put_tag(struct buffer *out, uint32_t number, enum wire_type type)
{
	put_varint(out, number << 3 | type);
}

static void put_uint(struct buffer *out, uint32_t number, uint64_t value)
{
	put_tag(out, number, WIRE_VARINT);
	put_varint(out, value);
}

static uint64_t zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static void put_sint(struct buffer *out, uint32_t number, int64_t value)
{
	put_uint(out, number, zigzag(value));
}

static void put_double(struct buffer *out, uint32_t number, double value)
{
	uint8_t bytes[8];
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(bits >> (8 * i));
	put_tag(out, number, WIRE_FIXED64);
	buffer_append(out, bytes, sizeof bytes);
}

static size_t begin(struct buffer *out, uint32_t number)
{
	put_tag(out, number, WIRE_LENGTH);
	return out->len;
}

static void end(struct buffer *out, size_t at)
{
	size_t len = out->len - at, prefix = cursor_varint_size(len);
	uint64_t rest = len;

	if (out->failed || !buffer_reserve(out, prefix))
		return;
	memmove(out->data + at + prefix, out->data + at, len);
	for (size_t i = 0; i < prefix; i++, rest >>= 7)
		out->data[at + i] = (uint8_t)(rest & 0x7f) | (i + 1 < prefix ? 0x80 : 0);
	out->len += prefix;
}

static void put_bytes(struct buffer *out, uint32_t number, struct slice bytes)
{
	put_tag(out, number, WIRE_LENGTH);
	put_varint(out, bytes.len);
	if (bytes.len > 0)
		buffer_append_slice(out, bytes);
}

/* ---- pieces of metrics */

/* google.protobuf.Timestamp */
static void put_time(struct buffer *out, uint32_t number, int64_t ms)
{
	size_t at = begin(out, number);
	int64_t seconds = ms / 1000 - (ms % 1000 < 0);

	put_uint(out, 1, (uint64_t)seconds);
	put_uint(out, 2, (uint64_t)(ms - seconds * 1000) * 1000000);
	end(out, at);
}

static void put_label(const struct exposition_cursor *c, struct buffer *out, struct slice name,
                      struct slice value)
{
	size_t at = begin(out, 1), name_at = begin(out, 1);

	exposition_append_name(c, out, name, true);
	end(out, name_at);
	put_bytes(out, 2, value);
	end(out, at);
}

static void put_exemplar(const struct exposition_cursor *c, struct buffer *out, uint32_t number,
                         const struct exemplar *x)
{
	size_t at = begin(out, number);

	for (size_t i = 0; i < x->n_labels; i++)
		put_label(c, out, x->labels[i].name, x->labels[i].value);
	put_double(out, 2, x->value);
	put_time(out, 3, x->ms);
	end(out, at);
}

static void put_point_exemplar(const struct exposition_cursor *c, struct buffer *out,
                               uint32_t number, const struct exposition_point *p)
{
	if (p->exemplars)
		put_exemplar(c, out, number, &p->exemplars->all[0]);
}

/* Those of the metric; le and quantile are not among them. */
static void put_labels(const struct exposition_cursor *c, struct buffer *out,
                       const struct exposition_point *p)
{
	const struct series *s = p->series;

	for (uint32_t i = 0; i < s->shape->n_labels; i++) {
		struct series_label label = series_label(s, i);
		struct slice name = exposition_text(c, label.name);

		if (label.name == c->exposition->name_symbol ||
		    (s->role == SERIES_BUCKET && slice_equal(name, SLICE_LITERAL("le"))) ||
		    (s->role == SERIES_QUANTILE && slice_equal(name, SLICE_LITERAL("quantile"))))
			continue;
		put_label(c, out, name, exposition_text(c, label.value));
	}
}

static uint64_t whole(double value)
{
	if (!(value > 0)) /* NaN too */
		return 0;
	return value < 18446744073709551615.0 ? (uint64_t)value : UINT64_MAX;
}

/* ---- metrics */

/* MetricType */
enum { COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM };

static unsigned type_number(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return COUNTER;
	case METRIC_GAUGE:
	case METRIC_INFO:
	case METRIC_STATESET:
		return GAUGE;
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM:
		return HISTOGRAM;
	case METRIC_SUMMARY:
		return SUMMARY;
	default:
		return UNTYPED;
	}
}

static void put_value(const struct exposition_cursor *c, struct buffer *out, unsigned type,
                      const struct exposition_point *p)
{
	size_t at = begin(out, type == GAUGE ? 2 : type == COUNTER ? 3 : 5);

	put_double(out, 1, p->value);
	if (type == COUNTER) {
		put_point_exemplar(c, out, 2, p);
		if (p->start_ms)
			put_time(out, 3, p->start_ms);
	}
	end(out, at);
}

static void put_sum_and_count(struct buffer *out, const struct exposition_metric *m)
{
	const struct exposition_point *count = exposition_find_point(m, SERIES_COUNT);
	const struct exposition_point *sum = exposition_find_point(m, SERIES_SUM);

	if (count)
		put_uint(out, 1, whole(count->value));
	if (sum)
		put_double(out, 2, sum->value);
}

static void put_summary(struct buffer *out, const struct exposition_metric *m, int64_t start_ms)
{
	size_t at = begin(out, 4), quantile_at;

	put_sum_and_count(out, m);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct exposition_point *p = m->points[i];

		if (p->series->role != SERIES_QUANTILE || !p->present)
			continue;
		quantile_at = begin(out, 3);
		put_double(out, 1, p->bound);
		put_double(out, 2, p->value);
		end(out, quantile_at);
	}
	if (start_ms)
		put_time(out, 4, start_ms);
	end(out, at);
}

static void put_buckets(const struct exposition_cursor *c, struct buffer *out,
                        const struct exposition_metric *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct exposition_point *p = m->points[i];
		size_t at;

		if (p->series->role != SERIES_BUCKET || !p->present)
			continue;
		at = begin(out, 3);
		put_uint(out, 1, whole(p->value));
		put_double(out, 2, p->bound);
		put_point_exemplar(c, out, 3, p);
		end(out, at);
	}
}

static void put_spans(struct buffer *out, uint32_t number, const struct native_span *spans,
                      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = begin(out, number);

		put_sint(out, 1, spans[i].offset);
		put_uint(out, 2, spans[i].length);
		end(out, at);
	}
}

static void put_deltas(struct buffer *out, uint32_t number, const int64_t *deltas, size_t n)
{
	size_t at;

	if (n == 0)
		return;
	at = begin(out, number);
	for (size_t i = 0; i < n; i++)
		put_varint(out, zigzag(deltas[i]));
	end(out, at);
}

static void put_native(const struct exposition_cursor *c, struct buffer *out,
                       const struct exposition_point *p, bool classic)
{
	static const struct native_span nothing = {0};
	struct native_histogram h;
	void *memory;

	if (!exposition_sum_natives(p->native, &h, &memory)) {
		out->failed = true;
		return;
	}
	if (!classic) {
		put_uint(out, 1, h.count);
		put_double(out, 2, h.sum);
	}
	put_sint(out, 5, h.schema);
	put_double(out, 6, h.zero_threshold);
	put_uint(out, 7, h.zero_count);
	put_spans(out, 9, h.negative_spans, h.n_negative_spans);
	put_deltas(out, 10, h.negative_deltas, h.n_negative_deltas);
	put_spans(out, 12, h.positive_spans, h.n_positive_spans);
	put_deltas(out, 13, h.positive_deltas, h.n_positive_deltas);
	if (h.n_positive_spans + h.n_negative_spans == 0)
		put_spans(out, 12, &nothing, 1); /* what tells an empty one from a classic one */
	for (size_t i = 0; p->exemplars && i < p->exemplars->n; i++)
		put_exemplar(c, out, 16, &p->exemplars->all[i]);
	free(memory);
}

static void put_histogram(const struct exposition_cursor *c, struct buffer *out,
                          const struct exposition_metric *m, int64_t start_ms)
{
	const struct exposition_point *native = exposition_find_point(m, SERIES_NATIVE);
	bool classic = exposition_find_point(m, SERIES_COUNT) != NULL;
	size_t at = begin(out, 7);

	put_sum_and_count(out, m);
	put_buckets(c, out, m);
	if (native && native->native->histogram.schema >= -4)
		put_native(c, out, native, classic);
	if (start_ms)
		put_time(out, 15, start_ms);
	end(out, at);
}

/* ---- families */

static void begin_family(struct exposition_cursor *c)
{
	const struct series_family *family = c->family->family;
	struct slice help = exposition_text(c, family->help),
		     unit = exposition_text(c, family->unit);
	struct buffer *out = &c->message;
	size_t at = begin(out, 1);

	exposition_append_name(c, out, exposition_text(c, family->name), false);
	end(out, at);
	if (help.len > 0)
		put_bytes(out, 2, help);
	put_uint(out, 3, type_number(family->type));
	if (unit.len > 0)
		put_bytes(out, 5, unit);
	c->headed = true;
}

void exposition_write_proto(struct exposition_cursor *c, const struct exposition_metric *m,
                            struct buffer *out)
{
	unsigned type = type_number(m->family->family->type);
	const struct exposition_point *p = m->points[0];
	struct buffer *message = &c->message;
	size_t at;

	for (uint32_t i = 0; !p->present && i < m->n; i++)
		p = m->points[i];
	if (!c->headed)
		begin_family(c);
	at = begin(message, 4);
	put_labels(c, message, p);
	if (type == SUMMARY)
		put_summary(message, m, p->start_ms);
	else if (type == HISTOGRAM)
		put_histogram(c, message, m, p->start_ms);
	else
		put_value(c, message, type, p);
	if (c->timestamps)
		put_uint(message, 6, (uint64_t)p->ms);
	end(message, at);
	if (message->len >= MESSAGE_BYTES || message->failed)
		exposition_flush_proto(c, out);
}

void exposition_flush_proto(struct exposition_cursor *c, struct buffer *out)
{
	if (c->message.failed)
		out->failed = true;
	put_varint(out, c->message.len);
	buffer_append_slice(out, buffer_slice(&c->message));
	buffer_clear(&c->message);
	c->headed = false;
}
