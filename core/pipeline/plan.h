/* plan: what a configuration asks for, resolved and checked but not built.
 *
 * plan_make() takes the parsed document (config/document.h), finds every type in the registry,
 * fills every config struct through its option table, runs every check, and resolves the pipelines.
 * All mistakes of one load are reported together, each with file:line:column. A plan owns
 * everything it points to. */
#ifndef WEIR_PIPELINE_PLAN_H
#define WEIR_PIPELINE_PLAN_H

#include "core/component.h"

#include "core/base/arena.h"

struct document;
struct diagnostics;

struct plan_component {
	const struct component_type *type;
	const char *id;
	void *config; /* the type's config struct */
	bool used;    /* by a pipeline or by service::extensions */
};

struct plan_pipeline {
	const char *id; /* "metrics", "traces/edge" */
	enum signal signal;
	struct plan_component **receivers, **processors, **exporters;
	size_t n_receivers, n_processors, n_exporters;
};

/* service::telemetry::metrics::readers: the Collector's way to say where figures are served. */
struct service_reader {
	struct {
		bool enabled;
		struct {
			struct {
				bool enabled;
				const char *host;
				uint64_t port;
			} prometheus;
		} exporter;
	} pull;
};

/* service::telemetry and service::shutdown_timeout; the option table is in plan_service.c. */
struct service_config {
	uint64_t shutdown_timeout; /* ns */
	struct {
		struct {
			int level; /* enum log_level */
			int encoding;
		} logs;
		struct {
			int level;        /* none basic normal detailed */
			const char *host; /* where /metrics listens: localhost */
			uint64_t port;    /* 8888 */
			/* struct service_reader; the first that serves has been copied to host and
			 * port */
			struct group_list readers;
		} metrics;
	} telemetry;
};

struct plan {
	struct arena arena;
	struct plan_component *components; /* every declared one, unused ones too */
	size_t n_components;
	struct plan_component **extensions; /* as listed in service::extensions */
	size_t n_extensions;
	struct plan_pipeline *pipelines;
	size_t n_pipelines;
	struct service_config service;
};

/* The types built in, NULL-terminated; generated from the list of component folders. */
extern const struct component_type *const component_types[];

/* The type of that kind and name or alias among types, or NULL. */
const struct component_type *component_type_find(const struct component_type *const *types,
                                                 enum component_kind kind, const char *name);

/* Returns 0 and a plan, or a negative errno when diagnostics holds at least one error (warnings
 * alone do not fail). */
int plan_make(const struct document *document, const struct component_type *const *types,
              struct diagnostics *diagnostics, struct plan **ret);
void plan_free(struct plan *p); /* takes NULL */

/* The whole configuration as YAML: as it was written, merged and expanded, or with PRINT_DEFAULTS
 * every key in effect. Secrets are masked without PRINT_SECRETS (config/print.h). The plan was made
 * from the document. */
void plan_print(const struct plan *plan, const struct document *document, unsigned flags,
                struct buffer *out);

#endif
