#include "tests/support/component_stage.h"
#include "tests/support/json_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

extern const struct component_type processor_resource_type;
static const struct component_type *const resource = &processor_resource_type;

#define ATTRIBUTE(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define REQUEST(groups, items, attributes)                                                         \
	"{\"" groups "\":[{\"resource\":{\"attributes\":[" attributes "]}," items                  \
	",\"schemaUrl\":\"u\"}]}"
#define SPANS                                                                                      \
	"\"scopeSpans\":[{\"scope\":{\"name\":\"lib\"},\"spans\":[{\"name\":\"a\",\"attributes\":" \
	"[" ATTRIBUTE("env", "span") "]},{\"name\":\"b\"}]}]"

/* The bytes beside the resource, as they are and where they lie. */
static void changes_the_resource_and_no_other_byte(void **state)
{
	struct stage *s = *state;
	struct batch *b =
		json_batch(SIGNAL_TRACES, REQUEST("resourceSpans", SPANS, ATTRIBUTE("env", "dev")),
	                   &s->budget);
	struct slice came = b->first->wire;
	const struct group *g;

	stage_create(s, resource,
	             "{attributes: [{key: env, action: update, value: prod}, {key: zone, action: "
	             "insert, value: a}]}",
	             SIGNAL_TRACES);
	stage_consume(s, b);
	assert_int_equal(s->n_kept, 1);
	g = s->kept[0]->first;
	assert_int_equal(g->depth, DEPTH_RESOURCE);
	assert_int_equal(g->n_rest, 1);
	/* all that followed the resource, in the buffer in which it came */
	assert_ptr_equal(g->rest[0].data + g->rest[0].len, came.data + came.len);
	json_batch_expect(s->kept[0], REQUEST("resourceSpans", SPANS,
	                                      ATTRIBUTE("env", "prod") "," ATTRIBUTE("zone", "a")));
}

static void gives_a_resource_to_what_came_without_one(void **state)
{
	struct stage *s = *state;

	stage_create(s, resource, "{attributes: [{key: env, action: upsert, value: prod}]}",
	             SIGNAL_LOGS);
	stage_consume(s, json_batch(SIGNAL_LOGS,
	                            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}",
	                            &s->budget));
	json_batch_expect(s->kept[0],
	                  "{\"resourceLogs\":[{\"resource\":{\"attributes\":[" ATTRIBUTE(
				  "env", "prod") "]},\"scopeLogs\":[{\"logRecords\":[{}]}]}]}");
}

static void acts_on_groups_that_were_opened_before(void **state)
{
	struct stage *s = *state;
	struct batch *b =
		json_batch(SIGNAL_TRACES, REQUEST("resourceSpans", SPANS, ATTRIBUTE("env", "dev")),
	                   &s->budget);

	stage_create(s, resource, "{attributes: [{key: env, action: delete}]}", SIGNAL_TRACES);
	assert_int_equal(batch_open(&b, DEPTH_FULL, NULL), 0);
	stage_consume(s, b);
	json_batch_expect(s->kept[0],
	                  "{\"resourceSpans\":[{\"resource\":{}," SPANS ",\"schemaUrl\":\"u\"}]}");
}

/* Groups of one batch may live in the arena of another, which it outlives. */
static void acts_on_groups_that_live_elsewhere(void **state)
{
	struct stage *s = *state;
	struct batch *into = batch_new(SIGNAL_TRACES, &s->budget);
	struct batch *from =
		json_batch(SIGNAL_TRACES, REQUEST("resourceSpans", SPANS, ATTRIBUTE("env", "dev")),
	                   &s->budget);
	struct batch *last = batch_new(SIGNAL_TRACES, &s->budget);

	stage_create(s, resource, "{attributes: [{key: env, action: upsert, value: prod}]}",
	             SIGNAL_TRACES);
	assert_int_equal(batch_open(&from, DEPTH_FULL, NULL), 0);
	assert_true(batch_merge(into, from));
	stage_consume(s, into);
	assert_int_equal(s->n_kept, 1);
	assert_true(batch_merge(last, TAKE(s->kept[0])));
	s->kept[0] = last;
	json_batch_expect(last, REQUEST("resourceSpans", SPANS, ATTRIBUTE("env", "prod")));
}

static void refuses_actions_that_make_no_sense(void **state)
{
	stage_expect_refused(
		*state, resource, "{attributes: [{key: a, action: insert}]}",
		"error creating AttrProc. Either field \"value\", \"from_attribute\" or "
		"\"from_context\" setting must be specified for 0-th action");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(changes_the_resource_and_no_other_byte, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test_setup_teardown(gives_a_resource_to_what_came_without_one,
	                                        stage_setup, stage_teardown),
		cmocka_unit_test_setup_teardown(acts_on_groups_that_were_opened_before, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test_setup_teardown(acts_on_groups_that_live_elsewhere, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test_setup_teardown(refuses_actions_that_make_no_sense, stage_setup,
	                                        stage_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
