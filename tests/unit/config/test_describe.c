/* What is told of an option table, and configuration printed back. */
#include "config/describe.h"
#include "config/load.h"
#include "config/print.h"
#include "core/pipeline/plan.h"
#include "tests/unit/config/fake_types.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>

static const struct option *options_of(enum component_kind kind, const char *name)
{
	return component_type_find(fake_types, kind, name)->options;
}

static void describes_each_key_for_a_terminal(void **state)
{
	struct buffer out = BUFFER_INIT;

	describe_text(options_of(RECEIVER, "otlp"), &out);
	assert_non_null(strstr(buffer_string(&out),
	                       "  protocols                      block\n"
	                       "      Which.\n"
	                       "    grpc                         optional block; default off\n"
	                       "        gRPC.\n"
	                       "      endpoint                   endpoint; default localhost:4317\n"
	                       "          Where to listen.\n"
	                       "      max_recv_msg_size_mib      int, 1 to 4095; default 64\n"
	                       "          Largest message.\n"));
	buffer_fini(&out);
}

static void makes_a_table_for_a_readme(void **state)
{
	struct buffer out = BUFFER_INIT;

	describe_markdown(options_of(EXPORTER, "otlp"), &out);
	assert_string_equal(
		buffer_string(&out),
		"| Key | Type | Default | Meaning |\n"
		"|---|---|---|---|\n"
		"| `endpoint` | endpoint | required | Where to send. |\n"
		"| `headers` | map of strings |  | Sent along. Never printed. |\n"
		"| `token` | string |  | Who asks. Never printed. |\n"
		"| `user_agent` | string | `weir` | What sends, \\| or whom. |\n"
		"| `compression` | one of none, gzip, zstd | `gzip` | Of requests. |\n"
		"| `timeout` | duration, 1ms to 1h0m0s | `5s` | Of one attempt. |\n"
		"| `max_request_body` | bytes, at least 1024 | `4MiB` | Largest request. |\n"
		"| `multiplier` | float, 1 to 100 | `1.5` | Growth. |\n"
		"| `offset` | int, -10 to 10 | `0` | Shift. |\n"
		"| `wait_for_ready` | bool | `false` | Wait. |\n"
		"| `metadata_keys` | list of strings | `a,b` | Kept apart. |\n"
		"| `tls` | optional block | `off` | TLS. |\n"
		"| `tls.insecure` | bool | `false` | Plain text. |\n"
		"| `tls.ca_file` | string |  | Whom to trust. |\n"
		"| `sending_queue` | optional block | `on` | The queue. |\n"
		"| `sending_queue.queue_size` | int, at least 1 | `1000` | Requests. |\n"
		"| `sending_queue.storage` | component id |  | Where the queue survives. |\n"
		"| `sending_queue.batch` | optional block | `off` | Batching. |\n"
		"| `sending_queue.batch.min_size` | int | `8192` | Items. |\n"
		"| `balancer_name` | string |  | Deprecated: Every address is tried in turn. |\n");
	buffer_fini(&out);
}

static void says_when_there_are_no_keys(void **state)
{
	struct buffer out = BUFFER_INIT;

	describe_markdown(NULL, &out);
	describe_text(NULL, &out);
	assert_string_equal(buffer_string(&out), "It has no keys.\n  no keys\n");
	buffer_fini(&out);
}

static void makes_a_json_schema(void **state)
{
	struct buffer out = BUFFER_INIT;
	json_t *schema, *object, *queue;

	describe_schema("exporter/otlp", options_of(EXPORTER, "otlp"), &out);
	schema = json_loads(buffer_string(&out), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(schema);
	object = json_array_get(json_object_get(schema, "anyOf"), 1);
	assert_string_equal(json_string_value(
				    json_array_get(json_object_get(object, "required"), 0)),
	                    "endpoint");
	assert_false(json_boolean_value(json_object_get(object, "additionalProperties")));
	queue = json_object_get(json_object_get(object, "properties"), "sending_queue");
	queue = json_array_get(json_object_get(queue, "anyOf"), 0);
	assert_non_null(json_object_get(json_object_get(queue, "properties"), "enabled"));
	json_decref(schema);
	buffer_fini(&out);
}

static void print_plan(const char *config, unsigned flags, struct buffer *out)
{
	const struct config_sources sources = {.configs = &config, .n_configs = 1};
	struct diagnostics d;
	struct document *document = NULL;
	struct plan *plan = NULL;

	diagnostics_init(&d);
	assert_int_equal(config_load(&sources, &d, &document), 0);
	assert_int_equal(plan_make(document, fake_types, &d, &plan), 0);
	assert_int_equal(d.warnings, 0);
	plan_print(plan, document, flags, out);
	plan_free(plan);
	document_free(document);
	diagnostics_fini(&d);
}

/* The configuration below as plan_print() gives it. */
static void assert_prints(unsigned flags, const char *expected)
{
	static const char config[] =
		"yaml:"
		"receivers: {otlp: {protocols: {grpc: }}}\n"
		"exporters:\n"
		"  otlp/a:\n"
		"    endpoint: 'gateway:4317'\n"
		"    headers: {authorization: Bearer abc}\n"
		"    token: '${yaml:0123}'\n"
		"    metadata_keys: []\n"
		"    user_agent: 'pays $$5'\n"
		"    sending_queue: {enabled: false}\n"
		"  loadbalancing: {hops: [{hostname: \"yes\"}]}\n"
		"service:\n"
		"  telemetry: {logs: {level: WARN}}\n"
		"  pipelines: {traces: {receivers: [otlp], exporters: [otlp/a, loadbalancing]}}\n";
	struct buffer out = BUFFER_INIT, source = BUFFER_INIT, again = BUFFER_INIT;

	print_plan(config, flags, &out);
	assert_string_equal(buffer_string(&out), expected);
	/* What was printed is a configuration itself, and means the same. */
	buffer_append_string(&source, "yaml:");
	buffer_append_slice(&source, buffer_slice(&out));
	print_plan(buffer_string(&source), flags, &again);
	assert_string_equal(buffer_string(&again), expected);
	buffer_fini(&out);
	buffer_fini(&source);
	buffer_fini(&again);
}

static void prints_what_was_written_without_secrets(void **state)
{
	assert_prints(0, "receivers:\n"
	                 "  otlp:\n"
	                 "    protocols:\n"
	                 "      grpc:\n"
	                 "exporters:\n"
	                 "  otlp/a:\n"
	                 "    endpoint: \"gateway:4317\"\n"
	                 "    headers:\n"
	                 "      authorization: \"[REDACTED]\"\n"
	                 "    token: \"[REDACTED]\"\n"
	                 "    metadata_keys: []\n"
	                 "    user_agent: \"pays $$5\"\n"
	                 "    sending_queue:\n"
	                 "      enabled: false\n"
	                 "  loadbalancing:\n"
	                 "    hops:\n"
	                 "      -\n"
	                 "        hostname: \"yes\"\n"
	                 "service:\n"
	                 "  pipelines:\n"
	                 "    traces:\n"
	                 "      receivers: [otlp]\n"
	                 "      exporters: [otlp/a, loadbalancing]\n"
	                 "  telemetry:\n"
	                 "    logs:\n"
	                 "      level: WARN\n");
}

static void prints_everything_in_effect_and_secrets_when_asked(void **state)
{
	assert_prints(PRINT_DEFAULTS | PRINT_SECRETS, "receivers:\n"
	                                              "  otlp:\n"
	                                              "    protocols:\n"
	                                              "      grpc:\n"
	                                              "        enabled: true\n"
	                                              "        endpoint: \"localhost:4317\"\n"
	                                              "        max_recv_msg_size_mib: 64\n"
	                                              "        tls:\n"
	                                              "          enabled: false\n"
	                                              "        auth:\n"
	                                              "          enabled: false\n"
	                                              "      http:\n"
	                                              "        enabled: false\n"
	                                              "exporters:\n"
	                                              "  otlp/a:\n"
	                                              "    endpoint: \"gateway:4317\"\n"
	                                              "    headers:\n"
	                                              "      authorization: \"Bearer abc\"\n"
	                                              "    token: \"0123\"\n"
	                                              "    user_agent: \"pays $$5\"\n"
	                                              "    compression: gzip\n"
	                                              "    timeout: 5s\n"
	                                              "    max_request_body: 4194304\n"
	                                              "    multiplier: 1.5\n"
	                                              "    offset: 0\n"
	                                              "    wait_for_ready: false\n"
	                                              "    metadata_keys: []\n"
	                                              "    tls:\n"
	                                              "      enabled: false\n"
	                                              "    sending_queue:\n"
	                                              "      enabled: false\n"
	                                              "  loadbalancing:\n"
	                                              "    hops:\n"
	                                              "      -\n"
	                                              "        hostname: \"yes\"\n"
	                                              "        weight: 1\n"
	                                              "        codes: [200]\n"
	                                              "service:\n"
	                                              "  pipelines:\n"
	                                              "    traces:\n"
	                                              "      receivers: [otlp]\n"
	                                              "      exporters: [otlp/a, loadbalancing]\n"
	                                              "  shutdown_timeout: 30s\n"
	                                              "  telemetry:\n"
	                                              "    logs:\n"
	                                              "      level: warn\n"
	                                              "      encoding: console\n"
	                                              "    metrics:\n"
	                                              "      level: normal\n"
	                                              "      host: localhost\n"
	                                              "      port: 8888\n");
}

static void prints_strings_so_that_they_stay_strings(void **state)
{
	static const char *const cases[][2] = {
		{"plain", "plain"},
		{"a b", "\"a b\""},
		{"12", "\"12\""},
		{"true", "\"true\""},
		{"yes", "\"yes\""},
		{"", "\"\""},
		{"~", "\"~\""},
		{"a: b", "\"a: b\""},
		{"line\nnext\ttab\x01", "\"line\\nnext\\ttab\\u0001\""},
		{"q\"b\\", "\"q\\\"b\\\\\""},
		{"$x", "\"$$x\""},
		{"/var/lib/weir", "/var/lib/weir"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer out = BUFFER_INIT;
		print_string(cases[i][0], &out);
		assert_string_equal(buffer_string(&out), cases[i][1]);
		buffer_fini(&out);
	}
}

static void describes_a_value_of_any_scalar_type(void **state)
{
	struct typed {
		struct scalar value;
	};
	static const struct option options[] = {OPTION_SCALAR(struct typed, value,
	                                                      .doc = "Anything."),
	                                        OPTION_END};
	struct buffer out = BUFFER_INIT;

	describe_markdown(options, &out);
	assert_non_null(strstr(buffer_string(&out),
	                       "| `value` | string, number or bool |  | Anything. |\n"));
	buffer_clear(&out);
	describe_schema("x", options, &out);
	assert_non_null(
		strstr(buffer_string(&out), "{\"type\":[\"string\",\"number\",\"boolean\"]}"));
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes_each_key_for_a_terminal),
		cmocka_unit_test(makes_a_table_for_a_readme),
		cmocka_unit_test(says_when_there_are_no_keys),
		cmocka_unit_test(makes_a_json_schema),
		cmocka_unit_test(describes_a_value_of_any_scalar_type),
		cmocka_unit_test(prints_what_was_written_without_secrets),
		cmocka_unit_test(prints_everything_in_effect_and_secrets_when_asked),
		cmocka_unit_test(prints_strings_so_that_they_stay_strings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
