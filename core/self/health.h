/* health: how the pipelines are, as their components say, and whether weir can be given data.
 *
 * Each graph has one. While it is built it names its instances (parts) and which pipelines they
 * stand in; later it passes on what they report. Memory is taken while the graph is built; a report
 * takes none. Live and ready are different questions: a process that is not live should be
 * restarted, one that is not ready should only not be given anything now. Belongs to one loop. */
#ifndef WEIR_SELF_HEALTH_H
#define WEIR_SELF_HEALTH_H

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/list.h"
#include "core/base/status.h"

#include <stdint.h>

struct metrics_sink;

/* One instance of a component. */
struct health_part {
	struct list link;
	const char *kind, *id; /* "exporter", "otlp/front" */
	enum component_status status;
	uint64_t since_ns; /* monotonic; when it came into that status */
	char message[256]; /* with an error: the latest; otherwise empty */
};

struct health_pipeline {
	struct list link;
	const char *id; /* "traces/edge"; NULL: the extensions, which stand in no pipeline */
	struct health_seat {
		struct health_seat *next;
		struct health_part *part;
	} * seats;
};

/* Which errors of components make what they stand in unhealthy and not ready. */
struct health_policy {
	bool include_permanent_errors, include_recoverable_errors;
	uint64_t recovery_ns; /* a recoverable error counts when it lasts longer */
};

struct health {
	struct arena arena;
	const struct budget *budget;
	struct list parts;
	struct health_pipeline extensions;
	struct list pipelines;
	struct health_policy policy; /* permanent errors count, recoverable ones do not */
	bool running, stopping;
	uint64_t started_ns; /* monotonic; when it was made */
	uint64_t running_ns; /* when everything had started */
	bool short_of_memory;
	unsigned long refusals; /* of the budget, when they were last looked at */
};

/* budget may be NULL, and outlives it. NULL: no memory. */
struct health *health_new(const struct budget *budget);
void health_free(struct health *h); /* takes NULL */

/* The strings outlive it. NULL and false: no memory. */
struct health_part *health_add_part(struct health *h, const char *kind, const char *id);
struct health_pipeline *health_add_pipeline(struct health *h, const char *id);
bool health_add_seat(struct health *h, struct health_pipeline *pipeline, struct health_part *part);

/* error may be NULL. What comes after STATUS_STOPPING, but for STATUS_STOPPED, is too late. */
void health_report(struct health_part *part, enum component_status status,
                   const struct error *error);

/* Everything has started; the stop has begun. */
void health_run(struct health *h);
void health_stop(struct health *h);

/* The pipeline of that id, or NULL. */
const struct health_pipeline *health_find(const struct health *h, struct slice id);

/* No component has met an error that ends the process. (That the loop turns shows in the answer.)
 */
bool health_is_live(const struct health *h);

/* Nobody takes data in because memory is at its hard limit: it is used up, or a request for some
 * was refused and less than an eighth has become free since. */
bool health_is_short_of_memory(struct health *h);

/* As the policy says: OK, or an error that does not count (yet). */
bool health_part_is_healthy(const struct health *h, const struct health_part *part);
bool health_pipeline_is_healthy(const struct health *h, const struct health_pipeline *pipeline);

bool health_all_is_healthy(const struct health *h);

/* The worst of a pipeline's parts, or of all: its status, since when, and why. There is at least
 * one. */
struct health_part health_sum_up(const struct health_pipeline *pipeline);
struct health_part health_sum_up_all(const struct health *h);

/* Everything has started, nothing is stopping, there is memory, and this pipeline, or each of them,
 * is healthy. */
bool health_pipeline_is_ready(struct health *h, const struct health_pipeline *pipeline);
bool health_is_ready(struct health *h);

/* weir_ready and weir_pipeline_ready{pipeline}. */
void health_collect(struct health *h, struct metrics_sink *sink);

#endif
