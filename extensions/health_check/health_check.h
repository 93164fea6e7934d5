/* health_check, private: the pages and what they are made of. */
#ifndef WEIR_EXTENSIONS_HEALTH_CHECK_H
#define WEIR_EXTENSIONS_HEALTH_CHECK_H

#include "core/base/endpoint.h"
#include "core/component.h"
#include "core/net/http_pages.h"
#include "core/self/health.h"

struct health_check_config {
	struct endpoint endpoint;
	const char *path;
	struct string_map tls; /* only to say that there is none */
	struct {
		bool enabled;
		const char *healthy, *unhealthy;
	} response_body;
	bool use_v2;
	struct {
		struct endpoint endpoint;
		struct {
			bool enabled;
			const char *path;
		} status;
	} http;
	struct {
		bool include_permanent_errors, include_recoverable_errors;
		uint64_t recovery_duration;
	} component_health;
};

/* Answers one request. A body that memory does not suffice for is left out: the status tells. */
void health_check_page(struct health *health, const struct health_check_config *config,
                       const struct page_request *request, struct page_response *response);

#endif
