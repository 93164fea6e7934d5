#include "core/base/clock.h"
#include "extensions/health_check/health_check.h"
#include "tests/support/component_stage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

extern const struct component_type extension_health_check_type;

struct fixture {
	struct stage stage;
	const struct health_check_config *config;
	struct health_part *extension, *receiver, *exporter;
	struct page_response response;
	json_t *json; /* the body, where it is JSON */
};

static void open_fixture(struct fixture *f, const char *yaml)
{
	struct health_pipeline *traces;
	struct health *h;

	*f = (struct fixture){0};
	stage_begin(&f->stage);
	h = f->stage.host.health;
	f->config = stage_config(&f->stage, &extension_health_check_type, yaml);
	traces = health_add_pipeline(h, "traces/edge");
	f->extension = health_add_part(h, "extension", "health_check");
	f->exporter = health_add_part(h, "exporter", "otlp/a\"b");
	f->receiver = health_add_part(h, "receiver", "otlp");
	assert_true(health_add_seat(h, &h->extensions, f->extension));
	assert_true(health_add_seat(h, traces, f->exporter));
	assert_true(health_add_seat(h, traces, f->receiver));
}

static void start(struct fixture *f)
{
	health_report(f->extension, STATUS_OK, NULL);
	health_report(f->exporter, STATUS_OK, NULL);
	health_report(f->receiver, STATUS_OK, NULL);
	health_run(f->stage.host.health);
}

static void trouble(struct fixture *f, enum component_status status)
{
	struct error error = ERROR_INIT;

	error_set(&error, -EIO, "tempo:4317: \"refused\"");
	health_report(f->exporter, status, &error);
}

/* The status code of an answer. */
static int get(struct fixture *f, const char *path, const char *query)
{
	const struct page_request request = {.method = SLICE_LITERAL("GET"),
	                                     .path = slice_from_string(path),
	                                     .query = slice_from_string(query)};

	json_decref(f->json);
	buffer_fini(&f->response.body);
	f->response = (struct page_response){.status = 200};
	health_check_page(f->stage.host.health, f->config, &request, &f->response);
	f->json = json_loadb((const char *)f->response.body.data, f->response.body.len, 0, NULL);
	return f->response.status;
}

static const char *text(const struct fixture *f, const char *key)
{
	return json_string_value(json_object_get(f->json, key));
}

static void close_fixture(struct fixture *f)
{
	json_decref(f->json);
	buffer_fini(&f->response.body);
	stage_end(&f->stage);
}

static void the_collectors_page_is_200_from_the_start_to_the_stop(void **state)
{
	struct fixture f;

	open_fixture(&f, "");
	assert_int_equal(get(&f, "/", ""), 503);
	assert_string_equal(text(&f, "status"), "Server not available");
	assert_string_equal(text(&f, "upSince"), "0001-01-01T00:00:00Z");
	assert_string_equal(text(&f, "uptime"), "");
	start(&f);
	assert_int_equal(get(&f, "/", ""), 200);
	assert_string_equal(text(&f, "status"), "Server available");
	assert_true(strncmp(text(&f, "upSince"), "20", 2) == 0);
	assert_int_equal(get(&f, "/healthz", ""), 200); /* "/" stands for all */
	trouble(&f, STATUS_PERMANENT_ERROR);
	assert_int_equal(get(&f, "/", ""), 200);
	health_stop(f.stage.host.health);
	assert_int_equal(get(&f, "/", ""), 503);
	close_fixture(&f);
}

static void path_and_bodies_are_as_configured(void **state)
{
	struct fixture f;

	open_fixture(&f, "{path: /health, response_body: {healthy: fine, unhealthy: not so}}");
	assert_int_equal(get(&f, "/health", ""), 503);
	assert_string_equal(buffer_string(&f.response.body), "not so");
	start(&f);
	assert_int_equal(get(&f, "/health", ""), 200);
	assert_string_equal(buffer_string(&f.response.body), "fine");
	assert_int_equal(get(&f, "/", ""), 404);
	assert_int_equal(get(&f, "/health/", ""), 404);
	assert_int_equal(get(&f, "/live", ""), 200);
	close_fixture(&f);
}

static void live_and_ready_are_told_apart(void **state)
{
	struct fixture f;

	open_fixture(&f, "");
	assert_int_equal(get(&f, "/live", ""), 200);
	assert_int_equal(get(&f, "/ready", ""), 503);
	assert_string_equal(json_string_value(
				    json_array_get(json_object_get(f.json, "reasons"), 0)),
	                    "not everything has started yet");
	start(&f);
	assert_int_equal(get(&f, "/ready", ""), 200);
	assert_true(json_is_true(json_object_get(f.json, "ready")));
	assert_int_equal(json_array_size(json_object_get(f.json, "reasons")), 0);
	trouble(&f, STATUS_PERMANENT_ERROR);
	assert_int_equal(get(&f, "/live", ""), 200);
	assert_int_equal(get(&f, "/ready", ""), 503);
	assert_string_equal(json_string_value(
				    json_array_get(json_object_get(f.json, "reasons"), 0)),
	                    "pipeline traces/edge: exporter otlp/a\"b: StatusPermanentError: "
	                    "tempo:4317: \"refused\"");
	assert_true(json_is_false(
		json_object_get(json_object_get(f.json, "pipelines"), "traces/edge")));
	trouble(&f, STATUS_FATAL_ERROR);
	assert_int_equal(get(&f, "/live", ""), 503);
	close_fixture(&f);
}

static void is_not_ready_at_the_hard_limit_of_memory(void **state)
{
	struct fixture f;

	open_fixture(&f, "");
	start(&f);
	f.stage.budget.limit = 1000;
	assert_true(budget_take(&f.stage.budget, 1000));
	assert_int_equal(get(&f, "/ready", ""), 503);
	assert_string_equal(json_string_value(
				    json_array_get(json_object_get(f.json, "reasons"), 0)),
	                    "memory is at its hard limit: 1000 of 1000 bytes are in use");
	assert_int_equal(get(&f, "/live", ""), 200);
	budget_return(&f.stage.budget, 1000);
	assert_int_equal(get(&f, "/ready", ""), 200);
	close_fixture(&f);
}

static void the_status_of_every_component_is_told(void **state)
{
	json_t *pipeline, *exporter;
	struct fixture f;

	open_fixture(&f, "");
	assert_int_equal(get(&f, "/status", ""), 503);
	assert_string_equal(text(&f, "status"), "StatusStarting");
	start(&f);
	trouble(&f, STATUS_RECOVERABLE_ERROR);
	assert_int_equal(get(&f, "/status", ""), 200);
	assert_string_equal(text(&f, "status"), "StatusRecoverableError");
	assert_string_equal(text(&f, "error"), "tempo:4317: \"refused\"");
	assert_true(json_is_true(json_object_get(f.json, "healthy")));
	pipeline = json_object_get(json_object_get(f.json, "components"), "pipeline:traces/edge");
	exporter = json_object_get(json_object_get(pipeline, "components"), "exporter:otlp/a\"b");
	assert_string_equal(json_string_value(json_object_get(exporter, "status")),
	                    "StatusRecoverableError");
	assert_non_null(json_object_get(json_object_get(f.json, "components"), "extensions"));
	trouble(&f, STATUS_PERMANENT_ERROR);
	assert_int_equal(get(&f, "/status", "verbose=false"), 500);
	assert_null(json_object_get(f.json, "components"));
	close_fixture(&f);
}

static void the_status_of_one_pipeline_is_told(void **state)
{
	struct fixture f;

	open_fixture(&f, "{http: {status: {path: /health/status}}}");
	start(&f);
	assert_int_equal(get(&f, "/health/status", "verbose&pipeline=traces/edge"), 200);
	assert_string_equal(text(&f, "status"), "StatusOK");
	assert_non_null(json_object_get(json_object_get(f.json, "components"), "receiver:otlp"));
	assert_int_equal(get(&f, "/health/status", "pipeline=traces%2fedge&verbose"), 200);
	assert_int_equal(get(&f, "/health/status", "pipeline=traces"), 404);
	assert_int_equal(get(&f, "/health/status", "pipeline="), 404);
	assert_int_equal(get(&f, "/health/status", "pipeline=%2"), 404);
	close_fixture(&f);
}

static void only_get_and_head_are_answered(void **state)
{
	const struct page_request post = {.method = SLICE_LITERAL("POST"),
	                                  .path = SLICE_LITERAL("/live")};
	struct fixture f;

	open_fixture(&f, "");
	f.response.status = 200;
	health_check_page(f.stage.host.health, f.config, &post, &f.response);
	assert_int_equal(f.response.status, 405);
	close_fixture(&f);
}

static void the_policy_is_what_is_configured(void **state)
{
	const struct health_policy *policy;
	struct stage s;

	stage_begin(&s);
	stage_create(
		&s, &extension_health_check_type,
		"{endpoint: 'localhost:0', component_health: {include_permanent_errors: false, "
		"include_recoverable_errors: true, recovery_duration: 90s}}",
		SIGNAL_TRACES);
	policy = &s.host.health->policy;
	assert_false(policy->include_permanent_errors);
	assert_true(policy->include_recoverable_errors);
	assert_int_equal(policy->recovery_ns, 90 * NS_PER_S);
	stage_end(&s);
}

static void refuses_what_it_cannot_serve(void **state)
{
	struct stage s;

	stage_begin(&s);
	stage_expect_refused(&s, &extension_health_check_type,
	                     "{tls: {cert_file: /a, key_file: /b}}",
	                     "tls: the pages are plain HTTP only; remove the block, and let "
	                     "endpoint be an address that only this machine or its cluster "
	                     "reaches");
	stage_expect_refused(&s, &extension_health_check_type, "{path: health}",
	                     "'path' must start with /");
	stage_expect_refused(&s, &extension_health_check_type, "{http: {status: {path: ''}}}",
	                     "'http::status::path' must start with /");
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_collectors_page_is_200_from_the_start_to_the_stop),
		cmocka_unit_test(path_and_bodies_are_as_configured),
		cmocka_unit_test(live_and_ready_are_told_apart),
		cmocka_unit_test(is_not_ready_at_the_hard_limit_of_memory),
		cmocka_unit_test(the_status_of_every_component_is_told),
		cmocka_unit_test(the_status_of_one_pipeline_is_told),
		cmocka_unit_test(only_get_and_head_are_answered),
		cmocka_unit_test(the_policy_is_what_is_configured),
		cmocka_unit_test(refuses_what_it_cannot_serve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
