/* fake: components that do what the test says, and a plan made of them by hand. */
#ifndef WEIR_TESTS_PIPELINE_FAKE_H
#define WEIR_TESTS_PIPELINE_FAKE_H

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/loop/loop.h"
#include "core/loop/timer.h"
#include "core/pipeline/graph.h"
#include "core/self/metrics.h"

/* What a fake component is told; its config. */
struct fake {
	bool fail_create, fail_start;
	uint64_t closes_late_ns; /* after shutdown() */
	bool holds;              /* keeps batches until fake_answer() */
	struct outcome answer;   /* at once, unless it holds */
	const char *looks_for;   /* id of an extension that create() asks for */

	/* what was seen */
	struct journal *journal;
	unsigned consumed, instances;
	struct fake_instance *last; /* instance */
	struct component *found;    /* what looks_for is */
};

struct held {
	struct list link;
	struct batch *batch;
	struct done done;
};

struct fake_instance {
	struct component component;
	struct fake *fake;
	enum signal signal;
	struct consumer next[SIGNAL_COUNT];
	struct list held;
	struct timer *late;
	bool started, shut, closed;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/* What happened, in order: "create a", "start a", "shutdown a", "closed a", "destroy a". */
struct journal {
	char text[4096];
};

extern const struct component_type fake_receiver, fake_shared_receiver, fake_processor, fake_writer,
	fake_exporter, fake_shared_exporter, fake_connector, fake_extension;

/* Answers the oldest batch that an instance holds. False: it holds none. */
bool fake_answer(struct fake_instance *i, const struct outcome *outcome);

enum { FAKES_MAX = 12, PIPELINES_MAX = 4, LIST_MAX = 4 };

/* A loop, a host, and a plan under construction. */
struct world {
	struct loop *loop;
	struct budget budget;
	struct host host;
	struct timer *tick;
	struct journal journal;
	struct plan plan;
	struct plan_component components[FAKES_MAX];
	struct fake fakes[FAKES_MAX];
	struct plan_component *extensions[LIST_MAX];
	struct plan_pipeline pipelines[PIPELINES_MAX];
	struct plan_component *lists[PIPELINES_MAX][3][LIST_MAX];
	struct graph *graph;
	bool stopped;
};

struct world *world_new(void);
void world_free(struct world *w); /* frees the graph first */

struct fake *world_add(struct world *w, const struct component_type *type, const char *id);
void world_extension(struct world *w, const char *id);
/* Ids separated by spaces. */
void world_pipeline(struct world *w, const char *id, enum signal signal, const char *receivers,
                    const char *processors, const char *exporters);
void world_open(struct world *w); /* graph_new */
void world_stop(struct world *w, uint64_t within_ns);
void world_wait_stopped(struct world *w);

uint64_t world_figure(struct world *w, const char *name, const char *label, const char *value);

#endif
