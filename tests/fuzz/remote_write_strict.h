/* remote_write_strict: reads remote write 1.0 and 2.0 and finds what is wrong with it. For tests and
 * fuzzers; shares nothing with the writer but protobuf's wire format. */
#ifndef WEIR_TESTS_REMOTE_WRITE_STRICT_H
#define WEIR_TESTS_REMOTE_WRITE_STRICT_H

#include "core/base/buffer.h"
#include "core/prometheus/remote_write.h"

struct strict_figures {
	size_t series, samples, histograms, exemplars, metadata, symbols;
};

/* legacy: names must be those that every Prometheus takes. Returns what is wrong, or NULL. With text, a
 * line is appended to it for each sample, histogram, exemplar and metadata. */
const char *remote_write_strict(enum remote_write_version version, struct slice bytes, bool legacy,
                                struct strict_figures *ret, struct buffer *text);

#endif
