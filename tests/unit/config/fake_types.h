/* fake_types: component types that do nothing and have every kind of option, shaped like the real
 * ones, so that messages read as users will see them. */
#ifndef WEIR_TESTS_FAKE_TYPES_H
#define WEIR_TESTS_FAKE_TYPES_H

#include "core/component.h"

struct fake_tls {
	bool enabled, insecure;
	const char *ca_file;
};

struct fake_grpc {
	bool enabled;
	struct endpoint endpoint;
	uint64_t max_recv_msg_size_mib;
	struct fake_tls tls;
	struct fake_auth {
		bool enabled;
		const char *authenticator;
	} auth;
};

struct fake_otlp_receiver {
	struct {
		struct fake_grpc grpc, http;
	} protocols;
};

struct fake_queue {
	bool enabled;
	uint64_t queue_size;
	const char *storage;
	struct fake_batch {
		bool enabled;
		uint64_t min_size;
	} batch;
};

struct fake_otlp_exporter {
	struct endpoint endpoint;
	struct string_map headers;
	const char *token, *user_agent;
	int compression;
	uint64_t timeout, max_request_body;
	double multiplier;
	int64_t offset;
	bool wait_for_ready;
	struct string_list metadata_keys;
	struct fake_tls tls;
	struct fake_queue sending_queue;
	const char *balancer_name;
};

struct fake_hop {
	const char *hostname;
	uint64_t weight;
	struct string_list ports;
	struct uint_list codes;
};
struct fake_loadbalancing {
	struct group_list hops;
};

/* NULL-terminated, as plan_make() takes them. */
extern const struct component_type *const fake_types[];

#endif
