#include "exporters/debug/debug_render.h"

#include "core/data/build.h"
#include "core/data/semconv.h"
#include "core/base/units.h"
#include "exporters/debug/debug_text.h"

#include <math.h>

enum { MESSAGE_SHORT = 160, NAME_WIDTH = 48 };

void render_style(const struct render *r, enum style style)
{
	static const char *const codes[] = {
		[STYLE_PLAIN] = "\033[0m",    [STYLE_STRONG] = "\033[1m",
		[STYLE_FAINT] = "\033[2m",    [STYLE_WARNING] = "\033[33m",
		[STYLE_ERROR] = "\033[1;31m",
	};

	if (r->color)
		buffer_append_string(r->out, codes[style]);
}

static void text_count(struct buffer *out, size_t n, const char *one, const char *many)
{
	buffer_printf(out, "  %zu %s", n, n == 1 ? one : many);
}

static const char *const items[][2] = {
	[SIGNAL_TRACES] = {"span", "spans"},
	[SIGNAL_METRICS] = {"data point", "data points"},
	[SIGNAL_LOGS] = {"log record", "log records"},
};

void render_not_shown(const struct render *r, size_t n, enum signal signal)
{
	if (!n)
		return;
	buffer_append_byte(r->out, '\n');
	render_style(r, STYLE_FAINT);
	buffer_printf(r->out, "... and %zu more %s", n, items[signal][n != 1]);
	render_style(r, STYLE_PLAIN);
	buffer_append_byte(r->out, '\n');
}

/* Of so much room for items a group takes its share. */
static size_t shown_of(const struct group *g, size_t room)
{
	return g->items < room ? g->items : room;
}

static void render_heading(const struct render *r, const struct batch *b, uint64_t now_unix_ns)
{
	render_style(r, STYLE_FAINT);
	text_time_of_day(r->out, now_unix_ns);
	buffer_printf(r->out, "  %s", signal_name(b->signal));
	text_count(r->out, b->n_groups, "resource", "resources");
	text_count(r->out, b->items, items[b->signal][0], items[b->signal][1]);
	if (r->verbosity == VERBOSITY_NORMAL && b->signal == SIGNAL_METRICS) {
		struct slice prefix = render_common_prefix(b);
		if (prefix.len) {
			buffer_append_string(r->out, "  ");
			text_escaped(r->out, prefix, TEXT_SHORT);
			buffer_append_byte(r->out, '*');
		}
	}
	render_style(r, STYLE_PLAIN);
	buffer_append_byte(r->out, '\n');
}

/* What a resource is called: its service, or else the first thing it says about itself. */
static struct slice resource_title(const Otlp__Resource *resource)
{
	const Otlp__AnyValue *v;

	if (!resource || !resource->n_attributes)
		return (struct slice){0};
	v = attribute_find(resource->attributes, resource->n_attributes, SEMCONV_SERVICE_NAME);
	if (!v)
		v = resource->attributes[0]->value;
	return v && v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE
	               ? text_slice(v->string_value)
	               : (struct slice){0};
}

void render_resource(const struct render *r, const Otlp__Resource *resource)
{
	struct slice title = resource_title(resource);
	struct buffer rest = BUFFER_INIT;

	if (resource)
		text_attributes(&rest, resource->attributes, resource->n_attributes, title);
	buffer_append_byte(r->out, '\n');
	render_style(r, STYLE_STRONG);
	if (title.len)
		text_escaped(r->out, title, TEXT_SHORT);
	else
		buffer_append_string(r->out, "(resource without a name)");
	render_style(r, STYLE_PLAIN);
	if (rest.len) {
		buffer_append_string(r->out, "  ");
		render_style(r, STYLE_FAINT);
		buffer_append_slice(r->out, buffer_slice(&rest));
		render_style(r, STYLE_PLAIN);
	}
	buffer_append_byte(r->out, '\n');
	r->out->failed |= rest.failed;
	buffer_fini(&rest);
}

/* ---- log records */

static struct slice severity(const Otlp__LogRecord *log)
{
	static const char *const names[] = {"-",    "TRACE", "DEBUG", "INFO",
	                                    "WARN", "ERROR", "FATAL"};
	unsigned number = (unsigned)log->severity_number;

	if (log->severity_text.len)
		return text_slice(log->severity_text);
	return slice_from_string(names[number && number <= 24 ? (number + 3) / 4 : 0]);
}

static enum style severity_style(const Otlp__LogRecord *log)
{
	if ((unsigned)log->severity_number >= OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_ERROR)
		return STYLE_ERROR;
	return (unsigned)log->severity_number >= OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_WARN
	               ? STYLE_WARNING
	               : STYLE_PLAIN;
}

/* A message is shown without the quotes that a string has elsewhere. */
static void text_body(struct buffer *out, const Otlp__LogRecord *log)
{
	const Otlp__AnyValue *v = log->body;
	bool is_string = v && v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	bool is_other = v && v->value_case != OTLP__ANY_VALUE__VALUE__NOT_SET && !is_string;

	if (is_other)
		text_value(out, v, MESSAGE_SHORT);
	else
		text_escaped(out,
		             text_slice(is_string && v->string_value.len ? v->string_value
		                                                         : log->event_name),
		             MESSAGE_SHORT);
}

/* Text that is padded is escaped first, because escapes take room. */
static void append_padded(struct buffer *out, struct buffer *text, size_t width)
{
	text_left(out, buffer_slice(text), width);
	out->failed |= text->failed;
	buffer_clear(text);
}

static void render_log(const struct render *r, const Otlp__LogRecord *log, size_t body_width)
{
	struct buffer text = BUFFER_INIT;

	buffer_append_string(r->out, "  ");
	text_time_of_day(r->out,
	                 log->time_unix_nano ? log->time_unix_nano : log->observed_time_unix_nano);
	buffer_append_string(r->out, "  ");
	render_style(r, severity_style(log));
	text_escaped(&text, severity(log), 12);
	append_padded(r->out, &text, 5);
	render_style(r, STYLE_PLAIN);
	buffer_append_string(r->out, "  ");
	text_body(&text, log);
	append_padded(r->out, &text, log->n_attributes ? body_width : 0);
	if (log->n_attributes) {
		buffer_append_string(r->out, "  ");
		render_style(r, STYLE_FAINT);
		text_attributes(r->out, log->attributes, log->n_attributes, (struct slice){0});
		render_style(r, STYLE_PLAIN);
	}
	buffer_append_byte(r->out, '\n');
	buffer_fini(&text);
}

/* Names are aligned over the whole batch, up to a width where that stops being of use. */
static void keep_widest(struct buffer *text, size_t *widest)
{
	size_t width = text_width(buffer_slice(text));

	if (width > *widest)
		*widest = width < NAME_WIDTH ? width : NAME_WIDTH;
	buffer_clear(text);
}

static size_t widest_body(const Otlp__ResourceLogs *group, size_t room, struct buffer *text,
                          size_t widest)
{
	for (size_t i = 0; i < group->n_scope_logs; i++)
		for (size_t j = 0; j < group->scope_logs[i]->n_log_records && room; j++, room--) {
			text_body(text, group->scope_logs[i]->log_records[j]);
			keep_widest(text, &widest);
		}
	return widest;
}

static void render_logs(const struct render *r, const struct batch *b)
{
	struct buffer text = BUFFER_INIT;
	size_t width = 0, room = RENDER_ITEMS;

	for (const struct group *g = b->first; g && room; room -= shown_of(g, room), g = g->next)
		width = widest_body(g->logs, room, &text, width);
	room = RENDER_ITEMS;
	for (const struct group *g = b->first; g && room; room -= shown_of(g, room), g = g->next) {
		size_t left = room;

		render_resource(r, g->logs->resource);
		for (size_t i = 0; i < g->logs->n_scope_logs; i++)
			for (size_t j = 0; j < g->logs->scope_logs[i]->n_log_records && left;
			     j++, left--)
				render_log(r, g->logs->scope_logs[i]->log_records[j], width);
	}
	buffer_fini(&text);
}

/* ---- spans */

static const char *span_kind(const Otlp__Span *s)
{
	static const char *const names[] = {"-",      "internal", "server",
	                                    "client", "producer", "consumer"};

	return names[(unsigned)s->kind < sizeof names / sizeof *names ? (unsigned)s->kind : 0];
}

static double span_seconds(const Otlp__Span *s)
{
	return ((double)s->end_time_unix_nano - (double)s->start_time_unix_nano) / 1e9;
}

static void text_status(struct buffer *out, const Otlp__Status *status)
{
	if (!status || status->code == OTLP__STATUS__STATUS_CODE__STATUS_CODE_UNSET)
		return;
	buffer_append_string(out, status->code == OTLP__STATUS__STATUS_CODE__STATUS_CODE_ERROR
	                                  ? "  error"
	                                  : "  ok");
	if (status->message.len) {
		buffer_append_string(out, ": ");
		text_escaped(out, text_slice(status->message), MESSAGE_SHORT);
	}
}

static void render_span(const struct render *r, const Otlp__Span *s, size_t name_width)
{
	bool failed = s->status && s->status->code == OTLP__STATUS__STATUS_CODE__STATUS_CODE_ERROR;
	struct buffer text = BUFFER_INIT;

	buffer_append_string(r->out, "  ");
	text_time_of_day(r->out, s->start_time_unix_nano);
	duration_format_short(&text, span_seconds(s));
	buffer_append_string(r->out, "  ");
	text_right(r->out, buffer_slice(&text), 7);
	buffer_clear(&text);
	buffer_printf(r->out, "  %-8s  ", span_kind(s));
	text_escaped(&text, text_slice(s->name), MESSAGE_SHORT);
	append_padded(r->out, &text, name_width);
	render_style(r, failed ? STYLE_ERROR : STYLE_PLAIN);
	text_status(r->out, s->status);
	render_style(r, STYLE_PLAIN);
	buffer_append_string(r->out, "  ");
	render_style(r, STYLE_FAINT);
	text_attributes(r->out, s->attributes, s->n_attributes, (struct slice){0});
	buffer_append_string(r->out, s->n_attributes ? "  trace=" : "trace=");
	text_hex(r->out, text_slice(s->trace_id));
	render_style(r, STYLE_PLAIN);
	buffer_append_byte(r->out, '\n');
	buffer_fini(&text);
}

static size_t widest_name(const Otlp__ResourceSpans *group, size_t room, struct buffer *text,
                          size_t widest)
{
	for (size_t i = 0; i < group->n_scope_spans; i++)
		for (size_t j = 0; j < group->scope_spans[i]->n_spans && room; j++, room--) {
			text_escaped(text, text_slice(group->scope_spans[i]->spans[j]->name),
			             MESSAGE_SHORT);
			keep_widest(text, &widest);
		}
	return widest;
}

static void render_spans(const struct render *r, const struct batch *b)
{
	struct buffer text = BUFFER_INIT;
	size_t width = 0, room = RENDER_ITEMS;

	for (const struct group *g = b->first; g && room; room -= shown_of(g, room), g = g->next)
		width = widest_name(g->spans, room, &text, width);
	room = RENDER_ITEMS;
	for (const struct group *g = b->first; g && room; room -= shown_of(g, room), g = g->next) {
		size_t left = room;

		render_resource(r, g->spans->resource);
		for (size_t i = 0; i < g->spans->n_scope_spans; i++)
			for (size_t j = 0; j < g->spans->scope_spans[i]->n_spans && left;
			     j++, left--)
				render_span(r, g->spans->scope_spans[i]->spans[j], width);
	}
	buffer_fini(&text);
}

void render_batch(const struct render *r, const struct batch *b, uint64_t now_unix_ns)
{
	render_heading(r, b, now_unix_ns);
	if (r->verbosity == VERBOSITY_BASIC)
		return;
	if (r->verbosity == VERBOSITY_DETAILED)
		render_detailed(r, b);
	else if (b->signal == SIGNAL_METRICS)
		render_metrics(r, b);
	else if (b->signal == SIGNAL_LOGS)
		render_logs(r, b);
	else
		render_spans(r, b);
	if (r->verbosity == VERBOSITY_NORMAL && b->signal != SIGNAL_METRICS &&
	    b->items > RENDER_ITEMS)
		render_not_shown(r, b->items - RENDER_ITEMS, b->signal);
	buffer_append_byte(r->out, '\n');
}
