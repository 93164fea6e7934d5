/* labels: a sorted set of labels out of attributes, by the rules for names and collisions. For
 * core/prometheus only.
 *
 * Attributes whose keys become the same label are joined: their values with `;` between, in the
 * order of the keys. Where a key stands twice, the one of the higher rank counts, then the first. A
 * label that is fixed (job, le, ...) wins over an attribute, which then becomes exported_NAME, as
 * Prometheus itself names what it finds in its way. Empty values are no labels. */
#ifndef WEIR_PROMETHEUS_LABELS_H
#define WEIR_PROMETHEUS_LABELS_H

#include "core/base/buffer.h"
#include "core/prometheus/series_internal.h"
#include "core/prometheus/translate.h"
#include "core/wire/otlp.pb-c.h"

enum label_rank { LABEL_OF_RESOURCE, LABEL_OF_SCOPE, LABEL_OF_POINT };

struct labels {
	struct label_item *items;
	size_t n_items, capacity;
	struct buffer text; /* names and values of the items */
	struct label *list; /* after labels_finish(): points into text */
	size_t n, list_capacity;
	bool failed; /* no memory, until labels_begin() */
	bool full;   /* more than SERIES_LABELS_LIMIT or SERIES_LABEL_BYTES_LIMIT */
};

void labels_fini(struct labels *l);
void labels_begin(struct labels *l);

/* What is fixed comes before all attributes. */
void labels_fixed(struct labels *l, const char *name, struct slice value);
void labels_attribute(struct labels *l, enum name_strategy strategy, enum label_rank rank,
                      struct slice prefix, struct slice key, const Otlp__AnyValue *value);
/* Where there is no such label otherwise. */
void labels_external(struct labels *l, const char *name, const char *value);

/* Sorts and joins into l->list. False: l->failed or l->full. */
bool labels_finish(struct labels *l);

/* A value as text: lists and maps as JSON, bytes in base64. */
void labels_append_value(struct buffer *out, const Otlp__AnyValue *value);

#endif
