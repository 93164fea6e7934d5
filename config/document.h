/* document: a configuration by its shape: which components are declared, which pipelines join them.
 *
 * Made by config_load() (config/load.h), turned into a plan by plan_make() (core/pipeline/plan.h).
 * Nothing here knows which component types exist. A document owns everything it points to. */
#ifndef WEIR_CONFIG_DOCUMENT_H
#define WEIR_CONFIG_DOCUMENT_H

#include "config/yaml.h"
#include "core/base/error.h"
#include "core/base/signal.h"

/* In the order of enum component_kind, which stands above this room. */
enum section {
	SECTION_RECEIVERS,
	SECTION_PROCESSORS,
	SECTION_EXPORTERS,
	SECTION_CONNECTORS,
	SECTION_EXTENSIONS,
};
enum { SECTION_COUNT = 5 };

/* Bounds of one configuration, so that checking each against each stays cheap. */
enum {
	DOCUMENT_COMPONENTS_MAX = 1000, /* of one section */
	DOCUMENT_PIPELINES_MAX = 1000,
	DOCUMENT_REFERENCES_MAX = 10000, /* in all lists */
};

/* "receivers", ... */
const char *section_name(enum section section);

/* A declared component: type or type/name, with white space round both parts removed. */
struct document_component {
	const char *id, *type;
	const char *name; /* "" for none */
	struct position at;
	const char *path;         /* "receivers::otlp/front" */
	const struct node *value; /* a map or null */
};

struct document_section {
	struct document_component *items;
	size_t count;
	struct position at; /* of its key; file NULL when absent */
	bool broken;        /* some are missing because of mistakes that were reported */
};

/* A component's id where it is used. */
struct document_reference {
	const char *id;
	struct position at;
};
struct document_references {
	struct document_reference *items;
	size_t count;
	struct position at; /* of the list, or of what should hold it */
	bool broken;        /* some are missing because of mistakes that were reported */
};

struct document_pipeline {
	const char *id; /* "traces/edge" */
	enum signal signal;
	const char *path; /* "service::pipelines::traces/edge" */
	struct position at;
	struct document_references receivers, processors, exporters;
};

struct document {
	struct budget budget; /* of the arena: what one load may take */
	struct arena arena;
	const struct node *root; /* merged and expanded */
	struct position at;      /* of the whole */
	struct document_section sections[SECTION_COUNT];
	struct position service_at; /* file NULL: no service section */
	struct document_references extensions;
	struct document_pipeline *pipelines;
	size_t n_pipelines;
	bool pipelines_broken; /* some are missing because of mistakes that were reported */
	/* What of service is settings: telemetry, shutdown_timeout, as a map. */
	const struct node *settings;
};

/* Reads the shape of document->root into document. Mistakes go to d; what is right is still filled,
 * so that later checks can go on. -ENOMEM, otherwise 0. */
int document_read(struct document *document, struct diagnostics *d);

void document_free(struct document *document); /* takes NULL */

/* The declared component of that id in a section, or NULL. */
const struct document_component *document_find(const struct document *document,
                                               enum section section, const char *id);

/* Checks and splits "type/name" into document_component's id, type and name (copies in the arena).
 * Returns 0, or -EINVAL with the Collector's sentence. */
int component_id_parse(const char *text, struct arena *arena, struct document_component *ret,
                       struct error *error);

#endif
