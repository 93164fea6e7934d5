/* remote_write: samples as the messages of Prometheus' remote write, 1.0 and 2.0.
 *
 * 1.0 is prometheus.WriteRequest, 2.0 is io.prometheus.write.v2.Request as of 2.0-rc.4
 * (https://prometheus.io/docs/specs/prw/), where the start timestamp is the sample's. The bytes are not
 * compressed yet. A writer belongs to one table of symbols and builds one request after the other: a
 * label costs the look-up of its symbols' places in the request being built, a sample no allocation.
 * Sans-I/O. Not thread-safe; a finished request is its owner's and nobody else writes to it. */
#ifndef WEIR_PROMETHEUS_REMOTE_WRITE_H
#define WEIR_PROMETHEUS_REMOTE_WRITE_H

#include "core/base/buffer.h"
#include "core/prometheus/translate.h"

enum remote_write_version { REMOTE_WRITE_1, REMOTE_WRITE_2 };

/* One request. Zeroed is empty; used again, it keeps its memory. */
struct remote_write_request {
	struct buffer symbols, series, metadata; /* 2.0 has symbols, 1.0 may have metadata */
	struct slice pieces[3];                  /* the bytes, after remote_write_end() */
	size_t n_pieces, bytes;
	size_t samples, histograms, exemplars; /* samples: floats only */
	size_t series_count;                   /* TimeSeries messages */
	int64_t newest_ms;                     /* highest timestamp; INT64_MIN: none */
};
void remote_write_request_fini(struct remote_write_request *r);

struct remote_write_options {
	size_t max_bytes;   /* of a request, unless its first series alone is larger */
	size_t max_samples; /* floats and histograms */
	/* 1.0: whether the family's type, help and unit go into this request; asked for every series.
	 * NULL: never. 2.0 sends them with every series. */
	bool (*wants_metadata)(void *arg, struct series_family *family);
	void *arg;
};

struct remote_write {
	struct symbols *symbols;
	struct remote_write_options options;
	struct remote_write_place *places; /* by symbol */
	uint32_t n_places;
	uint32_t stamp; /* of the request being built */
	enum remote_write_version version;
	struct remote_write_request *request;
	uint32_t n_symbols;
	uint32_t *borrowed; /* symbols of exemplars, referenced until the end of the request */
	size_t n_borrowed, max_borrowed;
	bool full;
	bool failed; /* no memory */
};

/* Allocates nothing. symbols outlives the writer. */
void remote_write_init(struct remote_write *w, struct symbols *symbols,
                       const struct remote_write_options *options);
void remote_write_fini(struct remote_write *w); /* not between begin and end */

void remote_write_begin(struct remote_write *w, enum remote_write_version version,
                        struct remote_write_request *request);

/* Adds samples from the front and returns how many; less than n: the request is full. The first
 * sample of a request always fits. Neighbours of one series share a TimeSeries. Exemplars that find
 * no place among the symbols are left out. */
size_t remote_write_add(struct remote_write *w, const struct sample *samples, size_t n);

/* The pieces are complete. -ENOMEM: they are not, build it again later. */
int remote_write_end(struct remote_write *w);

#endif
