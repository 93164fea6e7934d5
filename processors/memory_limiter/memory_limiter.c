/* memory_limiter: refuses data while weir holds too much of it.
 *
 * Every byte of every batch is charged to one account (host->budget) when it is taken and returned
 * when the last reference goes, so that the limiter compares exact figures, at every batch: nothing
 * is sampled and nothing is measured by the interval. Above the soft limit (limit - spike) each
 * batch is refused with RETRY and its sender asks again. The hard limit is the account's own:
 * beyond it memory is not given out, and receivers refuse before they read. The smallest limit of
 * several limiters holds.
 *
 * Fails: percentages on a machine whose memory cannot be read (start). */
#include "processors/memory_limiter/memory_limiter.h"

#include "core/base/clock.h"
#include "core/component.h"
#include "core/self/metrics.h"

#include <errno.h>
#include <stdlib.h>

#define MIB (UINT64_C(1) << 20)

static const char refusal[] = "data refused due to high memory usage";

struct memory_limiter_config {
	uint64_t check_interval;
	uint64_t limit_mib, spike_limit_mib;
	uint64_t limit_percentage, spike_limit_percentage;
	uint64_t min_gc_interval_when_soft_limited, max_gc_interval_when_soft_limited;
	uint64_t min_gc_interval_when_hard_limited, max_gc_interval_when_hard_limited;
};

static const char gc_doc[] = "It tunes the Collector's garbage collector; weir has none.";

static const struct option memory_limiter_options[] = {
	OPTION_DURATION(struct memory_limiter_config, check_interval, .text = "0s",
                        .doc = "Must be greater than zero. Refused senders are asked to wait so "
                               "long; memory is compared at every batch."),
	OPTION_UINT(struct memory_limiter_config, limit_mib, .text = "0", .max = 1 << 30,
                    .doc = "Hard limit in MiB of telemetry held; 0: limit_percentage decides."),
	OPTION_UINT(struct memory_limiter_config, spike_limit_mib, .text = "0", .max = 1 << 30,
                    .doc = "The soft limit is so many MiB below the hard one; 0: a fifth of it."),
	OPTION_UINT(struct memory_limiter_config, limit_percentage, .text = "0",
                    .doc = "Hard limit in percent of the cgroup's or the machine's memory."),
	OPTION_UINT(struct memory_limiter_config, spike_limit_percentage, .text = "0",
                    .doc = "The soft limit is so many percent of that memory below the hard one; "
                           "0: a fifth of the hard limit."),
	OPTION_DURATION(struct memory_limiter_config, min_gc_interval_when_soft_limited,
                        .text = "10s", .flags = OPTION_IGNORED, .doc = gc_doc),
	OPTION_DURATION(struct memory_limiter_config, max_gc_interval_when_soft_limited,
                        .text = "30s", .flags = OPTION_IGNORED, .doc = gc_doc),
	OPTION_DURATION(struct memory_limiter_config, min_gc_interval_when_hard_limited,
                        .text = "0s", .flags = OPTION_IGNORED, .doc = gc_doc),
	OPTION_DURATION(struct memory_limiter_config, max_gc_interval_when_hard_limited,
                        .text = "30s", .flags = OPTION_IGNORED, .doc = gc_doc),
	OPTION_END,
};

struct memory_limiter {
	struct component component;
	const struct memory_limiter_config *config;
	enum signal signal;
	struct consumer next;
	struct metrics_collector *metrics;
	uint64_t hard, soft;        /* bytes */
	bool refusing;              /* only so that a change is logged once */
	uint64_t accepted, refused; /* items */
};

static int memory_limiter_check(const void *config, struct error *error)
{
	const struct memory_limiter_config *c = config;

	if (!c->check_interval)
		return error_set(error, -EINVAL, "'check_interval' must be greater than zero");
	if (!c->limit_mib && !c->limit_percentage)
		return error_set(error, -EINVAL,
		                 "'limit_mib' or 'limit_percentage' must be greater than zero");
	if (c->limit_percentage > 100 || c->spike_limit_percentage > 100)
		return error_set(
			error, -EINVAL,
			"'limit_percentage' and 'spike_limit_percentage' must be greater than "
			"zero and less than or equal to hundred");
	if (c->limit_mib && c->spike_limit_mib >= c->limit_mib)
		return error_set(error, -EINVAL,
		                 "'spike_limit_mib' must be smaller than 'limit_mib'");
	if (!c->limit_mib && c->spike_limit_percentage >= c->limit_percentage)
		return error_set(
			error, -EINVAL,
			"'spike_limit_percentage' must be smaller than 'limit_percentage'");
	return 0;
}

static void memory_limiter_collect(void *arg, struct metrics_sink *sink)
{
	static const char *const accepted_names[SIGNAL_COUNT] = {
		"otelcol_processor_memory_limiter_accepted_spans",
		"otelcol_processor_memory_limiter_accepted_metric_points",
		"otelcol_processor_memory_limiter_accepted_log_records",
	};
	static const char *const refused_names[SIGNAL_COUNT] = {
		"otelcol_processor_memory_limiter_refused_spans",
		"otelcol_processor_memory_limiter_refused_metric_points",
		"otelcol_processor_memory_limiter_refused_log_records",
	};
	const struct memory_limiter *m = arg;
	const struct metrics_label *labels = METRICS_LABELS({"processor", m->component.id});

	metrics_counter(sink, accepted_names[m->signal], "Items passed on.", labels,
	                (double)m->accepted);
	metrics_counter(sink, refused_names[m->signal],
	                "Items refused because of high memory usage.", labels, (double)m->refused);
}

static int memory_limiter_start(struct component *component, struct error *error)
{
	struct memory_limiter *m = (struct memory_limiter *)component;
	const struct memory_limiter_config *c = m->config;
	struct budget *budget = component->host->budget;
	uint64_t total, spike;
	int r;

	if (c->limit_mib) {
		m->hard = c->limit_mib * MIB;
		spike = c->spike_limit_mib * MIB;
	} else {
		if ((r = memory_limiter_total("", &total, error)) < 0)
			return r;
		m->hard = total / 100 * c->limit_percentage;
		spike = total / 100 * c->spike_limit_percentage;
	}
	m->soft = m->hard - (spike ? spike : m->hard / 5);
	if (!budget->limit || m->hard < budget->limit)
		budget->limit = m->hard;
	log_info(&component->log, "refuses data above %llu MiB, hard limit %llu MiB",
	         (unsigned long long)(m->soft / MIB), (unsigned long long)(m->hard / MIB));
	return 0;
}

static void memory_limiter_refuse(struct memory_limiter *m, struct batch *b, struct done done)
{
	const struct budget *budget = m->component.host->budget;

	m->refused += b->items;
	if (!m->refusing)
		log_warn(&m->component.log,
		         "memory usage is above the soft limit, refusing data: %zu MiB held, soft "
		         "limit "
		         "%llu MiB",
		         (size_t)(budget->used / MIB), (unsigned long long)(m->soft / MIB));
	m->refusing = true;
	batch_unref(b);
	done_retry(done, m->config->check_interval, refusal);
}

static void memory_limiter_consume(struct component *component, struct batch *b, struct done done)
{
	struct memory_limiter *m = (struct memory_limiter *)component;

	if (component->host->budget->used > m->soft) {
		memory_limiter_refuse(m, b, done);
		return;
	}
	if (m->refusing)
		log_info(&component->log, "memory usage is below the soft limit, accepting data");
	m->refusing = false;
	m->accepted += b->items;
	consumer_consume(m->next, b, done);
}

static void memory_limiter_shutdown(struct component *component, uint64_t deadline_ns,
                                    void (*closed)(void *arg), void *arg)
{
	closed(arg); /* holds nothing; the account keeps its limit for what is still in flight */
}

static void memory_limiter_destroy(struct component *component)
{
	struct memory_limiter *m = (struct memory_limiter *)component;

	if (!m)
		return;
	metrics_unregister(component->host->metrics, m->metrics);
	free(m);
}

extern const struct component_type processor_memory_limiter_type;

static int memory_limiter_create(const struct create_args *args, struct component **ret,
                                 struct error *error)
{
	struct memory_limiter *m = calloc(1, sizeof *m);

	if (!m)
		return error_no_memory(error);
	component_init(&m->component, &processor_memory_limiter_type, args);
	m->config = args->config;
	m->signal = args->signal;
	m->next = args->next[args->signal];
	m->metrics = metrics_register(args->host->metrics, memory_limiter_collect, m);
	if (!m->metrics) {
		memory_limiter_destroy(&m->component);
		return error_no_memory(error);
	}
	*ret = &m->component;
	return 0;
}

const struct component_type processor_memory_limiter_type = {
	.name = "memory_limiter",
	.kind = PROCESSOR,
	.signals = SIGNAL_ALL,
	.summary = "Refuses data while weir holds too much of it.",
	.stability = "alpha",
	.config_size = sizeof(struct memory_limiter_config),
	.options = memory_limiter_options,
	.check = memory_limiter_check,
	.create = memory_limiter_create,
	.start = memory_limiter_start,
	.consume = memory_limiter_consume,
	.shutdown = memory_limiter_shutdown,
	.destroy = memory_limiter_destroy,
};
