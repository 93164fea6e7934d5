/* judged_exporter: an OTLP exporter as a component, before a judge of tests/e2e, and what has to be so
 * whatever the protocol between the two. */
#ifndef WEIR_TESTS_JUDGED_EXPORTER_H
#define WEIR_TESTS_JUDGED_EXPORTER_H

#include "tests/support/component_stage.h"
#include "tests/support/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct judged_kind {
	const struct component_type *type;
	const char *judge;            /* its script */
	const char *endpoint;         /* options that name it; %u is the judge's port */
	const char *refusal;          /* the behaviour of a judge that takes nothing */
	const char *const *encodings; /* options, NULL-terminated */
	void (*limit_requests)(struct component *exporter, size_t bytes);
};

struct judged {
	const struct judged_kind *kind;
	struct stage stage;
	struct judge judge;
	char dump[128]; /* what the judge writes down */
};

/* Setup and teardown of a test; the state before is its kind. */
int judged_begin(void **state);
int judged_end(void **state);
/* Both, for the next round of a test. */
void judged_again(void **state);

/* A judge that behaves so, and an exporter to it with the rest of the configuration. Outcomes are the
 * backend's. */
void judged_create(struct judged *f, enum signal signal, const char *behaviour, const char *rest);

/* A batch of so many items, and what has become of it. */
struct result *judged_give(struct judged *f, enum signal signal, int items);

/* The first line of the dump has that text. */
void judged_assert_dumped(struct judged *f, const char *text);

/* ---- tests */

void judged_believes_no_more_rejections_than_there_were_items(void **state);
void judged_compresses_large_batches_on_the_pool(void **state);
void judged_makes_no_empty_requests(void **state);
void judged_sends_a_batch_above_the_limit_in_parts(void **state);
void judged_repeats_all_parts_when_one_has_to_be(void **state);
void judged_counts_rejections_over_all_parts(void **state);
void judged_drops_what_is_too_large_by_itself(void **state);
void judged_has_several_requests_in_flight(void **state);
void judged_waits_for_answers_when_it_is_shut_down(void **state);
void judged_ends_attempts_at_the_deadline_of_a_shutdown(void **state);

#define JUDGED_TEST(test, kind)                                                                    \
	cmocka_unit_test_prestate_setup_teardown(test, judged_begin, judged_end, (void *)(kind))

#define JUDGED_TESTS(kind)                                                                         \
	JUDGED_TEST(judged_believes_no_more_rejections_than_there_were_items, kind),               \
		JUDGED_TEST(judged_compresses_large_batches_on_the_pool, kind),                    \
		JUDGED_TEST(judged_makes_no_empty_requests, kind),                                 \
		JUDGED_TEST(judged_sends_a_batch_above_the_limit_in_parts, kind),                  \
		JUDGED_TEST(judged_repeats_all_parts_when_one_has_to_be, kind),                    \
		JUDGED_TEST(judged_counts_rejections_over_all_parts, kind),                        \
		JUDGED_TEST(judged_drops_what_is_too_large_by_itself, kind),                       \
		JUDGED_TEST(judged_has_several_requests_in_flight, kind),                          \
		JUDGED_TEST(judged_waits_for_answers_when_it_is_shut_down, kind),                  \
		JUDGED_TEST(judged_ends_attempts_at_the_deadline_of_a_shutdown, kind)

#endif
