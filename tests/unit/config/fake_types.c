#include "tests/unit/config/fake_types.h"

#include <errno.h>

static const struct option tls_options[] = {
	OPTION_BOOL(struct fake_tls, insecure, .doc = "Plain text."),
	OPTION_STRING(struct fake_tls, ca_file, .doc = "Whom to trust."), OPTION_END};

/* --- receiver otlp --- */

static const struct option auth_options[] = {OPTION_COMPONENT(struct fake_auth, authenticator,
                                                              .doc = "Who says who may come in."),
                                             OPTION_END};
static const struct option grpc_options[] = {
	OPTION_ENDPOINT(struct fake_grpc, endpoint, .text = "localhost:4317",
                        .doc = "Where to listen."),
	OPTION_UINT(struct fake_grpc, max_recv_msg_size_mib, .text = "64", .min = 1, .max = 4095,
                    .doc = "Largest message."),
	OPTION_OPTIONAL(struct fake_grpc, tls, tls_options, .doc = "TLS."),
	OPTION_OPTIONAL(struct fake_grpc, auth, auth_options, .doc = "Authentication."),
	OPTION_END};

#define PROTOCOLS __typeof__(((struct fake_otlp_receiver *)0)->protocols)
static const struct option protocols_options[] = {
	OPTION_OPTIONAL(PROTOCOLS, grpc, grpc_options, .flags = OPTION_NULL_ON, .doc = "gRPC."),
	OPTION_OPTIONAL(PROTOCOLS, http, grpc_options, .flags = OPTION_NULL_ON, .doc = "HTTP."),
	OPTION_END};

static const struct option otlp_receiver_options[] = {OPTION_GROUP(struct fake_otlp_receiver,
                                                                   protocols, protocols_options,
                                                                   .doc = "Which."),
                                                      OPTION_END};

static int otlp_receiver_check(const void *config, struct error *error)
{
	const struct fake_otlp_receiver *c = config;

	if (!c->protocols.grpc.enabled && !c->protocols.http.enabled)
		return error_set(error, -EINVAL,
		                 "must specify at least one protocol when using the OTLP receiver");
	return 0;
}

static const struct component_type otlp_receiver = {
	.name = "otlp",
	.kind = RECEIVER,
	.signals = SIGNAL_ALL,
	.config_size = sizeof(struct fake_otlp_receiver),
	.options = otlp_receiver_options,
	.check = otlp_receiver_check,
};

/* --- receiver sockets, processors, debug: few keys or none --- */

static const struct component_type sockets_receiver = {
	.name = "sockets",
	.kind = RECEIVER,
	.signals = SIGNAL_BIT(SIGNAL_METRICS) | SIGNAL_BIT(SIGNAL_LOGS),
};

static const struct option limiter_options[] = {{.name = "min_gc_interval_when_soft_limited",
                                                 .flags = OPTION_IGNORED,
                                                 .doc = "weir collects no garbage."},
                                                OPTION_END};
static const struct component_type memory_limiter = {
	.name = "memory_limiter",
	.kind = PROCESSOR,
	.signals = SIGNAL_ALL,
	.options = limiter_options,
};
static const struct component_type batch = {.name = "batch",
                                            .kind = PROCESSOR,
                                            .signals = SIGNAL_ALL};
static const struct component_type debug = {.name = "debug",
                                            .kind = EXPORTER,
                                            .signals = SIGNAL_ALL};

/* --- exporter otlp: every kind of option --- */

static const char *const compressions[] = {"none", "gzip", "zstd", NULL};

static const struct option batch_options[] = {OPTION_UINT(struct fake_batch, min_size,
                                                          .text = "8192", .doc = "Items."),
                                              OPTION_END};
static const struct option queue_options_[] = {
	OPTION_UINT(struct fake_queue, queue_size, .text = "1000", .min = 1, .doc = "Requests."),
	OPTION_COMPONENT(struct fake_queue, storage, .doc = "Where the queue survives."),
	OPTION_OPTIONAL(struct fake_queue, batch, batch_options, .doc = "Batching."), OPTION_END};

static const struct option otlp_exporter_options[] = {
	OPTION_ENDPOINT(struct fake_otlp_exporter, endpoint, .flags = OPTION_REQUIRED,
                        .doc = "Where to send."),
	OPTION_STRING_MAP(struct fake_otlp_exporter, headers, .flags = OPTION_SECRET,
                          .doc = "Sent along."),
	OPTION_STRING(struct fake_otlp_exporter, token, .flags = OPTION_SECRET, .doc = "Who asks."),
	OPTION_STRING(struct fake_otlp_exporter, user_agent, .text = "weir",
                      .doc = "What sends, | or whom."),
	OPTION_ENUM(struct fake_otlp_exporter, compression, compressions, .text = "gzip",
                    .doc = "Of requests."),
	OPTION_DURATION(struct fake_otlp_exporter, timeout, .text = "5s", .min = 1e6, .max = 3600e9,
                        .doc = "Of one attempt."),
	OPTION_SIZE(struct fake_otlp_exporter, max_request_body, .text = "4MiB", .min = 1024,
                    .doc = "Largest request."),
	OPTION_FLOAT(struct fake_otlp_exporter, multiplier, .text = "1.5", .min = 1, .max = 100,
                     .doc = "Growth."),
	OPTION_INT(struct fake_otlp_exporter, offset, .min = -10, .max = 10, .doc = "Shift."),
	OPTION_BOOL(struct fake_otlp_exporter, wait_for_ready, .doc = "Wait."),
	OPTION_STRING_LIST(struct fake_otlp_exporter, metadata_keys, .text = "a,b",
                           .doc = "Kept apart."),
	OPTION_OPTIONAL(struct fake_otlp_exporter, tls, tls_options, .doc = "TLS."),
	OPTION_OPTIONAL(struct fake_otlp_exporter, sending_queue, queue_options_, .text = "on",
                        .doc = "The queue."),
	OPTION_STRING(struct fake_otlp_exporter, balancer_name, .flags = OPTION_DEPRECATED,
                      .doc = "Every address is tried in turn."),
	OPTION_END};

static int otlp_exporter_check(const void *config, struct error *error)
{
	const struct fake_otlp_exporter *c = config;

	if (c->sending_queue.batch.enabled &&
	    c->sending_queue.batch.min_size > c->sending_queue.queue_size)
		return error_set(error, -EINVAL,
		                 "`min_size` must be less than or equal to `queue_size`");
	return 0;
}

static const char *const otlp_aliases[] = {"otlp_grpc", NULL};
static const struct component_type otlp_exporter = {
	.name = "otlp",
	.aliases = otlp_aliases,
	.kind = EXPORTER,
	.signals = SIGNAL_ALL,
	.config_size = sizeof(struct fake_otlp_exporter),
	.options = otlp_exporter_options,
	.check = otlp_exporter_check,
};

/* --- exporter loadbalancing: a list of blocks --- */

static const struct option hop_options[] = {
	OPTION_STRING(struct fake_hop, hostname, .flags = OPTION_REQUIRED, .doc = "Name."),
	OPTION_UINT(struct fake_hop, weight, .text = "1", .doc = "Share."),
	OPTION_STRING_LIST(struct fake_hop, ports, .doc = "Ports."),
	OPTION_UINT_LIST(struct fake_hop, codes, .text = "200", .min = 100, .max = 599,
                         .doc = "Good ones."),
	OPTION_END};
static const struct option loadbalancing_options[] = {OPTION_GROUP_LIST(struct fake_loadbalancing,
                                                                        hops, struct fake_hop,
                                                                        hop_options,
                                                                        .doc = "Backends."),
                                                      OPTION_END};
static const struct component_type loadbalancing = {
	.name = "loadbalancing",
	.kind = EXPORTER,
	.signals = SIGNAL_ALL,
	.config_size = sizeof(struct fake_loadbalancing),
	.options = loadbalancing_options,
};

static const struct component_type forward = {.name = "forward",
                                              .kind = CONNECTOR,
                                              .signals = SIGNAL_ALL,
                                              .caps = CAP_SAME_SIGNAL};

struct storage_config {
	const char *directory;
};
static const struct option storage_options[] = {OPTION_STRING(struct storage_config, directory,
                                                              .flags = OPTION_REQUIRED,
                                                              .doc = "Where."),
                                                OPTION_END};
static const struct component_type file_storage = {
	.name = "file_storage",
	.kind = EXTENSION,
	.config_size = sizeof(struct storage_config),
	.options = storage_options,
};

const struct component_type *const fake_types[] = {
	&otlp_receiver, &sockets_receiver, &memory_limiter, &batch,        &debug,
	&otlp_exporter, &loadbalancing,    &forward,        &file_storage, NULL,
};
