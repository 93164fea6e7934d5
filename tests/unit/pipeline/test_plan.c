/* plan_make with the fake types. What it refuses stands in tests/unit/config/mistakes. */
#include "config/expand.h"
#include "config/load.h"
#include "core/base/buffer.h"
#include "core/pipeline/plan.h"
#include "tests/support/failing_memory.h"
#include "tests/unit/config/fake_types.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct diagnostics diagnostics;
	struct document *document;
	struct plan *plan;
};

static int try_plan(struct fixture *f, const char *yaml)
{
	const struct config_sources sources = {.configs = &yaml, .n_configs = 1};
	int r;

	*f = (struct fixture){0};
	diagnostics_init(&f->diagnostics);
	r = config_load(&sources, &f->diagnostics, &f->document);
	if (r == 0)
		r = plan_make(f->document, fake_types, &f->diagnostics, &f->plan);
	return r;
}

static void open_plan(struct fixture *f, const char *yaml)
{
	int r = try_plan(f, yaml);

	for (size_t i = 0; r < 0 && i < f->diagnostics.count; i++)
		print_error("%s\n", f->diagnostics.items[i].message);
	assert_int_equal(r, 0);
}

static void close_plan(struct fixture *f)
{
	plan_free(f->plan);
	document_free(f->document);
	diagnostics_fini(&f->diagnostics);
}

static const char whole[] =
	"yaml:"
	"receivers: {otlp: {protocols: {grpc: }}, sockets: }\n"
	"processors: {batch: , memory_limiter: , batch/unused: }\n"
	"exporters: {otlp_grpc/gw: {endpoint: 'gw:4317', sending_queue: {storage: file_storage}}, "
	"debug: }\n"
	"connectors: {forward: }\n"
	"extensions: {file_storage: {directory: /q}}\n"
	"service:\n"
	"  extensions: [file_storage]\n"
	"  pipelines:\n"
	"    metrics/edge:\n"
	"      receivers: [otlp, sockets]\n"
	"      processors: [memory_limiter, batch]\n"
	"      exporters: [forward, debug]\n"
	"    metrics: {receivers: [forward], exporters: otlp_grpc/gw}\n";

static void resolves_pipelines_in_their_order(void **state)
{
	struct fixture f;
	const struct plan_pipeline *edge, *out;

	open_plan(&f, whole);
	assert_int_equal(f.plan->n_pipelines, 2);
	edge = &f.plan->pipelines[0];
	out = &f.plan->pipelines[1];
	assert_string_equal(edge->id, "metrics/edge");
	assert_int_equal(edge->signal, SIGNAL_METRICS);
	assert_int_equal(edge->n_receivers, 2);
	assert_string_equal(edge->receivers[1]->id, "sockets");
	assert_int_equal(edge->n_processors, 2);
	assert_string_equal(edge->processors[0]->id, "memory_limiter");
	assert_string_equal(edge->processors[1]->id, "batch");
	assert_ptr_equal(edge->exporters[0], out->receivers[0]);
	assert_int_equal(edge->exporters[0]->type->kind, CONNECTOR);
	assert_string_equal(out->exporters[0]->id, "otlp_grpc/gw");
	assert_int_equal(f.plan->n_extensions, 1);
	assert_string_equal(f.plan->extensions[0]->id, "file_storage");
	close_plan(&f);
}

static void finds_types_by_alias_and_fills_their_config(void **state)
{
	struct fixture f;
	const struct plan_component *c;
	const struct fake_otlp_exporter *config;

	open_plan(&f, whole);
	c = f.plan->pipelines[1].exporters[0];
	config = c->config;
	assert_string_equal(c->type->name, "otlp");
	assert_string_equal(config->endpoint.host, "gw");
	assert_string_equal(config->sending_queue.storage, "file_storage");
	close_plan(&f);
}

static void keeps_and_tells_of_what_is_unused(void **state)
{
	struct fixture f;
	size_t unused = 0;

	open_plan(&f, whole);
	assert_int_equal(f.plan->n_components, 9);
	for (size_t i = 0; i < f.plan->n_components; i++)
		if (!f.plan->components[i].used) {
			assert_string_equal(f.plan->components[i].id, "batch/unused");
			unused++;
		}
	assert_int_equal(unused, 1);
	assert_int_equal(f.diagnostics.warnings, 1);
	assert_string_equal(f.diagnostics.items[0].path, "processors::batch/unused");
	close_plan(&f);
}

#define SERVICE(settings)                                                                          \
	"yaml:{receivers: {sockets: }, exporters: {debug: }, service: {pipelines: {logs: "         \
	"{receivers: sockets, exporters: debug}}" settings "}}"

static void gives_service_its_defaults(void **state)
{
	struct fixture f;

	open_plan(&f, SERVICE(""));
	assert_int_equal(f.plan->service.shutdown_timeout, UINT64_C(30000000000));
	assert_int_equal(f.plan->service.telemetry.logs.level, LOG_INFO);
	assert_int_equal(f.plan->service.telemetry.logs.encoding, LOG_CONSOLE);
	assert_int_equal(f.plan->service.telemetry.metrics.level, 2);
	assert_string_equal(f.plan->service.telemetry.metrics.host, "localhost");
	assert_int_equal(f.plan->service.telemetry.metrics.port, 8888);
	close_plan(&f);
}

static void reads_the_settings_of_service(void **state)
{
	struct fixture f;

	open_plan(&f, SERVICE(", shutdown_timeout: 5s, telemetry: {logs: {level: ERROR, encoding: "
	                      "json, development: true}, metrics: {level: none, port: 0}}"));
	assert_int_equal(f.plan->service.shutdown_timeout, UINT64_C(5000000000));
	assert_int_equal(f.plan->service.telemetry.logs.level, LOG_ERROR);
	assert_int_equal(f.plan->service.telemetry.logs.encoding, LOG_JSON);
	assert_int_equal(f.plan->service.telemetry.metrics.level, 0);
	assert_int_equal(f.plan->service.telemetry.metrics.port, 0);
	assert_int_equal(f.diagnostics.warnings, 1);
	close_plan(&f);
}

static void takes_the_collectors_readers(void **state)
{
	struct fixture f;

	open_plan(&f,
	          SERVICE(", telemetry: {metrics: {readers: [{periodic: {interval: 1s}}, {pull: "
	                  "{exporter: {prometheus: {host: 0.0.0.0, port: 9999}}}}]}}"));
	assert_string_equal(f.plan->service.telemetry.metrics.host, "0.0.0.0");
	assert_int_equal(f.plan->service.telemetry.metrics.port, 9999);
	close_plan(&f);
	open_plan(&f, SERVICE(", telemetry: {metrics: {readers: [{periodic: {interval: 1s}}]}}"));
	assert_int_equal(f.plan->service.telemetry.metrics.level, 0);
	close_plan(&f);
}

static void names_a_component_once_that_is_listed_twice(void **state)
{
	struct fixture f;

	open_plan(&f, "yaml:{receivers: {sockets: }, exporters: {debug: }, service: {pipelines: "
	              "{logs: {receivers: [sockets, sockets], exporters: [debug]}}}}");
	assert_int_equal(f.plan->pipelines[0].n_receivers, 1);
	assert_int_equal(f.diagnostics.warnings, 1);
	close_plan(&f);
}

/* Looking for the name that each of them could have meant took more than a minute. */
static void refuses_ten_thousand_dangling_references_at_once(void **state)
{
	struct buffer yaml = BUFFER_INIT;
	struct fixture f;

	buffer_append_string(&yaml, "yaml:receivers:\n");
	for (int i = 0; i < 100; i++)
		buffer_printf(&yaml, "  sockets/%050d: {}\n", i);
	buffer_append_string(&yaml, "exporters: {debug: }\nservice:\n  pipelines:\n");
	for (int p = 0; p < 50; p++) {
		buffer_printf(&yaml, "    metrics/%d: {exporters: [debug], receivers: [", p);
		for (int i = 0; i < 198; i++)
			buffer_printf(&yaml, "sockets/x%02d%050d,", p, i);
		buffer_append_string(&yaml, "]}\n");
	}
	assert_true(try_plan(&f, buffer_string(&yaml)) < 0);
	assert_true(diagnostics_is_full(&f.diagnostics));
	close_plan(&f);
	buffer_fini(&yaml);
}

/* Fails the first, second, ... allocation until the whole passes. */
static void survives_every_failing_allocation(void **state)
{
	struct fixture f;
	unsigned long n = 0;
	bool failed;

	do {
		int r;
		failing_memory_arm(++n);
		r = try_plan(&f, whole);
		failed = failing_memory_disarm();
		assert_true(failed || r == 0);
		if (r < 0)
			assert_true(f.diagnostics.errors > 0);
		else
			assert_non_null(f.plan);
		close_plan(&f);
	} while (failed);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves_pipelines_in_their_order),
		cmocka_unit_test(finds_types_by_alias_and_fills_their_config),
		cmocka_unit_test(keeps_and_tells_of_what_is_unused),
		cmocka_unit_test(gives_service_its_defaults),
		cmocka_unit_test(reads_the_settings_of_service),
		cmocka_unit_test(takes_the_collectors_readers),
		cmocka_unit_test(names_a_component_once_that_is_listed_twice),
		cmocka_unit_test(refuses_ten_thousand_dangling_references_at_once),
		cmocka_unit_test(survives_every_failing_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
