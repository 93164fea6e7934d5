/* Text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats) and OpenMetrics 1.0.0
 * (github.com/prometheus/OpenMetrics, specification/OpenMetrics.md). */
#include "core/prometheus/exposition_internal.h"
#include "core/prometheus/number.h"

#include <inttypes.h>
#include <stdlib.h>

static bool is_openmetrics(const struct exposition_cursor *c)
{
	return c->choice.format == EXPOSITION_OPENMETRICS;
}

static bool ends_with(struct slice text, struct slice end)
{
	return text.len > end.len && memcmp(text.data + text.len - end.len, end.data, end.len) == 0;
}

/* ---- escaping */

static void append_escaped(struct buffer *out, struct slice text, bool quotes)
{
	size_t from = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.data[i];

		if (byte != '\\' && byte != '\n' && !(byte == '"' && quotes))
			continue;
		buffer_append(out, text.data + from, i - from);
		buffer_append_byte(out, '\\');
		buffer_append_byte(out, byte == '\n' ? 'n' : byte);
		from = i + 1;
	}
	if (text.len > from)
		buffer_append(out, text.data + from, text.len - from);
}

static void append_quoted(struct buffer *out, struct slice text)
{
	buffer_append_byte(out, '"');
	append_escaped(out, text, true);
	buffer_append_byte(out, '"');
}

/* ---- the head of a family */

/* OpenMetrics wants a type's ending at its samples and not at its name; what has none is no such
 * type there. Text knows fewer types. */
static const char *type_name(const struct exposition_cursor *c, struct slice *name)
{
	enum metric_type type = c->family->family->type;
	struct slice end =
		type == METRIC_COUNTER ? SLICE_LITERAL("_total") : SLICE_LITERAL("_info");

	if (type == METRIC_UNKNOWN)
		return is_openmetrics(c) ? "unknown" : "untyped";
	if (type == METRIC_STATESET || type == METRIC_GAUGEHISTOGRAM)
		return type == METRIC_STATESET ? "gauge"
		       : is_openmetrics(c)     ? "unknown"
		                               : "untyped";
	if (type == METRIC_INFO && !is_openmetrics(c))
		return "gauge";
	if ((type == METRIC_COUNTER || type == METRIC_INFO) && is_openmetrics(c)) {
		if (!ends_with(*name, end))
			return type == METRIC_COUNTER ? "unknown" : "gauge";
		name->len -= end.len;
	}
	return metric_type_name(type);
}

static void begin_line(const struct exposition_cursor *c, struct buffer *out, const char *keyword,
                       struct slice name)
{
	buffer_append_string(out, keyword);
	if (c->choice.utf8 && !name_is_legacy_metric(name))
		append_quoted(out, name);
	else
		exposition_append_name(c, out, name, false);
	buffer_append_byte(out, ' ');
}

/* Whether the name ends in the unit, as a # UNIT line wants it. */
static bool shows_unit(struct slice name, struct slice unit)
{
	return unit.len > 0 && ends_with(name, unit) && name.data[name.len - unit.len - 1] == '_' &&
	       name_is_legacy_metric(unit);
}

static void write_head(struct exposition_cursor *c, struct buffer *out)
{
	const struct series_family *family = c->family->family;
	struct slice name = exposition_text(c, family->name);
	struct slice help = exposition_text(c, family->help);
	struct slice unit = exposition_text(c, family->unit);
	const char *type = type_name(c, &name);

	if (help.len > 0) {
		begin_line(c, out, "# HELP ", name);
		append_escaped(out, help, is_openmetrics(c));
		buffer_append_byte(out, '\n');
	}
	begin_line(c, out, "# TYPE ", name);
	buffer_append_string(out, type);
	buffer_append_byte(out, '\n');
	if (is_openmetrics(c) && shows_unit(name, unit)) {
		begin_line(c, out, "# UNIT ", name);
		buffer_append_slice(out, unit);
		buffer_append_byte(out, '\n');
	}
	c->headed = true;
}

/* ---- samples */

/* What stands between the braces. */
struct label_writer {
	const struct exposition_cursor *cursor;
	struct buffer *out;
	bool any;
};

static void open_label(struct label_writer *w)
{
	buffer_append_byte(w->out, w->any ? ',' : '{');
	w->any = true;
}

static void write_label_name(struct label_writer *w, struct slice name)
{
	open_label(w);
	if (w->cursor->choice.utf8 && !name_is_legacy_label(name))
		append_quoted(w->out, name);
	else
		exposition_append_name(w->cursor, w->out, name, true);
	buffer_append_byte(w->out, '=');
}

/* name, and what is behind it when the series' own is not it. */
static void begin_sample(struct label_writer *w, struct slice name, const char *suffix)
{
	if (w->cursor->choice.utf8 && !name_is_legacy_metric(name)) {
		open_label(w);
		buffer_append_byte(w->out, '"');
		append_escaped(w->out, name, true);
		buffer_append_string(w->out, suffix);
		buffer_append_byte(w->out, '"');
	} else {
		exposition_append_name(w->cursor, w->out, name, false);
		buffer_append_string(w->out, suffix);
	}
}

static bool is_bound(const struct exposition_point *p, struct slice name)
{
	return (p->series->role == SERIES_BUCKET && slice_equal(name, SLICE_LITERAL("le"))) ||
	       (p->series->role == SERIES_QUANTILE && slice_equal(name, SLICE_LITERAL("quantile")));
}

static void write_labels(struct label_writer *w, const struct exposition_point *p)
{
	const struct exposition_cursor *c = w->cursor;
	const struct series *s = p->series;

	for (uint32_t i = 0; i < s->shape->n_labels; i++) {
		struct series_label label = series_label(s, i);
		struct slice name;

		if (label.name == c->exposition->name_symbol)
			continue;
		name = exposition_text(c, label.name);
		write_label_name(w, name);
		if (is_openmetrics(c) && is_bound(p, name)) {
			buffer_append_byte(w->out, '"');
			exposition_append_bound(w->out, p->bound);
			buffer_append_byte(w->out, '"');
		} else {
			append_quoted(w->out, exposition_text(c, label.value));
		}
	}
}

static void append_seconds(struct buffer *out, int64_t ms)
{
	buffer_printf(out, "%s%" PRId64 ".%03d", ms < 0 ? "-" : "",
	              (int64_t)(ms < 0 ? -ms : ms) / 1000, (int)((ms < 0 ? -ms : ms) % 1000));
}

static void end_sample(struct label_writer *w, double value, int64_t ms)
{
	struct buffer *out = w->out;

	if (w->any)
		buffer_append_byte(out, '}');
	buffer_append_byte(out, ' ');
	number_append(out, value);
	if (w->cursor->timestamps) {
		buffer_append_byte(out, ' ');
		if (is_openmetrics(w->cursor))
			append_seconds(out, ms);
		else
			buffer_printf(out, "%" PRId64, ms);
	}
}

/* Only counters and buckets may have one. */
static void write_exemplar(struct label_writer *w, const struct exposition_point *p)
{
	const struct exemplar *x = p->exemplars ? &p->exemplars->all[0] : NULL;
	struct label_writer labels = {.cursor = w->cursor, .out = w->out};

	if (!x || !is_openmetrics(w->cursor) ||
	    (p->series->role != SERIES_BUCKET && p->series->shape->family->type != METRIC_COUNTER))
		return;
	buffer_append_string(w->out, " # ");
	for (size_t i = 0; i < x->n_labels; i++) {
		write_label_name(&labels, x->labels[i].name);
		append_quoted(w->out, x->labels[i].value);
	}
	buffer_append_string(w->out, labels.any ? "} " : "{} ");
	number_append(w->out, x->value);
	buffer_append_byte(w->out, ' ');
	append_seconds(w->out, x->ms);
}

static void write_point(const struct exposition_cursor *c, const struct exposition_point *p,
                        struct buffer *out)
{
	struct label_writer w = {.cursor = c, .out = out};
	const struct series *s = p->series;

	for (uint32_t i = 0; i < s->shape->n_labels; i++)
		if (s->shape->names[i] == c->exposition->name_symbol)
			begin_sample(&w, exposition_text(c, s->values[i]), "");
	write_labels(&w, p);
	end_sample(&w, p->value, p->ms);
	write_exemplar(&w, p);
	buffer_append_byte(out, '\n');
}

/* Text has no native histograms: what is left of one is its sum and count. */
static void write_native(const struct exposition_cursor *c, const struct exposition_point *p,
                         struct buffer *out)
{
	static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
	struct slice name = exposition_text(c, c->family->family->name);
	struct native_histogram h;
	void *memory;

	if (!exposition_sum_natives(p->native, &h, &memory)) {
		out->failed = true;
		return;
	}
	for (int i = 0; i < 3; i++) {
		struct label_writer w = {.cursor = c, .out = out};

		begin_sample(&w, name, suffixes[i]);
		write_labels(&w, p);
		if (i == 0) {
			write_label_name(&w, SLICE_LITERAL("le"));
			buffer_append_string(out, "\"+Inf\"");
		}
		end_sample(&w, i == 1 ? h.sum : (double)h.count, p->ms);
		buffer_append_byte(out, '\n');
	}
	free(memory);
}

void exposition_write_text(struct exposition_cursor *c, const struct exposition_metric *m,
                           struct buffer *out)
{
	bool classic = exposition_find_point(m, SERIES_COUNT) != NULL;

	if (!c->headed)
		write_head(c, out);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct exposition_point *p = m->points[i];

		if (!p->present)
			continue;
		if (p->series->role != SERIES_NATIVE)
			write_point(c, p, out);
		else if (!classic)
			write_native(c, p, out);
	}
}

void exposition_write_text_end(struct exposition_cursor *c, struct buffer *out)
{
	if (is_openmetrics(c))
		buffer_append_string(out, "# EOF\n");
}
