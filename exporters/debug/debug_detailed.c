/* The long view: everything that a batch holds, in its order, with whole names and values. */
#include "exporters/debug/debug_render.h"
#include "exporters/debug/debug_text.h"

#include "core/base/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { KEY_WIDTH = 12, ATTRIBUTE_WIDTH_MAX = 40 };

/* ---- lines */

static void begin(const struct render *r, size_t indent, const char *key)
{
	text_spaces(r->out, indent);
	text_left(r->out, slice_from_string(key), KEY_WIDTH);
	buffer_append_string(r->out, "  ");
}

static void end(const struct render *r)
{
	buffer_append_byte(r->out, '\n');
}

static void line_text(const struct render *r, size_t indent, const char *key,
                      ProtobufCBinaryData text)
{
	if (!text.len)
		return;
	begin(r, indent, key);
	text_escaped(r->out, text_slice(text), 0);
	end(r);
}

static void line_hex(const struct render *r, size_t indent, const char *key,
                     ProtobufCBinaryData bytes)
{
	if (!bytes.len)
		return;
	begin(r, indent, key);
	text_hex(r->out, text_slice(bytes));
	end(r);
}

static void line_moment(const struct render *r, size_t indent, const char *key, uint64_t unix_ns)
{
	if (!unix_ns)
		return;
	begin(r, indent, key);
	text_moment(r->out, unix_ns);
	end(r);
}

static void line_number(const struct render *r, size_t indent, const char *key, uint64_t n)
{
	if (!n)
		return;
	begin(r, indent, key);
	buffer_printf(r->out, "%" PRIu64, n);
	end(r);
}

/* The exact number, and what it means where that reads differently. */
static void line_value(const struct render *r, size_t indent, const char *key, double value,
                       const int64_t *exact, struct slice unit)
{
	struct buffer plain = BUFFER_INIT, people = BUFFER_INIT;

	if (exact)
		buffer_printf(&plain, "%" PRId64, *exact);
	else
		buffer_printf(&plain, "%.17g", value);
	if (isfinite(value))
		text_quantity(&people, value, unit);
	begin(r, indent, key);
	buffer_append_slice(r->out, buffer_slice(&plain));
	if (unit.len) {
		buffer_append_byte(r->out, ' ');
		text_escaped(r->out, unit, TEXT_SHORT);
	}
	if (people.len && !slice_equal(buffer_slice(&plain), buffer_slice(&people))) {
		buffer_append_string(r->out, "  (");
		buffer_append_slice(r->out, buffer_slice(&people));
		buffer_append_byte(r->out, ')');
	}
	end(r);
	r->out->failed |= plain.failed || people.failed;
	buffer_fini(&plain);
	buffer_fini(&people);
}

static void heading(const struct render *r, size_t indent, const char *what, size_t index,
                    ProtobufCBinaryData name)
{
	text_spaces(r->out, indent);
	render_style(r, STYLE_STRONG);
	buffer_printf(r->out, "%s #%zu", what, index);
	if (name.len) {
		buffer_append_string(r->out, "  ");
		text_escaped(r->out, text_slice(name), 0);
	}
	render_style(r, STYLE_PLAIN);
	end(r);
}

static void attributes(const struct render *r, size_t indent, Otlp__KeyValue *const *list, size_t n,
                       uint32_t dropped)
{
	struct buffer key = BUFFER_INIT;
	size_t widest = 0;

	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < n; i++) {
			text_escaped(&key, text_slice(list[i]->key), 0);
			if (pass) {
				text_spaces(r->out, indent + 2);
				text_left(r->out, buffer_slice(&key), widest);
				buffer_append_string(r->out, "  ");
				text_value(r->out, list[i]->value, 0);
				end(r);
			} else {
				size_t width = text_width(buffer_slice(&key));
				if (width > widest)
					widest = width;
				if (widest > ATTRIBUTE_WIDTH_MAX)
					widest = ATTRIBUTE_WIDTH_MAX;
				if (i == 0) {
					text_spaces(r->out, indent);
					buffer_append_string(r->out, "Attributes\n");
				}
			}
			r->out->failed |= key.failed;
			buffer_clear(&key);
		}
	buffer_fini(&key);
	line_number(r, indent, "Dropped", dropped);
}

static void resource(const struct render *r, size_t index, const Otlp__Resource *resource,
                     ProtobufCBinaryData schema_url)
{
	end(r);
	heading(r, 0, "Resource", index, (ProtobufCBinaryData){0});
	line_text(r, 2, "Schema", schema_url);
	if (resource)
		attributes(r, 2, resource->attributes, resource->n_attributes,
		           resource->dropped_attributes_count);
}

static void scope(const struct render *r, size_t index, const Otlp__InstrumentationScope *s,
                  ProtobufCBinaryData schema_url)
{
	heading(r, 2, "Scope", index, s ? s->name : (ProtobufCBinaryData){0});
	line_text(r, 4, "Schema", schema_url);
	if (!s)
		return;
	line_text(r, 4, "Version", s->version);
	attributes(r, 4, s->attributes, s->n_attributes, s->dropped_attributes_count);
}

/* ---- metrics */

static const char *temporality(Otlp__AggregationTemporality t)
{
	switch (t) {
	case OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA:
		return ", delta";
	case OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE:
		return ", cumulative";
	default:
		return ", no temporality";
	}
}

static void exemplars(const struct render *r, Otlp__Exemplar *const *list, size_t n,
                      struct slice unit)
{
	for (size_t i = 0; i < n; i++) {
		const Otlp__Exemplar *e = list[i];
		bool is_int = e->value_case == OTLP__EXEMPLAR__VALUE_AS_INT;

		heading(r, 8, "Exemplar", i, (ProtobufCBinaryData){0});
		line_moment(r, 10, "Time", e->time_unix_nano);
		line_value(r, 10, "Value", is_int ? (double)e->as_int : e->as_double,
		           is_int ? &e->as_int : NULL, unit);
		line_hex(r, 10, "Trace", e->trace_id);
		line_hex(r, 10, "Span", e->span_id);
		attributes(r, 10, e->filtered_attributes, e->n_filtered_attributes, 0);
	}
}

/* What all kinds of points begin with. */
static void point(const struct render *r, size_t index, Otlp__KeyValue *const *list, size_t n,
                  uint64_t start, uint64_t time, uint32_t flags)
{
	heading(r, 6, "Point", index, (ProtobufCBinaryData){0});
	attributes(r, 8, list, n, 0);
	line_moment(r, 8, "Start", start);
	line_moment(r, 8, "Time", time);
	if (flags & OTLP__DATA_POINT_FLAGS__DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK) {
		begin(r, 8, "Flags");
		buffer_append_string(r->out, "no recorded value\n");
	}
}

static void number_points(const struct render *r, Otlp__NumberDataPoint *const *list, size_t n,
                          struct slice unit)
{
	for (size_t i = 0; i < n; i++) {
		const Otlp__NumberDataPoint *p = list[i];

		point(r, i, p->attributes, p->n_attributes, p->start_time_unix_nano,
		      p->time_unix_nano, p->flags);
		if (p->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT)
			line_value(r, 8, "Value", (double)p->as_int, &p->as_int, unit);
		else if (p->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE)
			line_value(r, 8, "Value", p->as_double, NULL, unit);
		exemplars(r, p->exemplars, p->n_exemplars, unit);
	}
}

static void bucket(const struct render *r, const char *before, double bound, uint64_t count,
                   struct slice unit)
{
	struct buffer text = BUFFER_INIT;

	buffer_append_string(&text, before);
	if (isfinite(bound))
		text_quantity(&text, bound, unit);
	else
		buffer_append_string(&text, "∞");
	text_spaces(r->out, 10);
	text_left(r->out, buffer_slice(&text), KEY_WIDTH);
	buffer_printf(r->out, "%" PRIu64 "\n", count);
	r->out->failed |= text.failed;
	buffer_fini(&text);
}

static void histogram_points(const struct render *r, const Otlp__Histogram *h, struct slice unit)
{
	for (size_t i = 0; i < h->n_data_points; i++) {
		const Otlp__HistogramDataPoint *p = h->data_points[i];

		point(r, i, p->attributes, p->n_attributes, p->start_time_unix_nano,
		      p->time_unix_nano, p->flags);
		line_number(r, 8, "Count", p->count);
		if (p->optional_sum_case == OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM)
			line_value(r, 8, "Sum", p->sum, NULL, unit);
		if (p->optional_min_case == OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MIN_MIN)
			line_value(r, 8, "Min", p->min, NULL, unit);
		if (p->optional_max_case == OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX)
			line_value(r, 8, "Max", p->max, NULL, unit);
		if (p->n_bucket_counts) {
			text_spaces(r->out, 8);
			buffer_append_string(r->out, "Buckets\n");
		}
		for (size_t k = 0; k < p->n_bucket_counts; k++)
			bucket(r,
			       "<= ", k < p->n_explicit_bounds ? p->explicit_bounds[k] : INFINITY,
			       p->bucket_counts[k], unit);
		exemplars(r, p->exemplars, p->n_exemplars, unit);
	}
}

static void exponential_buckets(const struct render *r, const char *sign,
                                const Otlp__ExponentialHistogramDataPoint *p,
                                const Otlp__ExponentialHistogramDataPoint__Buckets *b,
                                struct slice unit)
{
	for (size_t k = 0; b && k < b->n_bucket_counts; k++) {
		double index = (double)b->offset + (double)k + 1;

		if (b->bucket_counts[k])
			bucket(r, sign, exp2(index * exp2(-(double)p->scale)), b->bucket_counts[k],
			       unit);
	}
}

static void exponential_points(const struct render *r, const Otlp__ExponentialHistogram *h,
                               struct slice unit)
{
	for (size_t i = 0; i < h->n_data_points; i++) {
		const Otlp__ExponentialHistogramDataPoint *p = h->data_points[i];

		point(r, i, p->attributes, p->n_attributes, p->start_time_unix_nano,
		      p->time_unix_nano, p->flags);
		line_number(r, 8, "Count", p->count);
		if (p->optional_sum_case)
			line_value(r, 8, "Sum", p->sum, NULL, unit);
		if (p->optional_min_case)
			line_value(r, 8, "Min", p->min, NULL, unit);
		if (p->optional_max_case)
			line_value(r, 8, "Max", p->max, NULL, unit);
		begin(r, 8, "Scale");
		buffer_printf(r->out, "%" PRId32 "\n", p->scale);
		line_number(r, 8, "Zero count", p->zero_count);
		exponential_buckets(r, ">= -", p, p->negative, unit);
		exponential_buckets(r, "<= ", p, p->positive, unit);
		exemplars(r, p->exemplars, p->n_exemplars, unit);
	}
}

static void summary_points(const struct render *r, const Otlp__Summary *s, struct slice unit)
{
	for (size_t i = 0; i < s->n_data_points; i++) {
		const Otlp__SummaryDataPoint *p = s->data_points[i];

		point(r, i, p->attributes, p->n_attributes, p->start_time_unix_nano,
		      p->time_unix_nano, p->flags);
		line_number(r, 8, "Count", p->count);
		line_value(r, 8, "Sum", p->sum, NULL, unit);
		for (size_t k = 0; k < p->n_quantile_values; k++) {
			char key[40];

			snprintf(key, sizeof key, "p%g", p->quantile_values[k]->quantile * 100);
			line_value(r, 8, key, p->quantile_values[k]->value, NULL, unit);
		}
	}
}

static void line_type(const struct render *r, const char *type, const char *more, const char *last)
{
	begin(r, 6, "Type");
	buffer_printf(r->out, "%s%s%s\n", type, more, last);
}

static void metric(const struct render *r, size_t index, const Otlp__Metric *m)
{
	struct slice unit = text_slice(m->unit);

	heading(r, 4, "Metric", index, m->name);
	line_text(r, 6, "Description", m->description);
	line_text(r, 6, "Unit", m->unit);
	switch (m->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		line_type(r, "gauge", "", "");
		number_points(r, m->gauge->data_points, m->gauge->n_data_points, unit);
		break;
	case OTLP__METRIC__DATA_SUM:
		line_type(r, "sum", temporality(m->sum->aggregation_temporality),
		          m->sum->is_monotonic ? ", monotonic" : ", not monotonic");
		number_points(r, m->sum->data_points, m->sum->n_data_points, unit);
		break;
	case OTLP__METRIC__DATA_HISTOGRAM:
		line_type(r, "histogram", temporality(m->histogram->aggregation_temporality), "");
		histogram_points(r, m->histogram, unit);
		break;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		line_type(r, "exponential histogram",
		          temporality(m->exponential_histogram->aggregation_temporality), "");
		exponential_points(r, m->exponential_histogram, unit);
		break;
	case OTLP__METRIC__DATA_SUMMARY:
		line_type(r, "summary", "", "");
		summary_points(r, m->summary, unit);
		break;
	default:
		line_type(r, "none", "", "");
	}
	attributes(r, 6, m->metadata, m->n_metadata, 0);
}

/* ---- log records */

static void log_record(const struct render *r, size_t index, const Otlp__LogRecord *log)
{
	heading(r, 4, "Log record", index, log->event_name);
	line_moment(r, 6, "Time", log->time_unix_nano);
	line_moment(r, 6, "Observed", log->observed_time_unix_nano);
	line_number(r, 6, "Severity", (uint64_t)log->severity_number);
	line_text(r, 6, "Severity as", log->severity_text);
	if (log->body) {
		begin(r, 6, "Body");
		text_value(r->out, log->body, 0);
		end(r);
	}
	attributes(r, 6, log->attributes, log->n_attributes, log->dropped_attributes_count);
	line_hex(r, 6, "Trace", log->trace_id);
	line_hex(r, 6, "Span", log->span_id);
	line_number(r, 6, "Flags", log->flags);
}

/* ---- spans */

static void span_events(const struct render *r, const Otlp__Span *s)
{
	for (size_t i = 0; i < s->n_events; i++) {
		const Otlp__Span__Event *e = s->events[i];

		heading(r, 6, "Event", i, e->name);
		line_moment(r, 8, "Time", e->time_unix_nano);
		attributes(r, 8, e->attributes, e->n_attributes, e->dropped_attributes_count);
	}
	line_number(r, 6, "Dropped", s->dropped_events_count);
}

static void span_links(const struct render *r, const Otlp__Span *s)
{
	for (size_t i = 0; i < s->n_links; i++) {
		const Otlp__Span__Link *l = s->links[i];

		heading(r, 6, "Link", i, (ProtobufCBinaryData){0});
		line_hex(r, 8, "Trace", l->trace_id);
		line_hex(r, 8, "Span", l->span_id);
		line_text(r, 8, "State", l->trace_state);
		line_number(r, 8, "Flags", l->flags);
		attributes(r, 8, l->attributes, l->n_attributes, l->dropped_attributes_count);
	}
	line_number(r, 6, "Dropped", s->dropped_links_count);
}

static const char *name_of(const char *const *names, size_t n, int value)
{
	return value >= 0 && (size_t)value < n ? names[value] : "unknown";
}

static void span(const struct render *r, size_t index, const Otlp__Span *s)
{
	static const char *const kinds[] = {"unspecified", "internal", "server",
	                                    "client",      "producer", "consumer"};
	static const char *const codes[] = {"unset", "ok", "error"};
	double seconds = ((double)s->end_time_unix_nano - (double)s->start_time_unix_nano) / 1e9;

	heading(r, 4, "Span", index, s->name);
	line_hex(r, 6, "Trace", s->trace_id);
	line_hex(r, 6, "Span", s->span_id);
	line_hex(r, 6, "Parent", s->parent_span_id);
	line_text(r, 6, "State", s->trace_state);
	line_number(r, 6, "Flags", s->flags);
	begin(r, 6, "Kind");
	buffer_printf(r->out, "%s\n", name_of(kinds, 6, (int)s->kind));
	line_moment(r, 6, "Start", s->start_time_unix_nano);
	line_moment(r, 6, "End", s->end_time_unix_nano);
	begin(r, 6, "Duration");
	duration_format_short(r->out, seconds);
	end(r);
	if (s->status) {
		begin(r, 6, "Status");
		buffer_append_string(r->out, name_of(codes, 3, (int)s->status->code));
		if (s->status->message.len) {
			buffer_append_string(r->out, ": ");
			text_escaped(r->out, text_slice(s->status->message), 0);
		}
		end(r);
	}
	attributes(r, 6, s->attributes, s->n_attributes, s->dropped_attributes_count);
	span_events(r, s);
	span_links(r, s);
}

/* ---- groups */

static void metrics_group(const struct render *r, size_t index, const Otlp__ResourceMetrics *g)
{
	resource(r, index, g->resource, g->schema_url);
	for (size_t i = 0; i < g->n_scope_metrics; i++) {
		const Otlp__ScopeMetrics *s = g->scope_metrics[i];

		scope(r, i, s->scope, s->schema_url);
		for (size_t j = 0; j < s->n_metrics; j++)
			metric(r, j, s->metrics[j]);
	}
}

static void logs_group(const struct render *r, size_t index, const Otlp__ResourceLogs *g)
{
	resource(r, index, g->resource, g->schema_url);
	for (size_t i = 0; i < g->n_scope_logs; i++) {
		const Otlp__ScopeLogs *s = g->scope_logs[i];

		scope(r, i, s->scope, s->schema_url);
		for (size_t j = 0; j < s->n_log_records; j++)
			log_record(r, j, s->log_records[j]);
	}
}

static void spans_group(const struct render *r, size_t index, const Otlp__ResourceSpans *g)
{
	resource(r, index, g->resource, g->schema_url);
	for (size_t i = 0; i < g->n_scope_spans; i++) {
		const Otlp__ScopeSpans *s = g->scope_spans[i];

		scope(r, i, s->scope, s->schema_url);
		for (size_t j = 0; j < s->n_spans; j++)
			span(r, j, s->spans[j]);
	}
}

void render_detailed(const struct render *r, const struct batch *b)
{
	size_t index = 0;

	for (const struct group *g = b->first; g; g = g->next, index++)
		switch (b->signal) {
		case SIGNAL_METRICS:
			metrics_group(r, index, g->metrics);
			break;
		case SIGNAL_LOGS:
			logs_group(r, index, g->logs);
			break;
		default:
			spans_group(r, index, g->spans);
		}
}
