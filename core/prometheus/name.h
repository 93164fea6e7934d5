/* name: OTLP's names and units as Prometheus writes them.
 *
 * Follows opentelemetry-specification, compatibility/prometheus_and_openmetrics.md, and for what
 * that leaves open (the strategies, `_ratio`, leading digits) the otlptranslator library of
 * Prometheus, whose names users already have in their dashboards. Pure: no state. */
#ifndef WEIR_PROMETHEUS_NAME_H
#define WEIR_PROMETHEUS_NAME_H

#include "core/base/buffer.h"

/* In the order of name_strategies[]. */
enum name_strategy {
	NAME_ESCAPED_SUFFIXED, /* UnderscoreEscapingWithSuffixes */
	NAME_ESCAPED,          /* UnderscoreEscapingWithoutSuffixes */
	NAME_UTF8_SUFFIXED,    /* NoUTF8EscapingWithSuffixes */
	NAME_UTF8,             /* NoTranslation */
};
/* The names users write, NULL at the end. */
extern const char *const name_strategies[];

/* What a metric is to Prometheus. The order is that of remote write 2.0's Metadata.MetricType. */
enum metric_type {
	METRIC_UNKNOWN,
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM, /* classic and native */
	METRIC_GAUGEHISTOGRAM,
	METRIC_SUMMARY,
	METRIC_INFO,
	METRIC_STATESET,
};
/* "counter", ... as OpenMetrics and metadata call it. */
const char *metric_type_name(enum metric_type type);

/* The family's name appended to out: namespace, name, unit words, and what the type wants behind it
 * (`_total`, `_ratio`). _bucket, _sum and _count are the translator's. ns may be empty. Never
 * empty, and with the escaping strategies always [a-zA-Z_:][a-zA-Z0-9_:]*; with the others what is
 * no UTF-8 becomes U+FFFD. Appends nothing for an empty name: such a metric has no series. */
void name_metric(struct buffer *out, enum name_strategy strategy, struct slice ns,
                 struct slice name, struct slice unit, enum metric_type type);

/* A label's name out of an attribute's key. Never empty, never a reserved name ("__..."); with the
 * escaping strategies always [a-zA-Z_][a-zA-Z0-9_]*. An empty key gives nothing: such an attribute
 * is no label. */
void name_label(struct buffer *out, enum name_strategy strategy, struct slice key);

/* The unit as OpenMetrics wants it in metadata: "seconds", "bytes_per_second"; nothing for no unit,
 * "1" and {annotations}. */
void name_unit(struct buffer *out, enum name_strategy strategy, struct slice unit);

/* Whether they are names that every Prometheus takes (the escaping strategies' alphabets). */
bool name_is_legacy_metric(struct slice name);
bool name_is_legacy_label(struct slice name);

#endif
