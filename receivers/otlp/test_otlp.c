/* The otlp receiver as a component: what it makes of its configuration, and its life. */
#include "tests/support/component_stage.h"

#include "core/base/clock.h"
#include "receivers/otlp/otlp_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct component_type receiver_otlp_type;
static const struct component_type *const otlp = &receiver_otlp_type;

static void refuses(struct stage *s, const char *yaml, const char *message)
{
	stage_expect_refused(s, otlp, yaml, message);
}

static void checks_its_configuration(void **state)
{
	struct stage *s = *state;

	refuses(s, "{}",
	        "must specify at least one protocol when using the OTLP receiver: write grpc: or "
	        "http: below protocols");
	refuses(s, "{protocols: {grpc: {enabled: false}}}",
	        "must specify at least one protocol when using the OTLP receiver: write grpc: or "
	        "http: below protocols");
	refuses(s, "{protocols: {grpc: {endpoint: \"http://x:1\"}}}",
	        "protocols::grpc: endpoint \"http://x:1\": to listen, write host:port without a "
	        "scheme; the tls block turns TLS on");
	refuses(s, "{protocols: {grpc: {endpoint: \"example.com:1\", transport: tcp4}}}",
	        "protocols::grpc: endpoint \"example.com:1\": with transport tcp4 write an "
	        "address of that kind, or none");
	refuses(s, "{protocols: {grpc: {endpoint: \"unix:/x\", transport: tcp6}}}",
	        "protocols::grpc: endpoint \"unix:/x\": a path and transport tcp6 exclude each "
	        "other");
	refuses(s, "{protocols: {http: {middlewares: [{id: x}]}}}",
	        "protocols::http: middlewares: weir has no middleware extensions; remove the key");
	refuses(s, "{protocols: {http: {auth: {}}}}",
	        "protocols::http: auth: authenticator is missing: name an extension, for instance "
	        "bearertokenauth");
	refuses(s, "{protocols: {http: {traces_url_path: v1}}}",
	        "protocols::http: traces_url_path \"v1\": a path begins with / and has no query");
	refuses(s, "{protocols: {http: {logs_url_path: /v1/traces}}}",
	        "protocols::http: traces_url_path and logs_url_path are both \"/v1/traces\"");
	refuses(s, "{protocols: {http: {compression_algorithms: [brotli]}}}",
	        "protocols::http: compression_algorithms: \"brotli\" is not known; use gzip, zstd, "
	        "zlib, deflate, snappy, x-snappy-framed, lz4, and \"\" for none");
	refuses(s, "{protocols: {http: {response_headers: {\"a b\": c}}}}",
	        "protocols::http: response_headers: a b is not a header that can be sent");
	refuses(s, "{protocols: {http: {response_headers: {Retry-After: c}}}}",
	        "protocols::http: response_headers: Retry-After is written by weir itself and "
	        "cannot be set");
	refuses(s, "{protocols: {http: {cors: {allowed_headers: [\"a b\"]}}}}",
	        "protocols::http: cors: allowed_headers: \"a b\" is not a header name");
	refuses(s, "{protocols: {grpc: {endpoint: \"x:1\"}, http: {endpoint: \"x:1\"}}}",
	        "protocols: grpc and http cannot both listen on x:1; give each an endpoint of its "
	        "own");
}

static const struct otlp_protocols *read_config(struct stage *s, const char *yaml)
{
	const struct otlp_receiver_config *config = stage_config(s, otlp, yaml);

	return &config->protocols;
}

static void a_protocol_is_on_when_it_is_written(void **state)
{
	struct stage *s = *state;
	const struct otlp_protocols *p = read_config(s, "{protocols: {grpc: }}");

	assert_true(p->grpc.enabled);
	assert_false(p->http.enabled);
	assert_string_equal(p->grpc.listen.endpoint, "localhost:4317");
	assert_false(p->grpc.listen.tls.enabled);
	assert_int_equal(otlp_grpc_max_size(&p->grpc), 64 << 20);
	p = read_config(s, "{protocols: {http: {tls: , max_request_body_size: 0}}}");
	assert_string_equal(p->http.listen.endpoint, "localhost:4318");
	assert_false(p->http.listen.tls.enabled);
	assert_int_equal(otlp_http_max_size(&p->http), 64 << 20);
}

static void assert_endpoint(struct stage *s, const char *grpc, const char *host)
{
	char yaml[200];
	struct endpoint e;

	snprintf(yaml, sizeof yaml, "{protocols: {grpc: {%s}}}", grpc);
	assert_int_equal(otlp_listen_endpoint(&read_config(s, yaml)->grpc.listen, &e, NULL), 0);
	assert_string_equal(e.host, host);
}

static void transports_say_what_an_endpoint_is(void **state)
{
	struct stage *s = *state;

	assert_endpoint(s, "transport: tcp4", "127.0.0.1");
	assert_endpoint(s, "transport: tcp6", "::1");
	assert_endpoint(s, "transport: tcp4, endpoint: \":1\"", "0.0.0.0");
	assert_endpoint(s, "transport: tcp6, endpoint: \":1\"", "::");
	assert_endpoint(s, "transport: tcp6, endpoint: \"[fe80::1]:1\"", "fe80::1");
	assert_endpoint(s, "transport: unix, endpoint: /run/x", "/run/x");
	assert_endpoint(s, "transport: unix, endpoint: \"unix:///run/x\"", "/run/x");
	assert_endpoint(s, "endpoint: \"unix:x\"", "x");
}

static void what_is_not_set_has_the_listeners_default(void **state)
{
	struct stage *s = *state;
	const struct otlp_protocols *p = read_config(s, "{protocols: {grpc: , http: }}");
	struct http_limits grpc = otlp_grpc_limits(&p->grpc), http = otlp_http_limits(&p->http),
			   expected = http_default_limits;

	assert_memory_equal(&grpc, &expected, sizeof grpc);
	expected.idle = 60 * NS_PER_S; /* as the Collector's */
	assert_memory_equal(&http, &expected, sizeof http);
}

static void every_key_reaches_its_limit(void **state)
{
	struct stage *s = *state;
	const struct otlp_protocols *p = read_config(
		s, "{protocols: {grpc: {max_concurrent_streams: 7, limits: {connections: 5}, "
		   "keepalive: {server_parameters: {max_connection_idle: 1s, max_connection_age: "
		   "2s, max_connection_age_grace: 3s, time: 4s, timeout: 5s}, enforcement_policy: "
		   "{min_time: 6s, permit_without_stream: true}}}, http: {read_timeout: 1s, "
		   "read_header_timeout: 2s, write_timeout: 3s, idle_timeout: 4s, "
		   "max_connection_age: 5s, max_connection_age_grace: 6s}}}");
	struct http_limits l = otlp_grpc_limits(&p->grpc);

	assert_int_equal(l.streams, 7);
	assert_int_equal(l.connections, 5);
	assert_int_equal(l.idle, 1 * NS_PER_S);
	assert_int_equal(l.age, 2 * NS_PER_S);
	assert_int_equal(l.age_grace, 3 * NS_PER_S);
	assert_int_equal(l.keepalive_time, 4 * NS_PER_S);
	assert_int_equal(l.keepalive_timeout, 5 * NS_PER_S);
	assert_int_equal(l.ping_min_time, 6 * NS_PER_S);
	assert_true(l.ping_without_stream);
	l = otlp_http_limits(&p->http);
	assert_int_equal(l.read_time, 1 * NS_PER_S);
	assert_int_equal(l.header_time, 2 * NS_PER_S);
	assert_int_equal(l.write_time, 3 * NS_PER_S);
	assert_int_equal(l.idle, 4 * NS_PER_S);
	assert_int_equal(l.age, 5 * NS_PER_S);
	assert_int_equal(l.age_grace, 6 * NS_PER_S);
}

static void only_this_machine_is_not_public(void **state)
{
	static const struct {
		const char *text;
		bool is_public;
	} cases[] = {
		{"localhost:1", false}, {"127.0.0.1:1", false}, {"[::1]:1", false},
		{"unix:/x", false},     {":1", true},           {"0.0.0.0:1", true},
		{"[::]:1", true},       {"10.0.0.1:1", true},
	};
	struct endpoint e;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(endpoint_parse(cases[i].text, &e, NULL), 0);
		assert_int_equal(otlp_endpoint_is_public(&e), cases[i].is_public);
	}
}

static void listens_on_both_ports(void **state)
{
	struct stage *s = *state;

	stage_create(s, otlp,
	             "{protocols: {grpc: {endpoint: \"127.0.0.1:0\"}, http: {endpoint: "
	             "\"127.0.0.1:0\"}}}",
	             SIGNAL_LOGS);
	assert_int_equal(stage_figure(s, "weir_receiver_connections"), 0);
	stage_shutdown(s, clock_monotonic_ns() + NS_PER_S);
	stage_wait(s, &s->closed);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(checks_its_configuration),
		TEST(a_protocol_is_on_when_it_is_written),
		TEST(transports_say_what_an_endpoint_is),
		TEST(what_is_not_set_has_the_listeners_default),
		TEST(every_key_reaches_its_limit),
		TEST(only_this_machine_is_not_public),
		TEST(listens_on_both_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
