/* batch: joins small batches into larger ones, until there are send_batch_size items or timeout has
 * passed. With metadata_keys, only those whose requests had the same values of these.
 *
 * Happy path: consume -> the partition of its metadata values, which joins and sends.
 * Fails: no memory, or UNFINISHED_LIMIT batches wait for their outcome (RETRY) · one combination of values
 * too many (PERMANENT) · shut down (CANCELED).
 *
 * Unlike the Collector's, whose batch processor answers OK before it sends, the outcome flows back,
 * so nothing is lost between a client that was told OK and an exporter that failed. */
#include "processors/batch/batch_internal.h"

#include <errno.h>
#include <stdlib.h>

/* Batches that wait for their outcome: a source without a window must not grow this list without
 * end. */
enum { UNFINISHED_LIMIT = 100000 };
/* Combinations of metadata values: clients that make them up must not take all memory. */
enum { CARDINALITY_LIMIT = 100000 };

static const struct option batch_options[] = {
	OPTION_DURATION(struct batch_config, timeout, .text = "200ms",
                        .doc = "The longest time that data waits; 0: it is passed on at once and "
                               "only cut by send_batch_max_size."),
	OPTION_UINT(struct batch_config, send_batch_size, .text = "8192", .max = 1 << 30,
                    .doc = "Items (spans, data points, log records) at which a batch is sent; 0: "
                           "at once."),
	OPTION_UINT(struct batch_config, send_batch_max_size, .text = "0", .max = 1 << 30,
                    .doc = "Larger batches are cut; 0: never."),
	OPTION_STRING_LIST(
		struct batch_config, metadata_keys,
		.doc = "Names of request metadata (HTTP headers): only data whose requests "
		       "had the same values of all of them is joined. The receiver must "
		       "keep them (include_metadata)."),
	OPTION_UINT(struct batch_config, metadata_cardinality_limit, .text = "1000",
                    .max = CARDINALITY_LIMIT,
                    .doc = "Combinations of these values since the start; data with one more is "
                           "refused for good. 0: as many as can be configured."),
	OPTION_END,
};

/* The bounds of the Collector's batch_send_size. */
const double batch_size_bounds[SIZE_BOUNDS] = {10,   25,   50,   75,   100,  250,  500,  750,
                                               1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000,
                                               9000, 1e4,  2e4,  3e4,  5e4,  1e5};

static int batch_check(const void *config, struct error *error)
{
	const struct batch_config *c = config;
	const char *repeated;

	if (c->send_batch_max_size && c->send_batch_max_size < c->send_batch_size)
		return error_set(error, -EINVAL,
		                 "send_batch_max_size must be greater or equal to send_batch_size");
	repeated = batch_metadata_repeated(c->metadata_keys.items, c->metadata_keys.count);
	if (repeated)
		return error_set(error, -EINVAL,
		                 "duplicate entry in metadata_keys: \"%s\" (case-insensitive)",
		                 repeated);
	return 0;
}

static bool values_equal(const struct map_node *node, const void *key)
{
	const struct partition *b = CONTAINER_OF(node, struct partition, by_values);

	return slice_equal(slice_of(b->values, b->n_values), *(const struct slice *)key);
}

/* A partition for a combination of values that has not come before. */
static int add_partition(struct processor *p, struct slice values, uint64_t hash,
                         struct partition **ret, struct error *error)
{
	uint64_t limit = p->config->metadata_cardinality_limit;
	struct partition *b;

	if (p->n_partitions >= (limit ? limit : CARDINALITY_LIMIT)) {
		log_warn(&p->component.log,
		         "too many batcher metadata-value combinations: refusing data with new "
		         "ones "
		         "(metadata_cardinality_limit=%zu)",
		         p->n_partitions);
		return error_set(error, -EOVERFLOW, "too many batcher metadata-value combinations");
	}
	b = partition_new(p, values);
	if (!b || !map_insert(&p->by_values, hash, &b->by_values)) {
		partition_free(b);
		return error_no_memory(error);
	}
	*ret = b;
	return 0;
}

static int find_partition(struct processor *p, const struct batch *batch, struct partition **ret,
                          struct error *error)
{
	const struct string_list *keys = &p->config->metadata_keys;
	struct map_node *found;
	struct slice values;
	uint64_t hash;

	if (p->only) {
		*ret = p->only;
		return 0;
	}
	buffer_clear(&p->values);
	if (!batch_metadata_key(batch, keys->items, keys->count, &p->values))
		return error_no_memory(error);
	values = buffer_slice(&p->values);
	hash = hash_bytes(values.data, values.len);
	found = map_find(&p->by_values, hash, &values);
	if (!found)
		return add_partition(p, values, hash, ret, error);
	*ret = CONTAINER_OF(found, struct partition, by_values);
	return 0;
}

static void batch_consume(struct component *component, struct batch *batch, struct done done)
{
	struct processor *p = (struct processor *)component;
	struct error error = ERROR_INIT;
	struct outcome refusal = {.status = OUTCOME_RETRY};
	struct partition *b = NULL;

	if (p->stopping) {
		refusal = (struct outcome){.status = OUTCOME_CANCELED,
		                           .message = "the batch processor is shutting down"};
		goto refused;
	}
	if (p->unfinished >= UNFINISHED_LIMIT) {
		refusal.message = "too many batches wait for their outcome";
		goto refused;
	}
	if (find_partition(p, batch, &b, &error) < 0 ||
	    partition_add(b, &batch, done, &error) < 0) {
		refusal.message = error.message;
		if (error.kind == ERROR_PERMANENT)
			refusal.status = OUTCOME_PERMANENT;
		goto refused;
	}
	partition_flush(b, false, TRIGGER_SIZE);
	return;

refused:
	batch_unref(batch);
	done_call(done, &refusal);
}

/* ---- life */

static void on_given_up(void *arg)
{
	struct processor *p = arg;
	size_t lost = shipments_give_up(p);

	log_warn(&p->component.log, "gave up waiting for the outcome of %zu items at shutdown",
	         lost);
	processor_maybe_closed(p);
}

void processor_maybe_closed(struct processor *p)
{
	void (*closed)(void *arg) = p->closed;
	const struct partition *b;

	if (!closed || p->busy || !list_is_empty(&p->shipments))
		return;
	LIST_FOR_EACH(b, &p->partitions, member)
		if (b->pending)
			return;
	p->closed = NULL;
	timer_stop(p->deadline);
	closed(p->closed_arg);
}

static void batch_shutdown(struct component *component, uint64_t deadline_ns,
                           void (*closed)(void *arg), void *arg)
{
	struct processor *p = (struct processor *)component;
	uint64_t now = loop_now_ns(component->host->loop);
	struct partition *b;

	p->stopping = true;
	p->closed = closed;
	p->closed_arg = arg;
	timer_start(p->deadline, deadline_ns > now ? deadline_ns - now : 0, 0);
	p->busy++;
	LIST_FOR_EACH(b, &p->partitions, member)
		partition_flush(b, true, TRIGGER_SHUTDOWN);
	p->busy--;
	processor_maybe_closed(p);
}

static void batch_destroy(struct component *component)
{
	struct processor *p = (struct processor *)component;
	struct partition *b, *following;

	if (!p)
		return;
	metrics_unregister(component->host->metrics, p->metrics);
	LIST_FOR_EACH_SAFE(b, following, &p->partitions, member)
		partition_free(b);
	map_fini(&p->by_values);
	buffer_fini(&p->values);
	timer_free(p->deadline);
	free(p);
}

static void batch_collect(void *arg, struct metrics_sink *sink)
{
	const struct processor *p = arg;
	const struct metrics_label *labels = METRICS_LABELS({"processor", p->component.id});

	metrics_counter(sink, "otelcol_processor_batch_batch_size_trigger_send",
	                "Batches sent because they were large enough.", labels,
	                (double)p->triggers[TRIGGER_SIZE]);
	metrics_counter(sink, "otelcol_processor_batch_timeout_trigger_send",
	                "Batches sent because the timeout had passed.", labels,
	                (double)p->triggers[TRIGGER_TIMEOUT]);
	metrics_histogram(sink, "otelcol_processor_batch_batch_send_size",
	                  "Items in the batches that were sent.", labels, batch_size_bounds,
	                  SIZE_BOUNDS, p->sizes, p->sizes_sum);
	metrics_gauge(sink, "otelcol_processor_batch_metadata_cardinality",
	              "Combinations of metadata values that data is kept apart by.", labels,
	              (double)p->n_partitions);
}

extern const struct component_type processor_batch_type;

static int batch_create(const struct create_args *args, struct component **ret, struct error *error)
{
	struct processor *p = calloc(1, sizeof *p);

	if (!p)
		return error_no_memory(error);
	component_init(&p->component, &processor_batch_type, args);
	p->config = args->config;
	p->next = args->next[args->signal];
	list_init(&p->partitions);
	list_init(&p->shipments);
	map_init(&p->by_values, values_equal);
	if (!p->config->metadata_keys.count)
		p->only = partition_new(p, (struct slice){0});
	p->deadline = timer_new(args->host->loop, on_given_up, p);
	p->metrics = metrics_register(args->host->metrics, batch_collect, p);
	if ((!p->only && !p->config->metadata_keys.count) || !p->deadline || !p->metrics) {
		batch_destroy(&p->component);
		return error_no_memory(error);
	}
	*ret = &p->component;
	return 0;
}

const struct component_type processor_batch_type = {
	.name = "batch",
	.kind = PROCESSOR,
	.signals = SIGNAL_ALL,
	.caps = CAP_MUTATES,
	.summary = "Joins small batches into larger ones.",
	.stability = "alpha",
	.config_size = sizeof(struct batch_config),
	.options = batch_options,
	.check = batch_check,
	.create = batch_create,
	.consume = batch_consume,
	.shutdown = batch_shutdown,
	.destroy = batch_destroy,
};
