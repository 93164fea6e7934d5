/* health_check: an HTTP page for those who start, watch and balance weir: kubelets, load balancers.
 *
 * It only shows what the graph knows (core/self/health.h) and takes no memory while nobody asks.
 * It listens before the receivers do and until everything else has closed, so that "not yet" and
 * "not any more" can be told from "not there".
 * Fails: the address is in use or not of this machine (start). */
#include "extensions/health_check/health_check.h"

#include "core/component.h"

#include <errno.h>
#include <stdlib.h>

#define HTTP __typeof__(((struct health_check_config *)0)->http)
#define STATUS __typeof__(((struct health_check_config *)0)->http.status)
#define RESPONSE_BODY __typeof__(((struct health_check_config *)0)->response_body)
#define COMPONENT_HEALTH __typeof__(((struct health_check_config *)0)->component_health)

static const struct option response_body_options[] = {
	OPTION_STRING(RESPONSE_BODY, healthy, .doc = "Body of an answer with status 200."),
	OPTION_STRING(RESPONSE_BODY, unhealthy, .doc = "Body of an answer with status 503."),
	OPTION_END,
};

static const struct option status_options[] = {
	OPTION_STRING(STATUS, path, .text = "/status", .doc = "Where the page is."),
	OPTION_END,
};

static const struct option http_options[] = {
	OPTION_ENDPOINT(HTTP, endpoint, .text = "localhost:13133",
                        .doc = "With use_v2: where to listen, instead of endpoint."),
	OPTION_OPTIONAL(HTTP, status, status_options, .text = "on",
                        .doc = "The page that tells the status of every component, by pipeline."),
	{.name = "config",
         .flags = OPTION_IGNORED,
         .doc = "The configuration is not served; weir print-config shows it."},
	OPTION_END,
};

static const struct option component_health_options[] = {
	OPTION_BOOL(COMPONENT_HEALTH, include_permanent_errors, .text = "true",
                    .doc = "A component with a permanent error makes its pipelines not ready."),
	OPTION_BOOL(COMPONENT_HEALTH, include_recoverable_errors, .text = "false",
                    .doc = "So does a component whose error would pass, when it lasts longer than "
                           "recovery_duration."),
	OPTION_DURATION(COMPONENT_HEALTH, recovery_duration, .text = "5m",
                        .doc = "How long such an error may last."),
	OPTION_END,
};

static const struct option health_check_options[] = {
	OPTION_ENDPOINT(struct health_check_config, endpoint, .text = "localhost:13133",
                        .doc = "Where to listen."),
	OPTION_STRING(struct health_check_config, path, .text = "/",
                      .doc = "Where the Collector's page is: 200 from the start to the stop, "
                             "otherwise 503. A path that ends in / stands for all below it."),
	OPTION_STRING_MAP(struct health_check_config, tls, .flags = OPTION_SECRET,
                          .doc = "Of the Collector; weir refuses it: the pages are plain HTTP."),
	OPTION_OPTIONAL(struct health_check_config, response_body, response_body_options,
                        .doc = "What that page says instead of its JSON."),
	{.name = "check_collector_pipeline",
         .flags = OPTION_IGNORED,
         .doc = "It never worked in the Collector; /ready and component_health do."},
	OPTION_BOOL(struct health_check_config, use_v2, .text = "false",
                    .doc = "Listen at http::endpoint; all pages are there in either case."),
	OPTION_GROUP(struct health_check_config, http, http_options,
                     .doc = "Settings of the Collector's healthcheckv2."),
	{.name = "grpc",
         .flags = OPTION_IGNORED,
         .doc = "The health service is served over HTTP only."},
	OPTION_GROUP(struct health_check_config, component_health, component_health_options,
                     .doc = "Which errors of components count for /ready and the status page. "
                            "They are one setting of the process: the last health_check decides."),
	OPTION_END,
};

struct health_check {
	struct component component;
	const struct health_check_config *config;
	struct http_pages *pages;
	void (*closed)(void *arg);
	void *closed_arg;
};

static bool is_absolute(const char *path)
{
	return path && *path == '/';
}

static int health_check_check(const void *config, struct error *error)
{
	const struct health_check_config *c = config;

	if (c->tls.count > 0)
		return error_set(error, -EINVAL,
		                 "tls: the pages are plain HTTP only; remove the block, and let "
		                 "endpoint be an address that only this machine or its cluster "
		                 "reaches");
	if (!is_absolute(c->path))
		return error_set(error, -EINVAL, "'path' must start with /");
	if (c->http.status.enabled && !is_absolute(c->http.status.path))
		return error_set(error, -EINVAL, "'http::status::path' must start with /");
	return 0;
}

static void on_request(void *arg, const struct page_request *request,
                       struct page_response *response)
{
	struct health_check *c = arg;

	health_check_page(c->component.host->health, c->config, request, response);
}

static int health_check_start(struct component *component, struct error *error)
{
	struct health_check *c = (struct health_check *)component;
	const struct health_check_config *config = c->config;

	component->host->health->policy = (struct health_policy){
		.include_permanent_errors = config->component_health.include_permanent_errors,
		.include_recoverable_errors = config->component_health.include_recoverable_errors,
		.recovery_ns = config->component_health.recovery_duration,
	};
	return http_pages_new(component->host->loop,
	                      config->use_v2 ? &config->http.endpoint : &config->endpoint,
	                      on_request, c, &c->pages, error);
}

static void on_pages_closed(void *arg)
{
	struct health_check *c = arg;

	c->pages = NULL;
	c->closed(c->closed_arg);
}

static void health_check_shutdown(struct component *component, uint64_t deadline_ns,
                                  void (*closed)(void *arg), void *arg)
{
	struct health_check *c = (struct health_check *)component;

	if (!c->pages) {
		closed(arg);
		return;
	}
	c->closed = closed;
	c->closed_arg = arg;
	http_pages_close(c->pages, on_pages_closed, c);
}

static void health_check_destroy(struct component *component)
{
	free(component);
}

extern const struct component_type extension_health_check_type;

static int health_check_create(const struct create_args *args, struct component **ret,
                               struct error *error)
{
	struct health_check *c = calloc(1, sizeof *c);

	if (!c)
		return error_no_memory(error);
	component_init(&c->component, &extension_health_check_type, args);
	c->config = args->config;
	*ret = &c->component;
	return 0;
}

static const char *const health_check_aliases[] = {"healthcheckv2", NULL};

const struct component_type extension_health_check_type = {
	.name = "health_check",
	.aliases = health_check_aliases,
	.kind = EXTENSION,
	.summary = "Tells over HTTP whether weir lives, is ready, and how its components are.",
	.stability = "alpha",
	.config_size = sizeof(struct health_check_config),
	.options = health_check_options,
	.check = health_check_check,
	.create = health_check_create,
	.start = health_check_start,
	.shutdown = health_check_shutdown,
	.destroy = health_check_destroy,
};
