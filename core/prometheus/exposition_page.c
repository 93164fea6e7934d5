/* A page, piece by piece. */
#include "core/base/utf8.h"
#include "core/prometheus/exposition_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Metrics that are looked at in one piece, also when none of them has anything to show. */
enum { LOOK_AT = 5000 };

void exposition_begin(struct exposition_cursor *c, struct exposition *e,
                      struct exposition_choice choice, bool timestamps)
{
	*c = (struct exposition_cursor){.exposition = e,
	                                .choice = choice,
	                                .timestamps = timestamps,
	                                .until = e->moment};
	list_push(&e->cursors, &c->link);
	c->family = LIST_FIRST(&e->families, struct exposition_family, link);
	if (c->family)
		c->metric = LIST_FIRST(&c->family->metrics, struct exposition_metric, link);
}

static void next_family(struct exposition_cursor *c)
{
	struct list *next = c->family->link.next;

	c->headed = false;
	c->metric = NULL;
	c->family = next == &c->exposition->families
	                    ? NULL
	                    : CONTAINER_OF(next, struct exposition_family, link);
	if (c->family)
		c->metric = LIST_FIRST(&c->family->metrics, struct exposition_metric, link);
}

static void next_metric(struct exposition_cursor *c)
{
	struct list *next = c->metric->link.next;

	c->metric = next == &c->family->metrics
	                    ? NULL
	                    : CONTAINER_OF(next, struct exposition_metric, link);
}

static bool has_value(const struct exposition_metric *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->points[i]->present)
			return true;
	return false;
}

static void write_metric(struct exposition_cursor *c, struct buffer *out)
{
	const struct exposition_metric *m = c->metric;

	if (m->moment > c->until || m->too_large || !has_value(m))
		return;
	if (c->choice.format == EXPOSITION_PROTOBUF)
		exposition_write_proto(c, m, out);
	else
		exposition_write_text(c, m, out);
}

/* The head of a message belongs to the family of which it was begun, which may be gone. */
static void flush_message(struct exposition_cursor *c, struct buffer *out)
{
	if (!c->headed && c->message.len > 0)
		exposition_flush_proto(c, out);
}

bool exposition_write(struct exposition_cursor *c, struct buffer *out, size_t enough)
{
	size_t begin = out->len;
	unsigned looked = 0;

	while (c->family) {
		flush_message(c, out);
		if (!c->metric || c->family->moment > c->until) {
			next_family(c);
			continue;
		}
		if (out->len - begin >= enough || looked++ == LOOK_AT || out->failed)
			return true;
		write_metric(c, out);
		next_metric(c);
	}
	flush_message(c, out);
	if (!c->ended && c->choice.format != EXPOSITION_PROTOBUF)
		exposition_write_text_end(c, out);
	c->ended = true;
	if (c->message.failed)
		out->failed = true;
	return false;
}

void exposition_end(struct exposition_cursor *c)
{
	if (!c->exposition)
		return;
	list_remove(&c->link);
	buffer_fini(&c->message);
	c->exposition = NULL;
}

/* ---- what the formats share */

const struct exposition_point *exposition_find_point(const struct exposition_metric *m,
                                                     enum series_role role)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->points[i]->series->role == role && m->points[i]->present)
			return m->points[i];
	return NULL;
}

static bool is_legal(uint8_t byte, bool first, bool is_label)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
	       (byte >= '0' && byte <= '9' && !first) || (byte == ':' && !is_label);
}

void exposition_append_name(const struct exposition_cursor *c, struct buffer *out,
                            struct slice name, bool is_label)
{
	if (c->choice.utf8 ||
	    (is_label ? name_is_legacy_label(name) : name_is_legacy_metric(name))) {
		buffer_append_slice(out, name);
		return;
	}
	if (name.len > 0 && name.data[0] >= '0' && name.data[0] <= '9')
		buffer_append_byte(out, '_');
	for (size_t i = 0; i < name.len;) {
		size_t n = utf8_character(name.data + i, name.len - i);

		buffer_append_byte(out,
		                   is_legal(name.data[i], false, is_label) ? name.data[i] : '_');
		i += n ? n : 1;
	}
}

/* Go's strconv.FormatFloat(v, 'g', -1, 64), which is what Prometheus' own libraries write, and ".0"
 * behind what would read as an integer. */
void exposition_append_bound(struct buffer *out, double value)
{
	int digits = 0, exponent, decimals;
	char text[48];

	if (isnan(value) || isinf(value)) {
		buffer_append_string(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
		return;
	}
	do
		snprintf(text, sizeof text, "%.*e", digits, value);
	while (strtod(text, NULL) != value && ++digits < 17);
	exponent = atoi(strchr(text, 'e') + 1);
	decimals = digits > exponent ? digits - exponent : 0;
	if (exponent >= -4 && exponent < 6)
		snprintf(text, sizeof text, "%.*f", decimals ? decimals : 1, value);
	buffer_append_string(out, text);
}
