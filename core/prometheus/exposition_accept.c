/* Accept (RFC 9110, 12.5.1), as far as scrapers use it. */
#include "core/prometheus/exposition_internal.h"

#include <stdlib.h>
#include <strings.h>

/* Alternatives that are looked at; scrapers send up to five. */
enum { ALTERNATIVES = 16 };

static struct slice trim(struct slice s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = slice_of(s.data + 1, s.len - 1);
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* What stands before the next separator; *rest is what is behind it. */
static struct slice cut(struct slice *rest, char separator)
{
	const uint8_t *at = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
	struct slice part = *rest;

	if (!at) {
		*rest = slice_of(NULL, 0);
	} else {
		part.len = (size_t)(at - rest->data);
		*rest = slice_of(at + 1, rest->len - part.len - 1);
	}
	return trim(part);
}

static bool is(struct slice s, const char *word)
{
	return s.len == strlen(word) && strncasecmp((const char *)s.data, word, s.len) == 0;
}

struct alternative {
	struct slice type, version, proto, encoding, escaping;
	double quality;
};

static double read_quality(struct slice text)
{
	char copy[8] = "";

	memcpy(copy, text.data, text.len < sizeof copy ? text.len : sizeof copy - 1);
	return strtod(copy, NULL);
}

static struct alternative read_alternative(struct slice text)
{
	struct alternative a = {.type = cut(&text, ';'), .quality = 1};

	while (text.len > 0) {
		struct slice value = cut(&text, ';'), name = cut(&value, '=');

		value = trim(value);
		if (value.len >= 2 && value.data[0] == '"')
			value = slice_of(value.data + 1, value.len - 2);
		if (is(name, "q"))
			a.quality = value.len > 0 ? read_quality(value) : 0;
		else if (is(name, "version"))
			a.version = value;
		else if (is(name, "proto"))
			a.proto = value;
		else if (is(name, "encoding"))
			a.encoding = value;
		else if (is(name, "escaping"))
			a.escaping = value;
	}
	return a;
}

static bool is_text(const struct alternative *a)
{
	return is(a->type, "*/*") || is(a->type, "text/*") ||
	       (is(a->type, "text/plain") &&
	        (a->version.len == 0 || is(a->version, "0.0.4") || is(a->version, "1.0.0")));
}

/* 0.0.1 is what 1.0.0 was called before it was finished. */
static bool is_openmetrics(const struct alternative *a)
{
	return is(a->type, "application/openmetrics-text") &&
	       (a->version.len == 0 || is(a->version, "1.0.0") || is(a->version, "0.0.1"));
}

static bool is_protobuf(const struct alternative *a)
{
	return is(a->type, "application/vnd.google.protobuf") &&
	       is(a->proto, "io.prometheus.client.MetricFamily") && is(a->encoding, "delimited");
}

struct exposition_choice exposition_negotiate(struct slice accept, bool openmetrics)
{
	struct exposition_choice choice = {EXPOSITION_TEXT, false};
	double best = 0;

	for (int i = 0; i < ALTERNATIVES && accept.len > 0; i++) {
		struct alternative a = read_alternative(cut(&accept, ','));
		enum exposition_format format;

		if (is_protobuf(&a))
			format = EXPOSITION_PROTOBUF;
		else if (is_openmetrics(&a) && openmetrics)
			format = EXPOSITION_OPENMETRICS;
		else if (is_text(&a))
			format = EXPOSITION_TEXT;
		else
			continue;
		if (a.quality > best) {
			best = a.quality;
			choice = (struct exposition_choice){format, is(a.escaping, "allow-utf-8")};
		}
	}
	return choice;
}

const char *exposition_content_type(struct exposition_choice choice)
{
	switch (choice.format) {
	case EXPOSITION_OPENMETRICS:
		return choice.utf8 ? "application/openmetrics-text; version=1.0.0; charset=utf-8; "
		                     "escaping=allow-utf-8"
		                   : "application/openmetrics-text; version=1.0.0; charset=utf-8";
	case EXPOSITION_PROTOBUF:
		return choice.utf8 ? "application/vnd.google.protobuf; "
		                     "proto=io.prometheus.client.MetricFamily; encoding=delimited; "
		                     "escaping=allow-utf-8"
		                   : "application/vnd.google.protobuf; "
		                     "proto=io.prometheus.client.MetricFamily; encoding=delimited";
	default:
		return choice.utf8
		               ? "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
		               : "text/plain; version=0.0.4; charset=utf-8";
	}
}
