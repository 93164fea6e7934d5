/* The otlphttp exporter as a component, against the judge of tests/e2e. */
#include "tests/support/judged_exporter.h"

#include "core/base/clock.h"
#include "exporters/otlphttp/otlphttp_config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type exporter_otlphttp_type;
static const char *const encodings[] = {"", ", encoding: json", NULL};
static const struct judged_kind kind = {
	.type = &exporter_otlphttp_type,
	.judge = "tests/e2e/judge_http.py",
	.endpoint = "endpoint: http://127.0.0.1:%u",
	.refusal = "status:400",
	.encodings = encodings,
	.limit_requests = otlphttp_limit_requests,
};

static void delivers(struct judged *f, enum signal signal, const char *rest, const char *dumped)
{
	struct result *r;

	judged_create(f, signal, "ok", rest);
	r = judged_give(f, signal, 3);
	if (r->outcome.status != OUTCOME_OK)
		fail_msg("%s: %s", rest, r->message);
	assert_int_equal(r->outcome.rejected_items, 0);
	judged_assert_dumped(f, dumped);
	judged_assert_dumped(f, "\"items\": 3");
	judged_assert_dumped(f, "item 3");
	judged_assert_dumped(f, "weir/test (linux/");
}

static void delivers_spans(void **state)
{
	delivers(*state, SIGNAL_TRACES, "", "\"path\": \"/v1/traces\"");
}
static void delivers_metric_points(void **state)
{
	delivers(*state, SIGNAL_METRICS, ", compression: none", "\"path\": \"/v1/metrics\"");
}
static void delivers_log_records_with_headers(void **state)
{
	delivers(*state, SIGNAL_LOGS, ", headers: {X-Tenant: alpha}", "\"x-tenant\": \"alpha\"");
}
static void delivers_json(void **state)
{
	delivers(*state, SIGNAL_TRACES, ", encoding: json",
	         "\"content-type\": \"application/json\"");
}

static void delivers_every_compression(void **state)
{
	static const char *const names[][2] = {
		{"gzip", "gzip"},     {"zstd", "zstd"},
		{"snappy", "snappy"}, {"x-snappy-framed", "x-snappy-framed"},
		{"lz4", "lz4"},       {"deflate", "deflate"},
		{"zlib", "deflate"},
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char rest[64], dumped[64];

		snprintf(rest, sizeof rest, ", compression: %s", names[i][0]);
		snprintf(dumped, sizeof dumped, "\"content-encoding\": \"%s\"", names[i][1]);
		delivers(*state, SIGNAL_TRACES, rest, dumped);
		judged_again(state);
	}
}

static void compresses_as_hard_as_it_is_told(void **state)
{
	delivers(*state, SIGNAL_TRACES, ", compression: zstd, compression_params: {level: 11}",
	         "\"content-encoding\": \"zstd\"");
}

static void charges_what_it_prints_on_the_pool(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "ok", ", encoding: json, compression: none");
	r = judged_give(f, SIGNAL_TRACES, 20000);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	judged_assert_dumped(f, "\"items\": 20000");
	assert_int_equal(f->stage.budget.used, 0);
	/* The text was the last that was charged. */
	f->stage.budget.limit = f->stage.budget.peak - 1;
	r = judged_give(f, SIGNAL_TRACES, 20000);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	assert_non_null(strstr(r->message, "the memory limit leaves no room"));
	f->stage.budget.limit = 0;
}

/* ---- collector.md, section 3.2: the client's duties */

static void retries_exactly_what_otlp_allows(void **state)
{
	static const struct {
		int status;
		enum outcome_status outcome;
	} cases[] = {
		{200, OUTCOME_OK},        {400, OUTCOME_PERMANENT}, {401, OUTCOME_PERMANENT},
		{403, OUTCOME_PERMANENT}, {404, OUTCOME_PERMANENT}, {408, OUTCOME_PERMANENT},
		{409, OUTCOME_PERMANENT}, {413, OUTCOME_PERMANENT}, {415, OUTCOME_PERMANENT},
		{429, OUTCOME_RETRY},     {500, OUTCOME_PERMANENT}, {501, OUTCOME_PERMANENT},
		{502, OUTCOME_RETRY},     {503, OUTCOME_RETRY},     {504, OUTCOME_RETRY},
		{202, OUTCOME_OK},        {301, OUTCOME_PERMANENT}, {505, OUTCOME_PERMANENT},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct judged *f = *state;
		char behaviour[32], text[64];
		struct result *r;

		snprintf(behaviour, sizeof behaviour, "status:%d", cases[i].status);
		snprintf(text, sizeof text, " answered HTTP status %d: no such thing  [31m",
		         cases[i].status);
		judged_create(f, SIGNAL_TRACES, behaviour, "");
		r = judged_give(f, SIGNAL_TRACES, 1);
		if (r->outcome.status != cases[i].outcome)
			fail_msg("%s: outcome %d, %s", behaviour, r->outcome.status, r->message);
		if (cases[i].outcome != OUTCOME_OK && !strstr(r->message, text))
			fail_msg("%s: %s", behaviour, r->message);
		judged_again(state);
	}
}

static void obeys_retry_after(void **state)
{
	static const int statuses[] = {429, 502, 503, 504};

	for (int i = 0; i < 8; i++) {
		struct judged *f = *state;
		char behaviour[32];
		struct result *r;
		bool date = i % 2;

		snprintf(behaviour, sizeof behaviour, "status:%d:%s", statuses[i / 2],
		         date ? "date+60" : "7");
		judged_create(f, SIGNAL_TRACES, behaviour, "");
		r = judged_give(f, SIGNAL_TRACES, 1);
		assert_int_equal(r->outcome.status, OUTCOME_RETRY);
		if (date)
			assert_in_range(r->outcome.retry_after_ns, 50 * NS_PER_S, 61 * NS_PER_S);
		else
			assert_int_equal(r->outcome.retry_after_ns, 7 * NS_PER_S);
		judged_again(state);
	}
}

static void reads_a_json_status(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "status:400", ", encoding: json");
	r = judged_give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_PERMANENT);
	assert_non_null(strstr(r->message, " answered HTTP status 400: no such thing"));
}

static void retries_a_lost_connection(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "close", "");
	r = judged_give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	assert_non_null(strstr(r->message, " lost: "));
}

static void never_resends_what_was_rejected(void **state)
{
	for (const char *const *encoding = encodings; *encoding; encoding++) {
		struct judged *f = *state;
		struct result *r;

		judged_create(f, SIGNAL_LOGS, "partial:2:two were bad", *encoding);
		r = judged_give(f, SIGNAL_LOGS, 5);
		assert_int_equal(r->outcome.status, OUTCOME_OK);
		assert_int_equal(r->outcome.rejected_items, 2);
		assert_string_equal(r->message, "two were bad");
		assert_int_equal(stage_figure(&f->stage, "weir_exporter_sent_items"), 3);
		judged_again(state);
	}
}

static void takes_a_warning_as_a_success(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "partial:0:old schema", "");
	r = judged_give(f, SIGNAL_TRACES, 5);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	assert_int_equal(r->outcome.rejected_items, 0);
}

static void gives_up_an_answer_above_4_mib(void **state)
{
	static const char *const ways[] = {"huge:4194305", "bomb"};

	for (size_t i = 0; i < 2; i++) {
		struct judged *f = *state;
		struct result *r;

		judged_create(f, SIGNAL_TRACES, ways[i], "");
		r = judged_give(f, SIGNAL_TRACES, 1);
		if (r->outcome.status != OUTCOME_PERMANENT || !strstr(r->message, "4194304"))
			fail_msg("%s: outcome %d, %s", ways[i], r->outcome.status, r->message);
		judged_again(state);
	}
}

static void gives_up_an_attempt_at_its_timeout(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "slow:5", ", timeout: 300ms");
	r = judged_give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	assert_non_null(strstr(r->message, "did not answer in time"));
}

/* ---- the authenticator: an extension whose token changes with every request */

struct fake_authenticator {
	struct component component;
	unsigned requests;
	char value[32];
};

static int fake_headers(struct component *c, struct auth_headers *ret, struct error *error)
{
	struct fake_authenticator *a = (struct fake_authenticator *)c;

	if (a->requests++ == 0)
		return error_set(error, -ENOENT, "the token cannot be read");
	snprintf(a->value, sizeof a->value, "Bearer token-%u", a->requests);
	ret->items[0].name = "authorization";
	ret->items[0].value = a->value;
	ret->count = 1;
	return 0;
}

static bool fake_serves(const struct component *c, bool as_server)
{
	return !as_server;
}

static const struct authenticator fake_functions = {.client_headers = fake_headers,
                                                    .serves = fake_serves};
static const struct component_type fake_type = {.name = "fakeauth",
                                                .authenticator = &fake_functions};

static struct component *fake_extension(const struct host *host, const char *id)
{
	static struct fake_authenticator fake;

	fake = (struct fake_authenticator){.component = {.type = &fake_type, .id = "fakeauth"}};
	return strcmp(id, "fakeauth") == 0 ? &fake.component : NULL;
}

static void asks_its_authenticator_for_every_request(void **state)
{
	struct judged *f = *state;
	struct result *r;

	f->stage.host.extension = fake_extension;
	judged_create(f, SIGNAL_TRACES, "ok",
	              ", auth: {authenticator: fakeauth}, headers: {Authorization: mine, x-b: c}");
	r = judged_give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	assert_non_null(strstr(r->message, "extension fakeauth: the token cannot be read"));
	r = judged_give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	judged_assert_dumped(f, "\"authorization\": \"Bearer token-2\"");
	judged_assert_dumped(f, "\"x-b\": \"c\"");
	r = judged_give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
}

/* ---- configuration */

static void refuses(struct judged *f, const char *yaml, const char *message)
{
	stage_expect_refused(&f->stage, &exporter_otlphttp_type, yaml, message);
}

static void checks_its_configuration(void **state)
{
	struct judged *f = *state;

	refuses(f, "{}", "at least one endpoint must be specified");
	refuses(f, "{endpoint: \"localhost:4318\"}",
	        "endpoint must be a valid URL: it begins with http:// or https://");
	refuses(f, "{traces_endpoint: \"grpc://a\"}",
	        "traces_endpoint must be a valid URL: it begins with http:// or https://");
	refuses(f, "{endpoint: \"http://a/b?c=d\"}",
	        "endpoint must be a valid URL without a query, because a path is added to it; give "
	        "the whole URL as traces_endpoint, metrics_endpoint or logs_endpoint");
	refuses(f, "{endpoint: \"http://a\", compression_params: {level: 10}}",
	        "unsupported parameters {Level:10} for compression type \"gzip\"");
	refuses(f, "{endpoint: \"http://a\", compression: snappy, compression_params: {level: 1}}",
	        "unsupported parameters {Level:1} for compression type \"snappy\"");
	refuses(f, "{endpoint: \"http://a\", headers: {Content-Type: x}}",
	        "headers: Content-Type is written by weir itself and cannot be set");
	refuses(f, "{endpoint: \"http://a\", headers: {a: \"b\\r\\nc\"}}",
	        "headers: the value of a has a line break or another control character in it");
	refuses(f, "{endpoint: \"http://a\", auth: {}}",
	        "auth: authenticator is missing: name an extension, for instance bearertokenauth");
}

static void assert_url(struct judged *f, const char *yaml, enum signal signal, const char *wanted)
{
	char *url;

	assert_int_equal(otlphttp_config_url(stage_config(&f->stage, &exporter_otlphttp_type, yaml),
	                                     signal, &url, NULL),
	                 0);
	assert_string_equal(url, wanted);
	free(url);
}

static void appends_the_path_to_endpoint_only(void **state)
{
	static const char both[] = "{endpoint: \"http://a/b/\", logs_endpoint: \"https://c/d?e\"}";
	struct judged *f = *state;
	struct error error = ERROR_INIT;
	char *url = NULL;

	assert_url(f, both, SIGNAL_TRACES, "http://a/b/v1/traces");
	assert_url(f, both, SIGNAL_LOGS, "https://c/d?e");
	assert_url(f, "{endpoint: \"https://a:1\"}", SIGNAL_METRICS, "https://a:1/v1/metrics");
	assert_int_equal(otlphttp_config_url(stage_config(&f->stage, &exporter_otlphttp_type,
	                                                  "{logs_endpoint: \"http://c\"}"),
	                                     SIGNAL_TRACES, &url, &error),
	                 -EINVAL);
	assert_string_equal(error.message, "either endpoint or traces_endpoint must be specified");
}

#define TEST(f) JUDGED_TEST(f, &kind)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(delivers_spans),
		TEST(delivers_metric_points),
		TEST(delivers_log_records_with_headers),
		TEST(delivers_json),
		TEST(delivers_every_compression),
		TEST(compresses_as_hard_as_it_is_told),
		TEST(charges_what_it_prints_on_the_pool),
		TEST(retries_exactly_what_otlp_allows),
		TEST(obeys_retry_after),
		TEST(reads_a_json_status),
		TEST(retries_a_lost_connection),
		TEST(never_resends_what_was_rejected),
		TEST(takes_a_warning_as_a_success),
		TEST(gives_up_an_answer_above_4_mib),
		TEST(gives_up_an_attempt_at_its_timeout),
		TEST(asks_its_authenticator_for_every_request),
		TEST(checks_its_configuration),
		TEST(appends_the_path_to_endpoint_only),
		JUDGED_TESTS(&kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
