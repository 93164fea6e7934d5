/* component_stage: surroundings for one component under test. A loop, an account, figures, and a
 * destination that keeps what comes and answers when it is told to. */
#ifndef WEIR_TESTS_COMPONENT_STAGE_H
#define WEIR_TESTS_COMPONENT_STAGE_H

#include "core/component.h"
#include "core/loop/loop.h"
#include "core/self/metrics.h"

enum { STAGE_KEPT = 64 };

struct stage {
	struct budget budget;
	struct log_sink log;
	struct host host;
	struct component *component;
	struct arena arena; /* of configurations */

	/* the destination */
	bool answer_at_once; /* otherwise kept until stage_answer() */
	struct outcome answer;
	struct batch *kept[STAGE_KEPT];
	struct done dones[STAGE_KEPT];
	int n_kept, n_answered;

	/* what the component said */
	enum component_status status;
	char status_message[512];
	bool closed;
};

void stage_begin(struct stage *s);

/* A config struct from what a user would write below the component's id ("" for nothing). Not
 * checked. Fails the test when the option table does not take it. */
void *stage_config(struct stage *s, const struct component_type *type, const char *yaml);

/* Fails the test unless check() refuses that configuration with that message. */
void stage_expect_refused(struct stage *s, const struct component_type *type, const char *yaml,
                          const char *message);

/* Creates an instance with that configuration (checked) and starts it. Fails the test when that
 * fails. */
void stage_create(struct stage *s, const struct component_type *type, const char *yaml,
                  enum signal signal);

/* A cmocka test's setup and teardown, where a stage is all that it needs: it is the state. */
int stage_setup(void **state);
int stage_teardown(void **state);

/* Shuts the component down, waits for closed, destroys it, and checks that all memory came back. */
void stage_end(struct stage *s);
void stage_shutdown(struct stage *s, uint64_t deadline_ns);

/* Runs the loop until *flag is true; fails the test after ten seconds. */
void stage_wait(struct stage *s, const bool *flag);

/* Answers the oldest batch that was kept. Its batch is dropped. */
void stage_answer(struct stage *s, struct outcome outcome);

/* What became of one batch that was given to the component. */
struct result {
	int calls;
	bool told;
	struct outcome outcome;
	char message[256];
};
/* The result belongs to the stage and lives as long. */
struct result *stage_consume(struct stage *s, struct batch *b);

/* A batch of one group with that many spans, data points or log records; span names and log bodies
 * are "item N", counted on from first. */
struct batch *stage_batch(struct stage *s, enum signal signal, int items, int first);

/* A figure, summed over its labels. */
double stage_figure(struct stage *s, const char *name);

#endif
