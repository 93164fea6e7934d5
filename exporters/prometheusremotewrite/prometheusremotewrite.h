/* prometheusremotewrite, private: what the exporter and its shards know of one another. */
#ifndef WEIR_EXPORTERS_PROMETHEUSREMOTEWRITE_H
#define WEIR_EXPORTERS_PROMETHEUSREMOTEWRITE_H

#include "core/component.h"
#include "core/export/account.h"
#include "core/export/retry.h"
#include "core/loop/timer.h"
#include "core/net/http_client.h"
#include "core/prometheus/remote_write.h"
#include "exporters/prometheusremotewrite/prometheusremotewrite_config.h"
#include "exporters/prometheusremotewrite/prometheusremotewrite_queue.h"

struct remote_write_exporter;

enum shard_state {
	SHARD_IDLE,        /* no request */
	SHARD_COMPRESSING, /* on a thread of the pool */
	SHARD_SENDING,     /* an attempt is out */
	SHARD_WAITING,     /* for the next attempt */
};

/* The series whose labels' hash belongs to it; one request at a time. */
struct shard {
	struct remote_write_exporter *exporter;
	struct sample_queue queue;
	enum shard_state state;
	bool running;
	struct timer *timer; /* the next attempt, or samples that have waited long enough */

	struct remote_write_request request;
	struct buffer compressed;
	struct slice body;
	int result;     /* of compressing */
	size_t covered; /* samples of the queue's front that are in the request */
	enum remote_write_version version;
	bool second_opinion; /* 2.0 was refused with 400 before anybody knew that it is understood */
	struct retry retry;
	bool attempted;
	uint64_t attempt_started_ns;
	struct http_client_exchange *exchange;

	/* A refused request is being divided. */
	size_t suspects; /* samples of it at the queue's front; 0: none is */
	size_t part;     /* samples in the next request */
	unsigned splits, lost_alone;
	bool saved; /* some part of it was taken */
};

/* Refusals by HTTP status, for the figures. */
enum { REFUSED_STATUSES = 8 };
extern const unsigned refused_statuses[REFUSED_STATUSES]; /* the last is 0: any other */

struct remote_write_figures {
	uint64_t failed_translations, translated_series, sent_batches;
	uint64_t samples, histograms, exemplars; /* written */
	uint64_t refused[REFUSED_STATUSES];      /* samples */
	uint64_t splits;
	int64_t newest_ms; /* highest timestamp that was sent; 0: none */
};

struct remote_write_exporter {
	struct component component;
	const struct prometheusremotewrite_config *config;
	const struct remote_write_http *http;
	struct translator_label *external;
	struct translator *translator;
	struct remote_write writer;
	struct tls_settings tls;
	struct headers headers;
	char where[280]; /* host and port of the endpoint */
	char user_agent[128];
	struct http_client *client; /* from start on */

	struct shard *shards;
	size_t n_shards;
	enum remote_write_version version; /* of new requests */
	bool version_known;                /* it has been accepted, or is the configuration's */
	struct shard *asking;              /* finds it out; the others wait for its first answer */
	uint64_t no_splits_before_ns;      /* halves were refused like wholes */

	size_t tickets;       /* batches without an answer */
	struct list finished; /* tickets to be answered */
	bool finishing;
	struct list held; /* batches that wait for room */
	size_t n_held;
	struct timer *expiry;

	struct account account;
	struct remote_write_figures figures;
	struct metrics_collector *collector;
	bool failing;

	struct timer *deadline;
	bool stopping, past_deadline, all_ended, client_closing, client_closed;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- of the shards */

bool shard_init(struct shard *s, struct remote_write_exporter *e); /* false: no memory; fini it */
void shard_fini(struct shard *s);

/* Sends what there is to send, when it is time. */
void shard_run(struct shard *s);

/* The deadline has passed: ends the attempt, drops all. The shard may stay busy on the pool. */
void shard_give_up(struct shard *s);

/* ---- of the exporter, for the shards */

/* Something was popped, or a shard became idle: answers tickets, lets others in. Last in a
 * callback. */
void remote_write_progress(struct remote_write_exporter *e);

/* message NULL: it works again. */
void remote_write_tell_status(struct remote_write_exporter *e, const char *message);

/* ---- figures */

/* In the queues of all shards. */
size_t remote_write_queued_samples(const struct remote_write_exporter *e);
size_t remote_write_queued_bytes(const struct remote_write_exporter *e);

void remote_write_report(void *arg, struct metrics_sink *sink); /* a collector's collect() */

#endif
