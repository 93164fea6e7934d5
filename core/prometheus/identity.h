/* identity: what tells streams of points apart, as 128-bit hashes (XXH3, secret seed) of what comes.
 * For core/prometheus only. */
#ifndef WEIR_PROMETHEUS_IDENTITY_H
#define WEIR_PROMETHEUS_IDENTITY_H

#include "core/base/buffer.h"
#include "core/prometheus/streams.h"
#include "core/wire/otlp.pb-c.h"

struct identity {
	uint64_t low, high;
};

/* Each begins in an empty scratch, which afterwards may have failed: no memory. */
struct identity identity_resource(struct buffer *scratch, const Otlp__Resource *r);
struct identity identity_scope(struct buffer *scratch, struct identity resource,
                               const Otlp__ScopeMetrics *scope);
struct identity identity_metric(struct buffer *scratch, struct identity scope,
                                const Otlp__Metric *m);
struct stream_id identity_point(struct buffer *scratch, struct identity metric,
                                Otlp__KeyValue *const *attributes, size_t n);
/* The same out of the attributes' bytes: another id than that of the decoded ones. */
struct stream_id identity_wire(struct identity metric, struct slice attributes);
/* Of what a resource itself is told as. */
struct stream_id identity_target(struct identity resource);

/* Of numbers: bounds, quantiles. */
uint64_t identity_layout(const double *values, size_t n, uint64_t kind);

#endif
