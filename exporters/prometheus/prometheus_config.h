/* prometheus_config, private: what users write, and what it means to the translator and the
 * server. */
#ifndef WEIR_EXPORTERS_PROMETHEUS_CONFIG_H
#define WEIR_EXPORTERS_PROMETHEUS_CONFIG_H

#include "core/component.h"
#include "core/net/http_config.h"
#include "core/net/tls_config.h"
#include "core/prometheus/translate.h"

struct prometheus_config {
	struct endpoint endpoint;
	const char *namespace;
	struct string_map const_labels;
	bool send_timestamps, enable_open_metrics, without_scope_info, add_metric_suffixes;
	bool target_info;
	uint64_t metric_expiration;
	int translation_strategy;
	struct prometheus_resource_labels {
		struct string_list included, excluded;
	} resource_constant_labels;
	struct prometheus_conversion {
		bool enabled, exclude_service_attributes;
	} resource_to_telemetry_conversion;
	struct tls_server_config tls;
	struct prometheus_auth {
		bool enabled;
		const char *authenticator;
	} auth;
	struct http_limits limits;
	uint64_t max_series, max_symbol_bytes, max_concurrent_scrapes;
	struct prometheus_queue {
		bool enabled;
	} sending_queue;
};

extern const struct option prometheus_options[];

int prometheus_check(const void *config, struct error *error);

/* What translator_options points to besides the configuration. */
struct prometheus_lists {
	struct translator_label *external;
	const char **included, **excluded;
};
/* -ENOMEM. Without the callbacks. */
int prometheus_translation(const struct prometheus_config *c, struct prometheus_lists *lists,
                           struct translator_options *ret, struct error *error);
void prometheus_lists_fini(struct prometheus_lists *lists);

struct http_limits prometheus_limits(const struct prometheus_config *c);

#endif
