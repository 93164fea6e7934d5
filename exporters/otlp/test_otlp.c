/* The otlp exporter as a component, against the judge of tests/e2e. */
#include "tests/support/component_stage.h"
#include "tests/support/judge.h"

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
static const struct component_type *const otlp = &exporter_otlp_type;

struct fixture {
	struct stage stage;
	struct judge judge;
	char dump[64];
};

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	snprintf(f->dump, sizeof f->dump, "/tmp/weir-otlp-%d.jsonl", (int)getpid());
	stage_begin(&f->stage);
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	stage_end(&f->stage);
	if (f->judge.pid)
		judge_stop(&f->judge);
	unlink(f->dump);
	free(f);
	return 0;
}

/* A judge that behaves so, and an exporter to it with the rest of the configuration. Outcomes are the backend's. */
static void create(struct fixture *f, enum signal signal, const char *behaviour, const char *rest)
{
	const char *const arguments[] = {"--behaviour", behaviour, "--dump", f->dump, NULL};
	char yaml[512];

	judge_start(&f->judge, "tests/e2e/judge.py", arguments);
	snprintf(yaml, sizeof yaml,
	         "{endpoint: \"127.0.0.1:%u\", tls: {insecure: true}, sending_queue: "
	         "{wait_for_result: "
	         "true, batch: null}, retry_on_failure: {enabled: false}%s}",
	         judge_port(&f->judge, "port"), rest);
	stage_create(&f->stage, otlp, yaml, signal);
}

static struct result *give(struct fixture *f, enum signal signal, int items)
{
	struct result *r = stage_consume(&f->stage, stage_batch(&f->stage, signal, items, 1));

	stage_wait(&f->stage, &r->told);
	assert_int_equal(r->calls, 1);
	return r;
}

static void assert_dumped(struct fixture *f, const char *text)
{
	char *line = NULL;
	size_t size = 0;
	FILE *in = fopen(f->dump, "r");

	assert_non_null(in);
	assert_true(getline(&line, &size, in) > 0);
	if (!strstr(line, text))
		fail_msg("\"%s\" is not in %s", text, line);
	free(line);
	fclose(in);
}

static void delivers(struct fixture *f, enum signal signal, const char *rest, const char *dumped)
{
	struct result *r;

	create(f, signal, "ok", rest);
	r = give(f, signal, 3);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	assert_dumped(f, dumped);
	assert_dumped(f, "\"items\": 3");
	assert_dumped(f, "weir/");
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

static void compresses_large_batches_on_the_pool(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_TRACES, "ok", "");
	r = give(f, SIGNAL_TRACES, 50000);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	assert_dumped(f, "\"items\": 50000");
}

static void passes_on_the_servers_delay(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_TRACES, "unavailable:7", "");
	r = give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	assert_int_equal(r->outcome.retry_after_ns, 7 * NS_PER_S);
	assert_non_null(strstr(r->message, "answered UNAVAILABLE: busy, come again"));
}

static void counts_what_the_backend_rejects(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_LOGS, "partial:2:two were bad", "");
	r = give(f, SIGNAL_LOGS, 5);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	assert_int_equal(r->outcome.rejected_items, 2);
	assert_string_equal(r->message, "two were bad");
}

static void believes_no_more_rejections_than_there_were_items(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_TRACES, "partial:1000000", "");
	r = give(f, SIGNAL_TRACES, 5);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	assert_int_equal(r->outcome.rejected_items, 5);
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
	struct fixture *f = *state;

	for (size_t i = 0; i < 17; i++) {
		const char *behaviour = i < 7 ? retried[i] : final[i - 7];
		struct result *r;

		create(f, SIGNAL_TRACES, behaviour, "");
		r = give(f, SIGNAL_TRACES, 1);
		if (r->outcome.status != (i < 7 ? OUTCOME_RETRY : OUTCOME_PERMANENT))
			fail_msg("%s: outcome %d, %s", behaviour, r->outcome.status, r->message);
		end(state);
		begin(state);
		f = *state;
	}
}

static void gives_up_an_attempt_at_its_timeout(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_TRACES, "slow:5", ", timeout: 300ms");
	r = give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	/* Who notices first, we or the server, which is told the time-out, is open. */
	if (!strstr(r->message, "did not answer in time") &&
	    !strstr(r->message, "reset the call") && !strstr(r->message, "DEADLINE_EXCEEDED"))
		fail_msg("%s", r->message);
}

/* What all lines of the dump together hold. */
static unsigned count_dumped(struct fixture *f, unsigned *ret_requests)
{
	static const char key[] = "\"items\": ";
	FILE *in = fopen(f->dump, "r");
	unsigned items = 0;
	char *line = NULL;
	size_t size = 0;

	assert_non_null(in);
	for (*ret_requests = 0; getline(&line, &size, in) > 0; ++*ret_requests)
		items += (unsigned)strtoul(strstr(line, key) + strlen(key), NULL, 10);
	free(line);
	fclose(in);
	return items;
}

static void sends_a_batch_above_the_limit_in_parts(void **state)
{
	struct fixture *f = *state;
	unsigned requests;
	struct result *r;

	create(f, SIGNAL_LOGS, "ok", "");
	otlp_limit_requests(f->stage.component, 2000);
	r = give(f, SIGNAL_LOGS, 1000);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	assert_int_equal(r->outcome.rejected_items, 0);
	assert_int_equal(count_dumped(f, &requests), 1000);
	assert_true(requests > 5);
}

static void repeats_all_parts_when_one_has_to_be(void **state)
{
	struct fixture *f = *state;
	unsigned requests;
	struct result *r;

	create(f, SIGNAL_LOGS, "accept-first:2", "");
	otlp_limit_requests(f->stage.component, 2000);
	r = give(f, SIGNAL_LOGS, 1000);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	count_dumped(f, &requests);
	assert_int_equal(requests, 2); /* and no third was tried after that */
}

static void drops_what_is_too_large_by_itself(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_LOGS, "ok", "");
	otlp_limit_requests(f->stage.component, 10);
	r = give(f, SIGNAL_LOGS, 3);
	assert_int_equal(r->outcome.status, OUTCOME_PERMANENT);
	assert_non_null(strstr(r->message, "a single item makes a request of "));
}

static void counts_rejections_over_all_parts(void **state)
{
	struct fixture *f = *state;
	unsigned requests;
	struct result *r;

	create(f, SIGNAL_LOGS, "partial:1:one was bad", "");
	otlp_limit_requests(f->stage.component, 2000);
	r = give(f, SIGNAL_LOGS, 1000);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	count_dumped(f, &requests);
	assert_int_equal(r->outcome.rejected_items, requests);
}

static void gives_up_an_answer_above_4_mib(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_TRACES, "huge:4194304", "");
	r = give(f, SIGNAL_TRACES, 1);
	assert_int_equal(r->outcome.status, OUTCOME_PERMANENT);
	assert_non_null(strstr(r->message, "is larger than the limit of 4194304 bytes"));
}

static void makes_no_empty_requests(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_TRACES, "invalid", "");
	r = give(f, SIGNAL_TRACES, 0);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
}

static void has_several_requests_in_flight(void **state)
{
	struct fixture *f = *state;
	struct result *results[8];
	uint64_t begun = clock_monotonic_ns();

	create(f, SIGNAL_TRACES, "slow:0.5", "");
	for (int i = 0; i < 8; i++)
		results[i] = stage_consume(&f->stage, stage_batch(&f->stage, SIGNAL_TRACES, 1, i));
	for (int i = 0; i < 8; i++) {
		stage_wait(&f->stage, &results[i]->told);
		assert_int_equal(results[i]->outcome.status, OUTCOME_OK);
	}
	/* One after the other they would take 4 s. */
	assert_true(clock_monotonic_ns() - begun < 3 * NS_PER_S);
}

static void waits_for_answers_when_it_is_shut_down(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	create(f, SIGNAL_TRACES, "slow:0.5", "");
	r = stage_consume(&f->stage, stage_batch(&f->stage, SIGNAL_TRACES, 1, 1));
	stage_shutdown(&f->stage, clock_monotonic_ns() + 5 * NS_PER_S);
	stage_wait(&f->stage, &f->stage.closed);
	assert_true(r->told);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
}

static void ends_attempts_at_the_deadline_of_a_shutdown(void **state)
{
	struct fixture *f = *state;
	struct result *r;
	uint64_t begun;

	create(f, SIGNAL_TRACES, "slow:8", ", timeout: 30s");
	r = stage_consume(&f->stage, stage_batch(&f->stage, SIGNAL_TRACES, 1, 1));
	begun = clock_monotonic_ns();
	stage_shutdown(&f->stage, begun + 300 * NS_PER_MS);
	stage_wait(&f->stage, &f->stage.closed);
	assert_true(r->told);
	assert_true(clock_monotonic_ns() - begun < 3 * NS_PER_S);
}

static void refuses(struct fixture *f, const char *yaml, const char *message)
{
	stage_expect_refused(&f->stage, otlp, yaml, message);
}

static void checks_its_configuration(void **state)
{
	struct fixture *f = *state;

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(delivers_spans),
		TEST(delivers_metric_points),
		TEST(delivers_log_records_with_headers),
		TEST(compresses_large_batches_on_the_pool),
		TEST(passes_on_the_servers_delay),
		TEST(counts_what_the_backend_rejects),
		TEST(believes_no_more_rejections_than_there_were_items),
		TEST(retries_exactly_what_otlp_allows),
		TEST(gives_up_an_attempt_at_its_timeout),
		TEST(sends_a_batch_above_the_limit_in_parts),
		TEST(repeats_all_parts_when_one_has_to_be),
		TEST(drops_what_is_too_large_by_itself),
		TEST(counts_rejections_over_all_parts),
		TEST(gives_up_an_answer_above_4_mib),
		TEST(makes_no_empty_requests),
		TEST(has_several_requests_in_flight),
		TEST(waits_for_answers_when_it_is_shut_down),
		TEST(ends_attempts_at_the_deadline_of_a_shutdown),
		TEST(checks_its_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
