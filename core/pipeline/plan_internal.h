/* plan_internal: what the files of plan_make() share while a plan is being made. */
#ifndef WEIR_PIPELINE_PLAN_INTERNAL_H
#define WEIR_PIPELINE_PLAN_INTERNAL_H

#include "config/document.h"
#include "config/walk.h"
#include "core/pipeline/plan.h"

struct planner {
	const struct document *document;
	const struct component_type *const *types;
	struct diagnostics *diagnostics;
	struct plan *plan;
	struct walk walk;
	/* plan->components holds one entry for each declared component, section by section; type is
	 * NULL where it is unknown. */
	size_t first[SECTION_COUNT];
};

/* Reports it; -ENOMEM. */
int planner_no_memory(struct planner *p);

/* The declared component of that id, or NULL. */
struct plan_component *planner_find(const struct planner *p, enum section section, const char *id);

/* service::pipelines: resolves references, checks signals, connectors and cycles. */
int planner_resolve_pipelines(struct planner *p);

/* service::extensions, and the components that options refer to. */
int planner_resolve_extensions(struct planner *p);

extern const struct option service_options[];

/* What readers say becomes host and port. */
void service_apply_readers(struct service_config *service);

#endif
