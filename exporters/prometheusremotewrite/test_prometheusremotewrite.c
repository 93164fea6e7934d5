/* What needs no receiver; the duties of a sender are in tests/e2e/test_remote_write.py. */
#include "core/base/clock.h"
#include "tests/support/component_stage.h"
#include "tests/support/failing_memory.h"
#include "exporters/prometheusremotewrite/prometheusremotewrite_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

extern const struct component_type exporter_prometheusremotewrite_type;
#define TYPE &exporter_prometheusremotewrite_type

static void refuses(struct stage *s, const char *yaml, const char *message)
{
	stage_expect_refused(s, TYPE, yaml, message);
}

static void checks_its_configuration(void **state)
{
	struct stage *s = *state;

	refuses(s, "{}",
	        "invalid endpoint: endpoint is missing; give the URL that takes remote write, for "
	        "instance http://prometheus:9090/api/v1/write");
	refuses(s, "{endpoint: 'http://a/b', http: {endpoint: 'http://c/d'}}",
	        "invalid endpoint: it stands at the top level and in http; remove one");
	refuses(s, "{endpoint: 'a:9090'}",
	        "endpoint must be a valid URL: it begins with http:// or https://");
	refuses(s, "{endpoint: 'http://a/b', external_labels: {a: ''}}",
	        "prometheus remote write: external labels configuration contains an empty key or "
	        "value");
	refuses(s, "{endpoint: 'http://a/b', external_labels: {a.b: c}}",
	        "external_labels: a.b is not a label name: letters, digits and _, no digit first "
	        "and no __");
	refuses(s, "{endpoint: 'http://a/b', headers: {user-agent: me}}",
	        "headers: user-agent is written by weir itself and cannot be set");
	refuses(s, "{endpoint: 'http://a/b', retry_on_failure: {multiplier: -1}}",
	        "retry_on_failure: 'multiplier' must be non-negative");
}

static const struct prometheusremotewrite_config *config(struct stage *s, const char *yaml)
{
	const struct prometheusremotewrite_config *c = stage_config(s, TYPE, yaml);

	assert_int_equal(prometheusremotewrite_check(c, NULL), 0);
	return c;
}

static void takes_its_endpoint_from_either_place(void **state)
{
	const struct prometheusremotewrite_config *c = config(*state, "{endpoint: 'http://a/b'}");

	assert_string_equal(prometheusremotewrite_http(c)->endpoint, "http://a/b");
	c = config(*state, "{http: {endpoint: 'http://c/d', headers: {x: y}}}");
	assert_string_equal(prometheusremotewrite_http(c)->endpoint, "http://c/d");
	assert_int_equal(prometheusremotewrite_http(c)->headers.count, 1);
}

static void knows_the_collectors_keys(void **state)
{
	struct translator_label labels[2];
	struct translator_options o;
	const struct prometheusremotewrite_config *c = config(
		*state,
		"{endpoint: 'http://a/b', namespace: n, add_metric_suffixes: false, "
		"resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: "
		"true}, target_info: {enabled: false}, disable_scope_info: true, send_metadata: "
		"true, external_labels: {l: v}, max_batch_request_parallelism: 7, "
		"max_batch_size_bytes: 100000, protobuf_message: "
		"io.prometheus.write.v2.Request, remote_write_queue: {queue_size: 3, "
		"num_consumers: 2}, wal: {directory: /x, buffer_size: 5}, timeout: 7s, "
		"retry_on_failure: {max_elapsed_time: 10m}}");

	prometheusremotewrite_translation(c, labels, &o);
	assert_int_equal(o.strategy, NAME_ESCAPED);
	assert_string_equal(o.namespace, "n");
	assert_string_equal(o.resource_included[0], "*");
	assert_string_equal(o.resource_excluded[0], "service.name");
	assert_true(o.no_target_info && o.no_scope_labels);
	assert_int_equal(o.n_external, 1);
	assert_string_equal(labels[0].name, "l");
	assert_int_equal(prometheusremotewrite_shards(c), 7);
	assert_int_equal(c->protobuf_message, MESSAGE_2);
	assert_int_equal(c->queue.queue_size, 3);
	assert_int_equal(c->timeout, 7 * NS_PER_S);
	assert_int_equal(c->retry.initial_interval, 50 * NS_PER_MS);
}

static void retries_without_end_by_default(void **state)
{
	const struct prometheusremotewrite_config *c = config(*state, "{endpoint: 'http://a/b'}");

	assert_int_equal(c->retry.max_elapsed_time, 0);
	assert_int_equal(prometheusremotewrite_shards(c), 5);
	assert_int_equal(c->protobuf_message, MESSAGE_AUTO);
}

static void drops_at_the_deadline_what_nobody_took(void **state)
{
	struct stage *s = *state;
	struct result *r;

	stage_create(s, TYPE, "{endpoint: 'http://127.0.0.1:9/w'}", SIGNAL_METRICS);
	r = stage_consume(s, stage_batch(s, SIGNAL_METRICS, 10, 0));
	assert_true(r->told);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	stage_shutdown(s, clock_monotonic_ns() + NS_PER_S);
	stage_wait(s, &s->closed);
	assert_int_equal(stage_figure(s, "weir_exporter_received_items"), 10);
	assert_int_equal(stage_figure(s, "weir_exporter_queued_items"), 0);
	assert_int_equal(stage_figure(s, "weir_exporter_dropped_items"), 10);
}

static void answers_once_whatever_allocation_fails(void **state)
{
	struct stage *s = *state;
	bool failed = true;

	for (unsigned long n = 1; failed; n++) {
		struct batch *b;
		struct result *r;

		stage_create(s, TYPE,
		             "{endpoint: 'http://127.0.0.1:9/w', remote_write_queue: "
		             "{wait_for_result: true}, retry_on_failure: {enabled: false}}",
		             SIGNAL_METRICS);
		b = stage_batch(s, SIGNAL_METRICS, 10, 0);
		failing_memory_arm(n);
		r = stage_consume(s, b);
		failed = failing_memory_disarm();
		stage_wait(s, &r->told);
		assert_int_equal(r->calls, 1);
		assert_int_equal(stage_figure(s, "weir_exporter_queued_items"), 0);
		assert_int_equal(stage_figure(s, "weir_exporter_received_items"),
		                 stage_figure(s, "weir_exporter_refused_items") +
		                         stage_figure(s, "weir_exporter_dropped_items") +
		                         stage_figure(s, "weir_exporter_sent_items"));
		stage_end(s);
		stage_begin(s);
		assert_true(n < 1000);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(checks_its_configuration),
		TEST(takes_its_endpoint_from_either_place),
		TEST(knows_the_collectors_keys),
		TEST(retries_without_end_by_default),
		TEST(drops_at_the_deadline_what_nobody_took),
		TEST(answers_once_whatever_allocation_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
