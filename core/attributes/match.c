#include "core/attributes/match.h"

#include "core/attributes/text_set.h"
#include "core/attributes/value.h"
#include "core/prometheus/labels.h"

#include <errno.h>
#include <stdlib.h>

enum { STRICT, REGEXP };
static const char *const match_types[] = {"strict", "regexp", NULL};

struct attribute_property {
	const char *key;
	struct scalar value;
};
struct library_property {
	const char *name, *version;
};

static const struct option attribute_options[] = {
	OPTION_STRING(struct attribute_property, key, .doc = "The attribute's key."),
	OPTION_SCALAR(struct attribute_property, value,
                      .doc = "Its value, of the type in which it is written; a pattern with "
                             "regexp. Without it the attribute need only be there."),
	OPTION_END};
static const struct option library_options[] = {
	OPTION_STRING(struct library_property, name, .flags = OPTION_REQUIRED,
                      .doc = "The scope's name."),
	OPTION_STRING(struct library_property, version,
                      .doc = "Its version; absent: any, empty: none."),
	OPTION_END};

#define SEVERITY __typeof__(((struct match_properties *)0)->log_severity_number)
static const struct option severity_options[] = {
	OPTION_INT(SEVERITY, min, .doc = "The lowest severity number that matches."),
	OPTION_BOOL(SEVERITY, match_undefined, .doc = "Whether records without one match."),
	OPTION_END};

const struct option match_properties_options[] = {
	OPTION_ENUM(struct match_properties, match_type, match_types, .flags = OPTION_REQUIRED,
                    .doc = "Whether texts are compared or are regular expressions that match "
                           "anywhere."),
	{.name = "regexp",
         .kind = KIND_GROUP,
         .flags = OPTION_IGNORED,
         .doc = "It tunes the Collector's cache of matches; weir has none."},
	OPTION_STRING_LIST(struct match_properties, services,
                           .doc = "Spans: one of them is the resource's service.name."),
	OPTION_STRING_LIST(struct match_properties, span_names, .doc = "One of them is its name."),
	OPTION_STRING_LIST(struct match_properties, span_kinds,
                           .doc = "One of them is its kind: SPAN_KIND_SERVER."),
	OPTION_GROUP_LIST(struct match_properties, attributes, struct attribute_property,
                          attribute_options,
                          .doc = "Spans and log records: it has all of these attributes."),
	OPTION_GROUP_LIST(struct match_properties, resources, struct attribute_property,
                          attribute_options, .doc = "The resource has all of these attributes."),
	OPTION_GROUP_LIST(struct match_properties, libraries, struct library_property,
                          library_options,
                          .doc = "Spans and log records: the scope is all of these."),
	OPTION_STRING_LIST(struct match_properties, log_bodies,
                           .doc = "One of them is the body as text."),
	OPTION_STRING_LIST(struct match_properties, log_severity_texts,
                           .doc = "One of them is the severity text."),
	OPTION_OPTIONAL(struct match_properties, log_severity_number, severity_options,
                        .doc = "The least severity."),
	OPTION_STRING_LIST(struct match_properties, metric_names,
                           .doc = "One of them is the metric's name."),
	OPTION_END};

/* ---- one side */

struct wanted {
	struct slice key;
	bool any;               /* it need only be there */
	Otlp__AnyValue value;   /* STRICT */
	struct text_set *texts; /* REGEXP */
};
struct wanted_list {
	struct wanted *items;
	size_t n;
};
struct library {
	struct text_set *name, *version;
};

struct side {
	const struct match_properties *properties; /* NULL: switched off */
	struct text_set *services, *names, *kinds, *bodies, *severities, *metrics;
	struct wanted_list attributes, resources;
	struct library *libraries;
	size_t n_libraries;
	bool looks, resource_fits, scope_fits;
};

struct match {
	struct side include, exclude;
	struct buffer text;
	bool failed;
};

static void wanted_fini(struct wanted_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		text_set_free(l->items[i].texts);
	free(l->items);
}

static void side_fini(struct side *s)
{
	text_set_free(s->services);
	text_set_free(s->names);
	text_set_free(s->kinds);
	text_set_free(s->bodies);
	text_set_free(s->severities);
	text_set_free(s->metrics);
	wanted_fini(&s->attributes);
	wanted_fini(&s->resources);
	for (size_t i = 0; i < s->n_libraries; i++) {
		text_set_free(s->libraries[i].name);
		text_set_free(s->libraries[i].version);
	}
	free(s->libraries);
}

void match_free(struct match *m)
{
	if (!m)
		return;
	side_fini(&m->include);
	side_fini(&m->exclude);
	buffer_fini(&m->text);
	free(m);
}

/* ---- which properties a signal has */

static const char *const kind_names[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                         "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                         "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER"};
enum { KINDS = sizeof kind_names / sizeof *kind_names };

static int check_kinds(const struct match_properties *p, struct error *error)
{
	for (size_t i = 0; p->match_type == STRICT && i < p->span_kinds.count; i++) {
		size_t k = 1;
		while (k < KINDS && strcmp(kind_names[k], p->span_kinds.items[i]) != 0)
			k++;
		if (k == KINDS)
			return error_set(error, -EINVAL,
			                 "span_kinds string must match one of the standard span "
			                 "kinds when match_type=strict: [SPAN_KIND_CLIENT "
			                 "SPAN_KIND_CONSUMER SPAN_KIND_INTERNAL "
			                 "SPAN_KIND_PRODUCER SPAN_KIND_SERVER], got \"%.64s\"",
			                 p->span_kinds.items[i]);
	}
	return 0;
}

static int check_for_spans(const struct match_properties *p, struct error *error)
{
	const char *wrong = p->log_bodies.count              ? "log_bodies"
	                    : p->log_severity_texts.count    ? "log_severity_texts"
	                    : p->log_severity_number.enabled ? "log_severity_number"
	                                                     : NULL;

	if (wrong)
		return error_set(error, -EINVAL, "%s should not be specified for trace spans",
		                 wrong);
	if (!p->services.count && !p->span_names.count && !p->attributes.count &&
	    !p->libraries.count && !p->resources.count && !p->span_kinds.count)
		return error_set(error, -EINVAL,
		                 "at least one of \"services\", \"span_names\", \"span_kinds\", "
		                 "\"attributes\", \"libraries\" or \"resources\" field must be "
		                 "specified");
	return check_kinds(p, error);
}

static int check_for_logs(const struct match_properties *p, struct error *error)
{
	if (p->span_names.count || p->services.count || p->span_kinds.count)
		return error_set(error, -EINVAL,
		                 "services, span_names, and span_kinds are not valid for log "
		                 "records");
	if (!p->attributes.count && !p->libraries.count && !p->resources.count &&
	    !p->log_bodies.count && !p->log_severity_texts.count && !p->log_severity_number.enabled)
		return error_set(error, -EINVAL,
		                 "at least one of \"attributes\", \"libraries\", \"resources\", "
		                 "\"log_bodies\", \"log_severity_texts\" or "
		                 "\"log_severity_number\" field must be specified");
	return 0;
}

const char *match_ignored(const struct match_properties *p, enum signal signal)
{
	const struct {
		const char *name;
		bool given;
	} rows[] = {
		{"services", p->services.count},
		{"span_names", p->span_names.count},
		{"span_kinds", p->span_kinds.count},
		{"attributes", p->attributes.count},
		{"libraries", p->libraries.count},
		{"log_bodies", p->log_bodies.count},
		{"log_severity_texts", p->log_severity_texts.count},
		{"log_severity_number", p->log_severity_number.enabled},
	};

	if (!p->enabled)
		return NULL;
	if (signal != SIGNAL_METRICS)
		return p->metric_names.count ? "metric_names" : NULL;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].given)
			return rows[i].name;
	return NULL;
}

/* ---- making one */

static int read_wanted(const struct match_properties *p, const struct group_list *list,
                       struct wanted_list *ret, struct error *error)
{
	const struct attribute_property *rows = list->items;

	ret->items = calloc(list->count + 1, sizeof *ret->items);
	if (!ret->items)
		return error_no_memory(error);
	for (; ret->n < list->count; ret->n++) {
		const struct attribute_property *row = &rows[ret->n];
		struct wanted *w = &ret->items[ret->n];
		static const char *const types[] = {"Empty", "Str", "Bool", "Int", "Double"};
		int r;

		if (!row->key || !*row->key)
			return error_set(error, -EINVAL,
			                 "can't have empty key in the list of attributes");
		w->key = slice_from_string(row->key);
		w->any = row->value.kind == SCALAR_IS_ABSENT;
		w->value = value_from_scalar(&row->value);
		if (w->any || p->match_type == STRICT)
			continue;
		if (row->value.kind != SCALAR_IS_STRING)
			return error_set(error, -EINVAL,
			                 "match_type=regexp for \"%.100s\" only supports Str, but "
			                 "found %s",
			                 row->key, types[row->value.kind]);
		r = text_set_new(&row->value.string, 1, true, &w->texts, error);
		if (r < 0) {
			ret->n++;
			return error_wrap(error, "error creating attribute filters");
		}
	}
	return 0;
}

static int read_libraries(struct side *s, bool regexp, struct error *error)
{
	const struct library_property *rows = s->properties->libraries.items;
	size_t count = s->properties->libraries.count;
	int r = 0;

	s->libraries = calloc(count + 1, sizeof *s->libraries);
	if (!s->libraries)
		return error_no_memory(error);
	for (size_t i = 0; i < count && r == 0; i++) {
		s->n_libraries++;
		r = text_set_new(&rows[i].name, 1, regexp, &s->libraries[i].name, error);
		if (r == 0 && rows[i].version)
			r = text_set_new(&rows[i].version, 1, regexp, &s->libraries[i].version,
			                 error);
	}
	return r < 0 ? error_wrap(error, "error creating library filters") : 0;
}

static int read_texts(const struct string_list *list, bool regexp, const char *what,
                      struct text_set **ret, struct error *error)
{
	if (!list->count)
		return 0;
	if (text_set_new(list->items, list->count, regexp, ret, error) < 0)
		return error_wrap(error, "error creating %s filters", what);
	return 0;
}

static int side_init(struct side *s, const struct match_properties *p, enum signal signal,
                     struct error *error)
{
	bool regexp = p->match_type == REGEXP;
	int r = 0;

	if (!p->enabled)
		return 0;
	s->properties = p;
	s->looks = signal != SIGNAL_METRICS || p->metric_names.count || p->resources.count;
	if (signal != SIGNAL_METRICS)
		r = signal == SIGNAL_TRACES ? check_for_spans(p, error) : check_for_logs(p, error);
	if (r == 0)
		r = read_wanted(p, &p->resources, &s->resources, error);
	if (signal == SIGNAL_METRICS)
		return r < 0 ? r
		             : read_texts(&p->metric_names, regexp, "metric name", &s->metrics,
		                          error);
	if (r == 0)
		r = read_wanted(p, &p->attributes, &s->attributes, error);
	if (r == 0)
		r = read_libraries(s, regexp, error);
	if (r == 0)
		r = read_texts(&p->services, regexp, "service name", &s->services, error);
	if (r == 0)
		r = read_texts(&p->span_names, regexp, "span name", &s->names, error);
	if (r == 0)
		r = read_texts(&p->span_kinds, regexp, "span kind", &s->kinds, error);
	if (r == 0)
		r = read_texts(&p->log_bodies, regexp, "log record body", &s->bodies, error);
	if (r == 0)
		r = read_texts(&p->log_severity_texts, regexp, "log record severity text",
		               &s->severities, error);
	return r;
}

int match_new(const struct match_properties *include, const struct match_properties *exclude,
              enum signal signal, struct match **ret, struct error *error)
{
	struct match *m = calloc(1, sizeof *m);
	int r;

	if (!m)
		return error_no_memory(error);
	r = side_init(&m->include, include, signal, error);
	if (r < 0) {
		error_wrap(error, "include");
	} else {
		r = side_init(&m->exclude, exclude, signal, error);
		if (r < 0)
			error_wrap(error, "exclude");
	}
	if (r < 0)
		match_free(m);
	else
		*ret = m;
	return r;
}

/* ---- asking */

static bool has_text(struct match *m, struct text_set *set, struct slice text)
{
	int r = text_set_has(set, text);

	m->failed |= r < 0;
	return r > 0;
}

static bool has_bytes(struct match *m, struct text_set *set, ProtobufCBinaryData bytes)
{
	return !set || has_text(m, set, slice_of_bytes(bytes));
}

static bool has_value(struct match *m, struct text_set *set, const Otlp__AnyValue *v)
{
	if (v && v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE)
		return has_text(m, set, slice_of_bytes(v->string_value));
	buffer_clear(&m->text);
	labels_append_value(&m->text, v);
	m->failed |= m->text.failed;
	return has_text(m, set, buffer_slice(&m->text));
}

/* Lists, maps and bytes are not compared. */
static bool is_scalar(const Otlp__AnyValue *v)
{
	switch (v ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		return true;
	default:
		return false;
	}
}

static bool has_all(struct match *m, const struct wanted_list *wanted, Otlp__KeyValue *const *items,
                    size_t n)
{
	for (size_t i = 0; i < wanted->n; i++) {
		const struct wanted *w = &wanted->items[i];
		size_t at = value_find(items, n, w->key);
		const Otlp__AnyValue *v;

		if (at == n)
			return false;
		v = items[at]->value;
		if (w->any)
			continue;
		if (w->texts ? !is_scalar(v) || !has_value(m, w->texts, v)
		             : !value_equal(&w->value, v))
			return false;
	}
	return true;
}

static bool fits_resource(struct match *m, const struct side *s, const Otlp__Resource *r)
{
	static const struct slice unknown = {(const uint8_t *)"<nil-service-name>", 18};

	if (s->services) {
		size_t at =
			value_find(r->attributes, r->n_attributes, SLICE_LITERAL("service.name"));
		if (at == r->n_attributes ? !has_text(m, s->services, unknown)
		                          : !has_value(m, s->services, r->attributes[at]->value))
			return false;
	}
	return has_all(m, &s->resources, r->attributes, r->n_attributes);
}

static bool fits_scope(struct match *m, const struct side *s, const Otlp__InstrumentationScope *c)
{
	static const Otlp__InstrumentationScope none = OTLP__INSTRUMENTATION_SCOPE__INIT;

	if (!c)
		c = &none;
	for (size_t i = 0; i < s->n_libraries; i++)
		if (!has_bytes(m, s->libraries[i].name, c->name) ||
		    !has_bytes(m, s->libraries[i].version, c->version))
			return false;
	return true;
}

/* Whether an item can still be acted on, by what its surroundings are. */
static bool is_open(const struct match *m)
{
	return !m->include.looks || (m->include.resource_fits && m->include.scope_fits);
}

bool match_resource(struct match *m, const Otlp__Resource *r)
{
	m->include.scope_fits = m->exclude.scope_fits = true;
	m->include.resource_fits = m->include.looks && fits_resource(m, &m->include, r);
	m->exclude.resource_fits = m->exclude.looks && fits_resource(m, &m->exclude, r);
	return is_open(m);
}

bool match_scope(struct match *m, const Otlp__InstrumentationScope *scope)
{
	m->include.scope_fits = m->include.looks && fits_scope(m, &m->include, scope);
	m->exclude.scope_fits = m->exclude.looks && fits_scope(m, &m->exclude, scope);
	return is_open(m);
}

static bool fits_span(struct match *m, const struct side *s, const Otlp__Span *span)
{
	const char *kind = (unsigned)span->kind < KINDS ? kind_names[span->kind] : "";

	return has_bytes(m, s->names, span->name) &&
	       (!s->kinds || has_text(m, s->kinds, slice_from_string(kind))) &&
	       has_all(m, &s->attributes, span->attributes, span->n_attributes);
}

static bool fits_log(struct match *m, const struct side *s, const Otlp__LogRecord *log)
{
	const struct match_properties *p = s->properties;

	if (p->log_severity_number.enabled &&
	    (log->severity_number == OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_UNSPECIFIED
	             ? !p->log_severity_number.match_undefined
	             : log->severity_number < p->log_severity_number.min))
		return false;
	return (!s->bodies || has_value(m, s->bodies, log->body)) &&
	       has_bytes(m, s->severities, log->severity_text) &&
	       has_all(m, &s->attributes, log->attributes, log->n_attributes);
}

static bool fits_metric(struct match *m, const struct side *s, const Otlp__Metric *metric)
{
	return has_bytes(m, s->metrics, metric->name);
}

/* include is asked before exclude. */
#define ANSWER(m, fits, item)                                                                      \
	((!(m)->include.looks || ((m)->include.resource_fits && (m)->include.scope_fits &&         \
	                          fits(m, &(m)->include, item))) &&                                \
	 !((m)->exclude.looks && (m)->exclude.resource_fits && (m)->exclude.scope_fits &&          \
	   fits(m, &(m)->exclude, item)))

bool match_span(struct match *m, const Otlp__Span *span)
{
	return ANSWER(m, fits_span, span);
}

bool match_log(struct match *m, const Otlp__LogRecord *log)
{
	return ANSWER(m, fits_log, log);
}

bool match_metric(struct match *m, const Otlp__Metric *metric)
{
	return ANSWER(m, fits_metric, metric);
}

bool match_failed(struct match *m)
{
	bool failed = m->failed;

	m->failed = false;
	return failed;
}

static unsigned wanted_given_up(const struct wanted_list *l)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += text_set_given_up(l->items[i].texts);
	return n;
}

static unsigned side_given_up(const struct side *s)
{
	unsigned n = text_set_given_up(s->services) + text_set_given_up(s->names) +
	             text_set_given_up(s->kinds) + text_set_given_up(s->bodies) +
	             text_set_given_up(s->severities) + text_set_given_up(s->metrics) +
	             wanted_given_up(&s->attributes) + wanted_given_up(&s->resources);

	for (size_t i = 0; i < s->n_libraries; i++)
		n += text_set_given_up(s->libraries[i].name) +
		     text_set_given_up(s->libraries[i].version);
	return n;
}

unsigned match_given_up(struct match *m)
{
	return side_given_up(&m->include) + side_given_up(&m->exclude);
}
