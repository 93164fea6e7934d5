/* The page of /metrics, written from one reading. */
#include "core/self/metrics_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static void append_escaped(struct buffer *out, const char *text, bool quoted)
{
	for (;;) {
		size_t plain = strcspn(text, quoted ? "\\\n\"" : "\\\n");

		buffer_append(out, text, plain);
		text += plain;
		if (!*text)
			return;
		buffer_append_byte(out, '\\');
		buffer_append_byte(out, *text == '\n' ? 'n' : (uint8_t)*text);
		text++;
	}
}

static void append_number(struct buffer *out, double value)
{
	char text[32];

	if (isnan(value)) {
		buffer_append_string(out, "NaN");
		return;
	}
	if (isinf(value)) {
		buffer_append_string(out, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	snprintf(text, sizeof text, "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof text, "%.17g", value);
	buffer_append_string(out, text);
}

static void write_row(struct buffer *out, const struct metrics_family *family, const char *suffix,
                      struct slice labels, const double *le, double value)
{
	struct slice name, text;
	char separator = '{';

	buffer_append_string(out, family->name);
	buffer_append_string(out, suffix);
	while (metrics_next_label(&labels, &name, &text)) {
		buffer_append_byte(out, (uint8_t)separator);
		separator = ',';
		buffer_append_slice(out, name);
		buffer_append_string(out, "=\"");
		append_escaped(out, (const char *)text.data, true);
		buffer_append_byte(out, '"');
	}
	if (le) {
		buffer_append_byte(out, (uint8_t)separator);
		separator = ',';
		buffer_append_string(out, "le=\"");
		append_number(out, *le);
		buffer_append_byte(out, '"');
	}
	buffer_append_string(out, separator == ',' ? "} " : " ");
	append_number(out, value);
	buffer_append_byte(out, '\n');
}

static void write_histogram(struct buffer *out, const struct metrics_family *family,
                            const struct metrics_point *p)
{
	const double infinity = INFINITY;
	uint64_t total = 0;

	for (size_t i = 0; i <= p->n_bounds; i++) {
		total += p->counts[i];
		write_row(out, family, "_bucket", p->labels,
		          i < p->n_bounds ? &p->bounds[i] : &infinity, (double)total);
	}
	write_row(out, family, "_sum", p->labels, NULL, p->value);
	write_row(out, family, "_count", p->labels, NULL, (double)total);
}

static void write_family(const struct metrics_family *family, struct buffer *out)
{
	if (family->help) {
		buffer_printf(out, "# HELP %s ", family->name);
		append_escaped(out, family->help, false);
		buffer_append_byte(out, '\n');
	}
	buffer_printf(out, "# TYPE %s %s\n", family->name, type_names[family->type]);
	for (const struct metrics_point *p = family->first; p; p = p->next)
		if (p->counts)
			write_histogram(out, family, p);
		else
			write_row(out, family, "", p->labels, NULL, p->value);
}

int metrics_write_text(struct metrics *m, struct buffer *out)
{
	struct metrics_sink sink;
	size_t before = out->len;
	int r = 0;

	metrics_read(m, &sink);
	for (size_t i = 0; i < sink.n_families; i++)
		write_family(&sink.families[i], out);
	if (sink.failed || out->failed) { /* half a page would read as counters that vanished */
		out->len = before;
		r = -ENOMEM;
	}
	metrics_sink_fini(&sink);
	return r;
}
