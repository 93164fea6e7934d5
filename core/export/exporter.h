/* exporter: what every exporter that sends over a network shares: queue -> batcher -> retry -> one
 * attempt.
 *
 * consume() answers as soon as the queue has taken the batch (or, with wait_for_result, when the
 * backend has answered). Items that the backend rejected out of a request of several batches are laid to
 * its first senders, to none more than it sent: the backend says how many, not which. num_consumers requests are in flight at most; a request waiting for its
 * retry counts as in flight. Keys, defaults and texts are those of the Collector's exporterhelper
 * (reference: collector.md section 2.7). */
#ifndef WEIR_EXPORT_EXPORTER_H
#define WEIR_EXPORT_EXPORTER_H

#include "core/component.h"

struct retry_config {
	bool enabled;
	uint64_t initial_interval, max_interval, max_elapsed_time; /* ns; elapsed 0: no end */
	double randomization_factor, multiplier;
};

struct partition_config {
	struct string_list metadata_keys;
};

struct batcher_config {
	bool enabled;
	uint64_t flush_timeout; /* ns */
	uint64_t min_size, max_size;
	int sizer; /* enum batch_sizer */
	struct partition_config partition;
};

struct queue_config {
	bool enabled;
	uint64_t num_consumers, queue_size;
	int sizer; /* enum batch_sizer */
	bool wait_for_result, block_on_overflow;
	const char *storage;
	struct batcher_config batch;
};

struct exporter_config {
	uint64_t timeout; /* ns per attempt; 0: none */
	struct retry_config retry_on_failure;
	struct queue_config sending_queue;
};

extern const struct option retry_options[], queue_options[];

/* The rows for an exporter's option table; field is its struct exporter_config, whose keys stand at
 * the top level. */
#define EXPORTER_OPTIONS(type, field) EXPORTER_OPTIONS_TIMEOUT(type, field, "5s")

/* The same with another default. */
#define EXPORTER_OPTIONS_TIMEOUT(type, field, timeout_)                                            \
	OPTION_DURATION(type, field.timeout, .name = "timeout", .text = timeout_,                  \
	                .doc = "Time limit of one attempt; 0 is none."),                           \
		OPTION_OPTIONAL(type, field.retry_on_failure, retry_options,                       \
	                        .name = "retry_on_failure", .text = "on",                          \
	                        .doc = "What happens after a failure that may pass."),             \
		OPTION_OPTIONAL(type, field.sending_queue, queue_options, .name = "sending_queue", \
	                        .text = "on",                                                      \
	                        .doc = "The queue between the pipeline and the backend.")

/* Rules over several of these keys; an exporter's check() calls it. */
int exporter_config_check(const struct exporter_config *config, struct error *error);

/* One attempt to deliver a batch. batch stays the caller's and unchanged until done is called,
 * which happens exactly once, by deadline_ns (monotonic; 0: none) with RETRY at the latest. */
typedef void (*exporter_send)(void *self, const struct batch *batch, uint64_t deadline_ns,
                              struct done done);

struct exporter;

/* owner is the component that embeds it (its id, host and log are used). NULL: no memory. */
struct exporter *exporter_new(const struct component *owner, enum signal signal,
                              const struct exporter_config *config, exporter_send send, void *self);
void exporter_consume(struct exporter *e, struct batch *batch, struct done done);

/* Sends what is queued, without waiting out back-offs twice, until deadline_ns; what is left then
 * is counted as dropped with reason "shutdown" and said in one log line. closed(arg) comes exactly
 * once. Attempts may still be out then, when the deadline has passed: the owner closes its
 * connections now, and their done, which still has to come, changes nothing any more. */
void exporter_shutdown(struct exporter *e, uint64_t deadline_ns, void (*closed)(void *arg),
                       void *arg);
void exporter_free(struct exporter *e); /* after closed; takes NULL */

#endif
