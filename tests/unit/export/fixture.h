/* fixture: an exporter with a destination that the test plays. */
#ifndef WEIR_TESTS_EXPORT_FIXTURE_H
#define WEIR_TESTS_EXPORT_FIXTURE_H

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/export/exporter.h"
#include "core/loop/loop.h"
#include "core/loop/timer.h"
#include "core/self/metrics.h"
#include "tests/unit/export/make_batch.h"

/* One attempt that waits for its answer. */
struct sent {
	struct list link;
	struct done done;
	const struct batch *batch;
	uint64_t deadline_ns, at_ns;
	size_t items;
};

/* What became of one consume(). */
struct told {
	unsigned calls;
	enum outcome_status status;
	uint64_t rejected_items, retry_after_ns;
	char message[200];
};

struct fixture {
	struct loop *loop;
	struct budget budget;
	struct metrics *metrics;
	struct host host;
	struct component_type type;
	struct component component;
	struct exporter_config config;
	struct exporter *exporter;

	struct list sent; /* attempts without an answer, oldest first */
	unsigned attempts;
	uint64_t ok_items;             /* that the destination has said OK to */
	const struct outcome *at_once; /* answer every attempt with this, inside send */
	bool closed;
	struct timer *tick; /* so that waiting for a condition has a deadline */
};

/* Defaults of the option tables, without batching and without jitter. */
struct fixture *fixture_new(void);
void fixture_open(struct fixture *f); /* after the config is as the test wants it */
void fixture_free(struct fixture *f);

/* The destination: an exporter_send. */
void fixture_send(void *self, const struct batch *batch, uint64_t deadline_ns, struct done done);

void give(struct fixture *f, size_t items, unsigned first, struct told *told);
void answer_first(struct fixture *f, const struct outcome *outcome);
void begin_shutdown(struct fixture *f, uint64_t within_ns);

/* Runs the loop until the condition holds; fails the test after 10 s. */
#define WAIT_UNTIL(f, condition)                                                                   \
	do {                                                                                       \
		uint64_t until_ = clock_monotonic_ns() + 10 * NS_PER_S;                            \
		while (!(condition)) {                                                             \
			assert_true(clock_monotonic_ns() < until_);                                \
			loop_run_once((f)->loop);                                                  \
		}                                                                                  \
	} while (0)

uint64_t figure(struct fixture *f, const char *name);
uint64_t dropped(struct fixture *f, const char *reason);
/* received = refused + sent + dropped + queued */
void assert_accounts_balance(struct fixture *f);

#endif
