/* The otlp exporter as a component, against the judge of tests/e2e. */
#include "tests/support/judged_exporter.h"

#include "core/base/clock.h"
#include "exporters/otlp/otlp_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type exporter_otlp_type;
static const char *const encodings[] = {"", NULL};
static const struct judged_kind kind = {
	.type = &exporter_otlp_type,
	.judge = "tests/e2e/judge.py",
	.endpoint = "endpoint: 127.0.0.1:%u, tls: {insecure: true}",
	.refusal = "invalid",
	.encodings = encodings,
	.limit_requests = otlp_limit_requests,
};

static void delivers(struct judged *f, enum signal signal, const char *rest, const char *dumped)
{
	struct result *r;

	judged_create(f, signal, "ok", rest);
	r = judged_give(f, signal, 3);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	judged_assert_dumped(f, dumped);
	judged_assert_dumped(f, "\"items\": 3");
	judged_assert_dumped(f, "weir/");
}

static void delivers_spans(void **state)
{
	delivers(*state, SIGNAL_TRACES, "", "\"signal\": \"traces\"");
}
static void delivers_metric_points(void **state)
{
	delivers(*state, SIGNAL_METRICS, ", compression: none", "\"signal\": \"metrics\"");
}
static void delivers_log_records_with_headers(void **state)
{
	delivers(*state, SIGNAL_LOGS, ", headers: {X-Tenant: alpha}", "\"x-tenant\": \"alpha\"");
}

static void passes_on_the_servers_delay(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "unavailable:7", "");
	r = judged_give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	assert_int_equal(r->outcome.retry_after_ns, 7 * NS_PER_S);
	assert_non_null(strstr(r->message, "answered UNAVAILABLE: busy, come again"));
}

static void counts_what_the_backend_rejects(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_LOGS, "partial:2:two were bad", "");
	r = judged_give(f, SIGNAL_LOGS, 5);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	assert_int_equal(r->outcome.rejected_items, 2);
	assert_string_equal(r->message, "two were bad");
}

/* Every status, and whether OTLP allows another attempt. */
static void retries_exactly_what_otlp_allows(void **state)
{
	static const char *const retried[] = {"status:1",  "status:4",  "status:10",
	                                      "status:11", "status:14", "exhausted:0.5",
	                                      "status:15"};
	static const char *const final[] = {"status:2",  "status:3", "status:5",  "status:6",
	                                    "status:7",  "status:9", "status:12", "status:13",
	                                    "status:16", "exhausted"};
	struct judged *f = *state;

	for (size_t i = 0; i < 17; i++) {
		const char *behaviour = i < 7 ? retried[i] : final[i - 7];
		struct result *r;

		judged_create(f, SIGNAL_TRACES, behaviour, "");
		r = judged_give(f, SIGNAL_TRACES, 1);
		if (r->outcome.status != (i < 7 ? OUTCOME_RETRY : OUTCOME_PERMANENT))
			fail_msg("%s: outcome %d, %s", behaviour, r->outcome.status, r->message);
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
	/* Who notices first, we or the server, which is told the time-out, is open. */
	if (!strstr(r->message, "did not answer in time") &&
	    !strstr(r->message, "reset the call") && !strstr(r->message, "DEADLINE_EXCEEDED"))
		fail_msg("%s", r->message);
}

static void gives_up_an_answer_above_4_mib(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "huge:4194304", "");
	r = judged_give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_PERMANENT);
	assert_non_null(strstr(r->message, "is larger than the limit of 4194304 bytes"));
}

static void refuses(struct judged *f, const char *yaml, const char *message)
{
	stage_expect_refused(&f->stage, &exporter_otlp_type, yaml, message);
}

static void checks_its_configuration(void **state)
{
	struct judged *f = *state;

	refuses(f, "{endpoint: \"x:0\"}", "endpoint \"x:0\": the port must not be 0");
	refuses(f, "{endpoint: \"x:1\", tls: {cert_file: a}}",
	        "tls: TLS configuration must include both certificate and key: key_file missing");
	refuses(f, "{endpoint: \"x:1\", tls: {ca_file: a, ca_pem: b}}",
	        "tls: provide either a CA file or the PEM-encoded string, but not both: ca_file, "
	        "ca_pem");
	refuses(f, "{endpoint: \"x:1\", auth: {}}",
	        "auth: authenticator is missing: name an extension, for instance "
	        "bearertokenauth");
	refuses(f, "{endpoint: \"x:1\", headers: {Grpc-Timeout: x}}",
	        "headers: Grpc-Timeout is written by weir itself and cannot be set");
	refuses(f, "{endpoint: \"x:1\", headers: {te: x}}",
	        "headers: te is written by weir itself and cannot be set");
	refuses(f, "{endpoint: \"x:1\", headers: {\"a b\": x}}",
	        "headers: \"a b\" is not a header name");
	refuses(f, "{endpoint: \"x:1\", headers: {a: \"b\\r\\nc\"}}",
	        "headers: the value of a has a line break or another control character in it");
}

#define TEST(f) JUDGED_TEST(f, &kind)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(delivers_spans),
		TEST(delivers_metric_points),
		TEST(delivers_log_records_with_headers),
		TEST(passes_on_the_servers_delay),
		TEST(counts_what_the_backend_rejects),
		TEST(retries_exactly_what_otlp_allows),
		TEST(gives_up_an_attempt_at_its_timeout),
		TEST(gives_up_an_answer_above_4_mib),
		TEST(checks_its_configuration),
		JUDGED_TESTS(&kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
