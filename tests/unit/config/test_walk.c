/* The walker against the fake exporter, which has every kind of option. */
#include "config/print.h"
#include "config/walk.h"
#include "core/pipeline/plan.h"
#include "tests/unit/config/fake_types.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct arena arena;
	struct diagnostics diagnostics;
	struct walk walk;
	int result;
};

static void open_fixture(struct fixture *f)
{
	arena_init(&f->arena, NULL);
	diagnostics_init(&f->diagnostics);
	f->walk = (struct walk){.arena = &f->arena, .diagnostics = &f->diagnostics};
}

static void close_fixture(struct fixture *f)
{
	diagnostics_fini(&f->diagnostics);
	arena_fini(&f->arena);
}

/* The config that the YAML makes; yaml NULL: the component has no value at all. */
static void *fill(struct fixture *f, enum component_kind kind, const char *type, const char *yaml)
{
	const struct component_type *t = component_type_find(fake_types, kind, type);
	const struct node *node = NULL;
	void *config = arena_alloc(&f->arena, t->config_size);

	assert_non_null(config);
	if (yaml)
		assert_int_equal(yaml_read(slice_from_string(yaml), "t.yaml", &f->arena,
		                           &f->diagnostics, &node),
		                 0);
	f->result = walk_config(&f->walk, t->options, config, node,
	                        (struct position){"t.yaml", 1, 1}, "exporters::otlp");
	return config;
}

#define WITH(config_type, config, kind, name, yaml)                                                \
	struct fixture fixture_;                                                                   \
	open_fixture(&fixture_);                                                                   \
	config_type *config = fill(&fixture_, kind, name, yaml);                                   \
	assert_int_equal(fixture_.result, 0);                                                      \
	assert_int_equal(fixture_.diagnostics.errors, 0)
#define EXPORTER_WITH(config, yaml) WITH(struct fake_otlp_exporter, config, EXPORTER, "otlp", yaml)
#define RECEIVER_WITH(config, yaml) WITH(struct fake_otlp_receiver, config, RECEIVER, "otlp", yaml)
#define END close_fixture(&fixture_)

static void fills_every_kind_from_its_default(void **state)
{
	EXPORTER_WITH(c, "{endpoint: 'gateway:4317'}");
	assert_string_equal(c->endpoint.host, "gateway");
	assert_int_equal(c->endpoint.port, 4317);
	assert_int_equal(c->headers.count, 0);
	assert_null(c->token);
	assert_string_equal(c->user_agent, "weir");
	assert_int_equal(c->compression, 1);
	assert_int_equal(c->timeout, 5000000000);
	assert_int_equal(c->max_request_body, 4 << 20);
	assert_true(c->multiplier == 1.5);
	assert_int_equal(c->offset, 0);
	assert_false(c->wait_for_ready);
	assert_int_equal(c->metadata_keys.count, 2);
	assert_string_equal(c->metadata_keys.items[1], "b");
	assert_false(c->tls.enabled);
	assert_true(c->sending_queue.enabled);
	assert_int_equal(c->sending_queue.queue_size, 1000);
	assert_false(c->sending_queue.batch.enabled);
	assert_int_equal(c->sending_queue.batch.min_size, 8192);
	END;
}

static void fills_every_kind_from_what_is_written(void **state)
{
	EXPORTER_WITH(c, "endpoint: unix:///run/weir.sock\n"
	                 "headers: {X-A: one, x-b: }\n"
	                 "token: s3cret\n"
	                 "user_agent: \"12\"\n"
	                 "compression: ZSTD\n"
	                 "timeout: 1h\n"
	                 "max_request_body: 64MiB\n"
	                 "multiplier: 2\n"
	                 "offset: -0x0a\n"
	                 "wait_for_ready: true\n"
	                 "metadata_keys: [x, 'y, z']\n"
	                 "sending_queue: {queue_size: 1_000_000, storage: 'disk / a'}\n");
	assert_int_equal(c->endpoint.scheme, ENDPOINT_UNIX);
	assert_int_equal(c->headers.count, 2);
	assert_string_equal(c->headers.items[0].key, "X-A");
	assert_string_equal(c->headers.items[0].value, "one");
	assert_string_equal(c->headers.items[1].value, "");
	assert_string_equal(c->token, "s3cret");
	assert_string_equal(c->user_agent, "12");
	assert_int_equal(c->compression, 2);
	assert_int_equal(c->timeout, UINT64_C(3600000000000));
	assert_int_equal(c->max_request_body, 64 << 20);
	assert_true(c->multiplier == 2);
	assert_int_equal(c->offset, -10);
	assert_true(c->wait_for_ready);
	assert_int_equal(c->metadata_keys.count, 2);
	assert_string_equal(c->metadata_keys.items[1], "y, z");
	assert_int_equal(c->sending_queue.queue_size, 1000000);
	assert_string_equal(c->sending_queue.storage, "disk/a");
	assert_string_equal(fixture_.walk.references->id, "disk/a");
	assert_string_equal(fixture_.walk.references->path,
	                    "exporters::otlp::sending_queue::storage");
	END;
}

static void keeps_the_default_where_a_value_is_null(void **state)
{
	EXPORTER_WITH(c, "{endpoint: 'g:1', user_agent: , timeout: ~, metadata_keys: null, "
	                 "compression: , headers: , max_request_body: }");
	assert_string_equal(c->user_agent, "weir");
	assert_int_equal(c->timeout, 5000000000);
	assert_int_equal(c->metadata_keys.count, 2);
	assert_int_equal(c->compression, 1);
	END;
}

static void replaces_a_default_list_by_an_empty_one(void **state)
{
	EXPORTER_WITH(c, "{endpoint: 'g:1', metadata_keys: []}");
	assert_int_equal(c->metadata_keys.count, 0);
	END;
}

static void splits_a_string_on_commas_for_a_list(void **state)
{
	EXPORTER_WITH(c, "{endpoint: 'g:1', metadata_keys: ' a, b c ,d'}");
	assert_int_equal(c->metadata_keys.count, 3);
	assert_string_equal(c->metadata_keys.items[0], "a");
	assert_string_equal(c->metadata_keys.items[1], "b c");
	assert_string_equal(c->metadata_keys.items[2], "d");
	END;
}

static void leaves_an_absent_protocol_off(void **state)
{
	RECEIVER_WITH(c, "{protocols: {grpc: {}}}");
	assert_true(c->protocols.grpc.enabled);
	assert_false(c->protocols.http.enabled);
	END;
}

static void switches_a_null_protocol_on_with_its_defaults(void **state)
{
	RECEIVER_WITH(c, "{protocols: {http: }}");
	assert_true(c->protocols.http.enabled);
	assert_string_equal(c->protocols.http.endpoint.text, "localhost:4317");
	assert_false(c->protocols.grpc.enabled);
	END;
}

static void leaves_a_null_block_without_defaults_off(void **state)
{
	RECEIVER_WITH(c, "{protocols: {grpc: {tls: }, http: {tls: {}}}}");
	assert_false(c->protocols.grpc.tls.enabled);
	assert_true(c->protocols.http.tls.enabled);
	END;
}

static void leaves_a_null_block_that_is_on_by_default_on(void **state)
{
	EXPORTER_WITH(c, "{endpoint: 'g:1', sending_queue: }");
	assert_true(c->sending_queue.enabled);
	END;
}

static void obeys_enabled_in_any_optional_block(void **state)
{
	EXPORTER_WITH(c,
	              "{endpoint: 'g:1', sending_queue: {enabled: false}, tls: {enabled: true}}");
	assert_false(c->sending_queue.enabled);
	assert_true(c->tls.enabled);
	END;
}

static void does_not_look_into_a_block_that_is_switched_off(void **state)
{
	EXPORTER_WITH(c, "{endpoint: 'g:1', sending_queue: {enabled: false, queue_size: many}}");
	assert_false(c->sending_queue.enabled);
	assert_int_equal(c->sending_queue.queue_size, 1000);
	END;
}

static void fills_each_block_of_a_list_with_defaults(void **state)
{
	WITH(struct fake_loadbalancing, c, EXPORTER, "loadbalancing",
	     "{hops: [{hostname: a}, {hostname: b, weight: 3, ports: '1,2'}]}");
	const struct fake_hop *hops = c->hops.items;
	assert_int_equal(c->hops.count, 2);
	assert_string_equal(hops[0].hostname, "a");
	assert_int_equal(hops[0].weight, 1);
	assert_int_equal(hops[1].weight, 3);
	assert_int_equal(hops[1].ports.count, 2);
	END;
}

static void fills_lists_of_integers(void **state)
{
	WITH(struct fake_loadbalancing, c, EXPORTER, "loadbalancing",
	     "{hops: [{hostname: a}, {hostname: b, codes: 204}, {hostname: c, codes: [200, "
	     "0x12c]}, "
	     "{hostname: d, codes: []}]}");
	const struct fake_hop *hops = c->hops.items;
	assert_int_equal(hops[0].codes.count, 1);
	assert_int_equal(hops[0].codes.items[0], 200);
	assert_int_equal(hops[1].codes.count, 1);
	assert_int_equal(hops[1].codes.items[0], 204);
	assert_int_equal(hops[2].codes.count, 2);
	assert_int_equal(hops[2].codes.items[1], 300);
	assert_int_equal(hops[3].codes.count, 0);
	END;
}

static void checks_each_integer_of_a_list(void **state)
{
	static const struct {
		const char *yaml, *message;
	} wrong[] = {
		{"{hops: [{hostname: a, codes: [200, 600]}]}",
	         "'codes' must be between 100 and 599, got \"600\""},
		{"{hops: [{hostname: a, codes: ['200']}]}",
	         "'codes' expected type 'int', got unconvertible type 'string'; write it "
	         "without quotes"},
		{"{hops: [{hostname: a, codes: {}}]}",
	         "'codes' source data must be an array or slice, got map"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct fixture f;

		open_fixture(&f);
		fill(&f, EXPORTER, "loadbalancing", wrong[i].yaml);
		assert_int_equal(f.result, -EINVAL);
		assert_string_equal(f.diagnostics.items[0].message, wrong[i].message);
		close_fixture(&f);
	}
	(void)state;
}

static void requires_what_is_required_also_without_any_value(void **state)
{
	struct fixture f;

	open_fixture(&f);
	fill(&f, EXPORTER, "otlp", NULL);
	assert_int_equal(f.result, -EINVAL);
	assert_string_equal(f.diagnostics.items[0].message, "requires a non-empty \"endpoint\"");
	assert_int_equal(f.diagnostics.errors, 1);
	close_fixture(&f);
}

static void goes_on_after_a_mistake(void **state)
{
	struct fixture f;
	struct fake_otlp_exporter *c;

	open_fixture(&f);
	c = fill(&f, EXPORTER, "otlp", "{endpoint: 'g:1', timeout: soon, tmeout: 1s, offset: 3}");
	assert_int_equal(f.result, -EINVAL);
	assert_int_equal(f.diagnostics.errors, 2);
	assert_int_equal(c->timeout, 5000000000);
	assert_int_equal(c->offset, 3);
	close_fixture(&f);
}

static void joins_maps_to_their_anchors(void **state)
{
	EXPORTER_WITH(c, "endpoint: g:1\n"
	                 "tls: &tls {insecure: true, ca_file: a}\n"
	                 "headers: {<<: {a: one, b: two}, b: mine}\n");
	assert_true(c->tls.insecure);
	assert_int_equal(c->headers.count, 2);
	assert_string_equal(c->headers.items[0].key, "b");
	assert_string_equal(c->headers.items[0].value, "mine");
	assert_string_equal(c->headers.items[1].value, "one");
	END;
}

/* ---- values of any scalar type */

struct typed {
	struct scalar value;
};
static const struct option typed_options[] = {OPTION_SCALAR(struct typed, value,
                                                            .doc = "Anything."),
                                              OPTION_END};

static int fill_typed(struct fixture *f, const char *yaml, struct typed *ret)
{
	const struct node *node = NULL;

	*ret = (struct typed){0};
	assert_int_equal(yaml_read(slice_from_string(yaml), "t.yaml", &f->arena, &f->diagnostics,
	                           &node),
	                 0);
	return walk_config(&f->walk, typed_options, ret, node, (struct position){"t.yaml", 1, 1},
	                   "p::x");
}

static void keeps_the_type_of_a_scalar_and_prints_it_back(void **state)
{
	static const struct {
		const char *written;
		enum scalar_kind kind;
		const char *printed;
	} rows[] = {
		{"{value: abc}", SCALAR_IS_STRING, "value: abc\n"},
		{"{value: '5'}", SCALAR_IS_STRING, "value: \"5\"\n"},
		{"{value: ''}", SCALAR_IS_STRING, "value: \"\"\n"},
		{"{value: 5}", SCALAR_IS_INT, "value: 5\n"},
		{"{value: -9223372036854775808}", SCALAR_IS_INT, "value: -9223372036854775808\n"},
		{"{value: 5.0}", SCALAR_IS_FLOAT, "value: 5.0\n"},
		{"{value: 0.1}", SCALAR_IS_FLOAT, "value: 0.1\n"},
		{"{value: 1e300}", SCALAR_IS_FLOAT, "value: 1e+300\n"},
		{"{value: .inf}", SCALAR_IS_FLOAT, "value: .inf\n"},
		{"{value: true}", SCALAR_IS_BOOL, "value: true\n"},
		{"{value: }", SCALAR_IS_ABSENT, ""},
		{"{}", SCALAR_IS_ABSENT, ""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fixture f;
		struct typed config, again;
		struct buffer out = BUFFER_INIT;

		open_fixture(&f);
		assert_int_equal(fill_typed(&f, rows[i].written, &config), 0);
		assert_int_equal(config.value.kind, rows[i].kind);
		print_config(typed_options, &config, 0, 0, &out);
		assert_string_equal(buffer_string(&out), rows[i].printed);
		assert_int_equal(fill_typed(&f, out.len ? buffer_string(&out) : "{}", &again), 0);
		assert_int_equal(again.value.kind, rows[i].kind);
		buffer_fini(&out);
		close_fixture(&f);
	}
}

static void refuses_what_is_no_scalar(void **state)
{
	static const char *const rows[][2] = {
		{"{value: [a]}",
	         "t.yaml:1:9: p::x: 'value' expected type 'string, number or bool', "
	         "got unconvertible type 'list'"},
		{"{value: 9223372036854775808}",
	         "t.yaml:1:9: p::x: 'value' is out of range: \"9223372036854775808\""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fixture f;
		struct typed config;
		struct buffer out = BUFFER_INIT;

		open_fixture(&f);
		assert_int_equal(fill_typed(&f, rows[i][0], &config), -EINVAL);
		diagnostics_print(&f.diagnostics, &out);
		assert_non_null(strstr(buffer_string(&out), rows[i][1]));
		buffer_fini(&out);
		close_fixture(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_every_kind_from_its_default),
		cmocka_unit_test(fills_every_kind_from_what_is_written),
		cmocka_unit_test(keeps_the_default_where_a_value_is_null),
		cmocka_unit_test(replaces_a_default_list_by_an_empty_one),
		cmocka_unit_test(splits_a_string_on_commas_for_a_list),
		cmocka_unit_test(leaves_an_absent_protocol_off),
		cmocka_unit_test(switches_a_null_protocol_on_with_its_defaults),
		cmocka_unit_test(leaves_a_null_block_without_defaults_off),
		cmocka_unit_test(leaves_a_null_block_that_is_on_by_default_on),
		cmocka_unit_test(obeys_enabled_in_any_optional_block),
		cmocka_unit_test(does_not_look_into_a_block_that_is_switched_off),
		cmocka_unit_test(fills_each_block_of_a_list_with_defaults),
		cmocka_unit_test(fills_lists_of_integers),
		cmocka_unit_test(checks_each_integer_of_a_list),
		cmocka_unit_test(requires_what_is_required_also_without_any_value),
		cmocka_unit_test(goes_on_after_a_mistake),
		cmocka_unit_test(joins_maps_to_their_anchors),
		cmocka_unit_test(keeps_the_type_of_a_scalar_and_prints_it_back),
		cmocka_unit_test(refuses_what_is_no_scalar),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
