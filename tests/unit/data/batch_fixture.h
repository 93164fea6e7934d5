/* batch_fixture: what the tests of batches begin with. */
#ifndef WEIR_TESTS_BATCH_FIXTURE_H
#define WEIR_TESTS_BATCH_FIXTURE_H

#include "core/data/batch.h"
#include "tests/unit/wire/otlp_random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct budget budget;
	struct arena arena; /* of what the test itself makes: not charged */
	struct otlp_random random;
};

int fixture_set_up(void **state);
int fixture_tear_down(void **state); /* fails when anything is still charged */

void assert_bytes(struct slice got, struct slice wanted);
struct slice random_request(struct fixture *f, enum signal signal);

/* The bytes as a batch with a buffer of its own. */
struct batch *receive(struct fixture *f, enum signal signal, struct slice request);
struct batch *receive_random(struct fixture *f, enum signal signal);

/* The batch encoded, gathered and measured, which must agree. */
struct slice contents(struct fixture *f, const struct batch *b);

void open_to(struct batch **b, enum depth d);
struct slice joined(struct fixture *f, struct slice a, struct slice b);

#endif
