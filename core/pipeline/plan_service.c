#include "core/pipeline/plan_internal.h"

/* The nested structs of plan.h have no names of their own. */
#define TELEMETRY __typeof__(((struct service_config *)0)->telemetry)
#define LOGS __typeof__(((struct service_config *)0)->telemetry.logs)
#define METRICS __typeof__(((struct service_config *)0)->telemetry.metrics)
#define PULL __typeof__(((struct service_reader *)0)->pull)
#define PULL_EXPORTER __typeof__(((struct service_reader *)0)->pull.exporter)
#define PROMETHEUS __typeof__(((struct service_reader *)0)->pull.exporter.prometheus)

#define IGNORED(name_, doc_)                                                                       \
	{                                                                                          \
		.name = name_, .flags = OPTION_IGNORED, .doc = doc_                                \
	}

enum { METRICS_NONE };

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_encodings[] = {"console", "json", NULL};
static const char *const metrics_levels[] = {"none", "basic", "normal", "detailed", NULL};

static const struct option logs_options[] = {
	OPTION_ENUM(LOGS, level, log_levels, .text = "info",
                    .doc = "Lines below this level are not written."),
	OPTION_ENUM(LOGS, encoding, log_encodings, .text = "console",
                    .doc = "Form of a line: for people, or one JSON object."),
	IGNORED("development", "There is no development mode."),
	IGNORED("disable_caller", "Lines do not name source files."),
	IGNORED("disable_stacktrace", "Lines carry no stack traces."),
	IGNORED("sampling", "Every place in the code that logs is limited to 10 lines in 10s."),
	IGNORED("output_paths", "Lines go to standard error."),
	IGNORED("error_output_paths", "Lines go to standard error."),
	IGNORED("initial_fields", "Lines carry no further fields."),
	IGNORED("processors", "Log records are not exported."),
	OPTION_END};

static const struct option prometheus_options[] = {
	OPTION_STRING(PROMETHEUS, host, .text = "localhost", .doc = "Address to listen on."),
	OPTION_UINT(PROMETHEUS, port, .text = "8888", .max = 65535, .doc = "Port to listen on."),
	IGNORED("without_scope_info", "There are no scope labels."),
	IGNORED("without_type_suffix", "Names are the Collector's."),
	IGNORED("without_units", "Names are the Collector's."),
	IGNORED("with_resource_constant_labels", "There are no resource labels."),
	OPTION_END};
static const struct option pull_exporter_options[] = {
	OPTION_OPTIONAL(PULL_EXPORTER, prometheus, prometheus_options, .flags = OPTION_NULL_ON,
                        .doc = "Serves the figures as Prometheus text at /metrics."),
	OPTION_END};
static const struct option pull_options[] = {OPTION_GROUP(PULL, exporter, pull_exporter_options,
                                                          .doc = "How figures are read."),
                                             OPTION_END};
static const struct option reader_options[] = {
	OPTION_OPTIONAL(struct service_reader, pull, pull_options,
                        .doc = "Figures are read by somebody else."),
	IGNORED("periodic", "Own figures are pushed by the receiver self: put it into a metrics "
                            "pipeline with the exporter of your choice."),
	OPTION_END};

static const struct option metrics_options[] = {
	OPTION_ENUM(
		METRICS, level, metrics_levels, .text = "normal",
		.doc = "How many figures weir keeps of itself; none switches the endpoint off."),
	OPTION_STRING(METRICS, host, .text = "localhost",
                      .doc = "Address that /metrics listens on."),
	OPTION_UINT(METRICS, port, .text = "8888", .max = 65535,
                    .doc = "Port that /metrics listens on."),
	OPTION_GROUP_LIST(METRICS, readers, struct service_reader, reader_options,
                          .doc = "The Collector's way to say where figures are served; the first "
                                 "Prometheus reader counts."),
	IGNORED("views", "Figures cannot be changed by views."),
	OPTION_END};

static const struct option telemetry_options[] = {
	OPTION_GROUP(TELEMETRY, logs, logs_options, .doc = "What weir says of itself in its log."),
	OPTION_GROUP(TELEMETRY, metrics, metrics_options, .doc = "What weir counts of itself."),
	IGNORED("traces", "There are no traces of weir itself."),
	IGNORED("resource", "The page of own figures has no resource; the receiver self has the "
                            "option resource."),
	OPTION_END};

const struct option service_options[] = {
	OPTION_DURATION(struct service_config, shutdown_timeout, .text = "30s",
                        .doc = "How long stopping may take; what is left then is counted as lost."),
	OPTION_GROUP(struct service_config, telemetry, telemetry_options,
                     .doc = "weir's own log and figures."),
	OPTION_END};

void service_apply_readers(struct service_config *service)
{
	const struct group_list *readers = &service->telemetry.metrics.readers;

	for (size_t i = 0; i < readers->count; i++) {
		const struct service_reader *r = (const struct service_reader *)readers->items + i;
		if (!r->pull.enabled || !r->pull.exporter.prometheus.enabled)
			continue;
		service->telemetry.metrics.host = r->pull.exporter.prometheus.host;
		service->telemetry.metrics.port = r->pull.exporter.prometheus.port;
		return;
	}
	if (readers->count)
		service->telemetry.metrics.level = METRICS_NONE;
}
