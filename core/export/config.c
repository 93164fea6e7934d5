/* The keys of every exporter that sends over a network: names, defaults and texts of the
 * Collector's exporterhelper. One default differs: batching is on. */
#include "core/export/exporter.h"

#include "core/base/clock.h"

#include <errno.h>

static const char *const sizers[] = {
	[BATCH_REQUESTS] = "requests", [BATCH_ITEMS] = "items", [BATCH_BYTES] = "bytes", NULL};

enum { DEFAULT_MIN_SIZE = 8192 };

static const struct option partition_options[] = {
	OPTION_STRING_LIST(
		struct partition_config, metadata_keys,
		.doc = "Names of request metadata (HTTP headers): only data whose requests "
		       "had the same values of all of them is joined. The receiver must "
		       "keep them (include_metadata). When 1000 combinations are open, "
		       "a new one makes the oldest leave before its time."),
	OPTION_END};

static const struct option batcher_options[] = {
	OPTION_DURATION(struct batcher_config, flush_timeout, .text = "200ms",
                        .doc = "The longest that a batch waits to be joined with others."),
	OPTION_UINT(struct batcher_config, min_size, .text = "8192",
                    .doc = "A request is sent as soon as it has this size."),
	OPTION_UINT(struct batcher_config, max_size, .text = "0",
                    .doc = "A request is never larger than this; 0 is no limit."),
	OPTION_ENUM(struct batcher_config, sizer, sizers, .text = "items",
                    .doc = "What min_size and max_size count: items or bytes."),
	OPTION_GROUP(struct batcher_config, partition, partition_options,
                     .doc = "What is not joined with one another."),
	OPTION_END};

const struct option retry_options[] = {
	OPTION_DURATION(struct retry_config, initial_interval, .text = "5s",
                        .doc = "Wait before the second attempt."),
	OPTION_DURATION(struct retry_config, max_interval, .text = "30s",
                        .doc = "The longest wait between two attempts."),
	OPTION_DURATION(struct retry_config, max_elapsed_time, .text = "300s",
                        .doc = "After this long a request is dropped; 0 is never."),
	OPTION_FLOAT(struct retry_config, randomization_factor, .text = "0.5",
                     .doc = "A wait is spread evenly over itself plus and minus this part of it."),
	OPTION_FLOAT(struct retry_config, multiplier, .text = "1.5",
                     .doc = "How much longer each wait is than the one before."),
	OPTION_END};

const struct option queue_options[] = {
	OPTION_UINT(
		struct queue_config, num_consumers, .text = "10",
		.doc = "Requests in flight at most; one that waits for its retry is in flight."),
	OPTION_UINT(struct queue_config, queue_size, .text = "1000",
                    .doc = "Room of the queue, in the unit of sizer."),
	OPTION_ENUM(struct queue_config, sizer, sizers, .text = "requests",
                    .doc = "What queue_size counts: requests, items or bytes."),
	OPTION_BOOL(struct queue_config, wait_for_result, .text = "false",
                    .doc = "The sender's answer waits for the backend's."),
	OPTION_BOOL(struct queue_config, block_on_overflow, .text = "false",
                    .doc = "A full queue makes senders wait instead of refusing."),
	OPTION_COMPONENT(struct queue_config, storage,
                         .doc = "Storage extension that keeps the queue over a restart; none is "
                                "built in yet."),
	OPTION_OPTIONAL(struct queue_config, batch, batcher_options, .text = "on",
                        .flags = OPTION_NULL_ON,
                        .doc = "Joins and cuts batches behind the queue (the Collector's default "
                               "is off)."),
	OPTION_END};

static int check_retry(const struct retry_config *c, struct error *error)
{
	if (!c->enabled)
		return 0;
	if (!(c->randomization_factor >= 0 && c->randomization_factor <= 1))
		return error_set(error, -EINVAL, "'randomization_factor' must be within [0, 1]");
	if (!(c->multiplier >= 0))
		return error_set(error, -EINVAL, "'multiplier' must be non-negative");
	if (c->max_elapsed_time == 0)
		return 0;
	if (c->max_elapsed_time < c->initial_interval)
		return error_set(error, -EINVAL,
		                 "'max_elapsed_time' must not be less than 'initial_interval'");
	if (c->max_elapsed_time < c->max_interval)
		return error_set(error, -EINVAL,
		                 "'max_elapsed_time' must not be less than 'max_interval'");
	return 0;
}

static int check_batcher(const struct queue_config *q, struct error *error)
{
	const struct batcher_config *c = &q->batch;
	const char *repeated = batch_metadata_repeated(c->partition.metadata_keys.items,
	                                               c->partition.metadata_keys.count);

	if (!c->enabled)
		return 0;
	if (c->sizer == BATCH_REQUESTS)
		return error_set(error, -EINVAL,
		                 "`batch` supports only `items` or `bytes` sizer, found \"%s\"",
		                 sizers[c->sizer]);
	if (c->flush_timeout == 0)
		return error_set(error, -EINVAL, "`batch`: `flush_timeout` must be positive");
	if (c->max_size && c->max_size < c->min_size)
		return error_set(
			error, -EINVAL,
			"`batch`: `max_size` must be greater or equal to `min_size` (%llu)",
			(unsigned long long)c->min_size);
	if (repeated)
		return error_set(error, -EINVAL,
		                 "`batch`: duplicate entry in metadata_keys: \"%s\" "
		                 "(case-insensitive)",
		                 repeated);
	/* The default of a block that nobody wrote gives way to a small queue (batcher_init). */
	if (c->sizer == q->sizer && c->min_size > q->queue_size && c->min_size != DEFAULT_MIN_SIZE)
		return error_set(error, -EINVAL,
		                 "`min_size` must be less than or equal to `queue_size`");
	return 0;
}

static int check_queue(const struct queue_config *c, struct error *error)
{
	if (!c->enabled)
		return 0;
	if (c->num_consumers == 0)
		return error_set(error, -EINVAL, "`num_consumers` must be positive");
	if (c->queue_size == 0)
		return error_set(error, -EINVAL, "`queue_size` must be positive");
	if (c->storage && c->wait_for_result)
		return error_set(error, -EINVAL,
		                 "`wait_for_result` is not supported with a persistent queue "
		                 "configured with `storage`");
	if (c->storage)
		return error_set(error, -EINVAL,
		                 "`storage` names \"%s\", but this version of weir keeps its queue "
		                 "in memory only; remove the key",
		                 c->storage);
	return check_batcher(c, error);
}

int exporter_config_check(const struct exporter_config *config, struct error *error)
{
	int r = check_queue(&config->sending_queue, error);

	if (r < 0)
		return error_wrap(error, "sending_queue");
	r = check_retry(&config->retry_on_failure, error);
	return r < 0 ? error_wrap(error, "retry_on_failure") : 0;
}
