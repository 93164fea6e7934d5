/* exposition: the last values of a translator's series, and the pages that Prometheus reads.
 *
 * An exposition stands beside a series table: exposition_tell() takes the translator's samples in,
 * and a cursor writes what is there now, a piece at a time, as text 0.0.4, OpenMetrics 1.0.0 or
 * delimited protobuf (io.prometheus.client, with native histograms). Between two pieces everything
 * may change, so that a scrape of any size needs neither a copy nor a long turn of the loop; what
 * was added since the scrape began is not in it, and one metric (a histogram with all its buckets)
 * is never torn. Give the translator one_type and tell_late, and the two functions below.
 *
 * Where equal labels come from several sources, told apart by their start times, counters and
 * histograms are sums over the sources: nobody's value replaces another's, and a restart goes on
 * where the last run ended. Of gauges and summaries' quantiles the newest value is shown.
 *
 * Memory: a point of about 130 bytes for each series, so the table's limit is its bound too; a
 * series has at most EXPOSITION_SOURCES sources, all of them together no more than the table may
 * have series. Sans-I/O. Not thread-safe. */
#ifndef WEIR_PROMETHEUS_EXPOSITION_H
#define WEIR_PROMETHEUS_EXPOSITION_H

#include "core/base/list.h"
#include "core/prometheus/translate.h"

/* Of one series; when there are more, the oldest that ended before the new one began is added to
 * what has been, and if there is none the new one is refused. */
enum { EXPOSITION_SOURCES = 64 };

/* Buckets of a histogram, classic or native, or quantiles of a summary. A metric is written in one
 * go and lies in memory whole, so one that somebody has sent with a million would hold up everybody. */
enum { EXPOSITION_POINTS = 2000 };

struct exposition {
	struct series_table *table;
	struct list families, cursors;
	struct map groups; /* the distributions, by labels without le and quantile */
	uint64_t moment;   /* counts what was added */
	size_t n_points, n_sources, max_sources;
	uint32_t name_symbol; /* "__name__" */
};

/* -ENOMEM. The table outlives it. */
int exposition_init(struct exposition *e, struct series_table *table, struct error *error);
void exposition_fini(struct exposition *e); /* before the translator goes */

/* For translator_options, with the exposition as arg. */
void exposition_on_series_end(void *e, struct series *s);
void exposition_on_family_end(void *e, struct series_family *family);

enum exposition_result {
	EXPOSITION_TOLD,
	EXPOSITION_LATE, /* older than what its source has told */
	EXPOSITION_TOO_MANY_SOURCES,
	EXPOSITION_TOO_LARGE, /* EXPOSITION_POINTS: then nothing of the metric is shown */
	EXPOSITION_NO_MEMORY,
};
/* A stale marker takes the value away: the series is not shown until the next one. */
enum exposition_result exposition_tell(struct exposition *e, const struct sample *s);

/* ---- pages */

enum exposition_format {
	EXPOSITION_TEXT,
	EXPOSITION_OPENMETRICS,
	EXPOSITION_PROTOBUF,
};

struct exposition_choice {
	enum exposition_format format;
	/* Names outside of [a-zA-Z_:][a-zA-Z0-9_:]* as they are (Prometheus 3); otherwise with '_' for
	 * what Prometheus 2 does not take. */
	bool utf8;
};

/* What an Accept header asks for; an empty one, and one that names nothing known, is answered with
 * text. openmetrics: whether that may be given. */
struct exposition_choice exposition_negotiate(struct slice accept, bool openmetrics);
const char *exposition_content_type(struct exposition_choice choice);

/* Part of a page that has been written up to some metric. */
struct exposition_cursor {
	struct list link; /* of the exposition */
	struct exposition *exposition;
	struct exposition_choice choice;
	bool timestamps;
	bool headed; /* the current family's head is written */
	bool ended;
	uint64_t until;                   /* what was added later is left out */
	struct exposition_family *family; /* to be written next; NULL: the end */
	struct exposition_metric *metric; /* NULL: the family's end */
	struct buffer message;            /* protobuf: a MetricFamily that is being made */
};

/* timestamps: with the time of each sample. End it before the exposition. */
void exposition_begin(struct exposition_cursor *c, struct exposition *e,
                      struct exposition_choice choice, bool timestamps);
/* Appends the next metrics until there are about `enough` bytes more. False: that was the end. A
 * failure is out's. */
bool exposition_write(struct exposition_cursor *c, struct buffer *out, size_t enough);
void exposition_end(struct exposition_cursor *c); /* a zeroed one too */

#endif
