#include "tests/support/judged_exporter.h"

#include "core/base/clock.h"
#include "tests/support/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void open_stage(struct judged *f, const struct judged_kind *kind)
{
	*f = (struct judged){.kind = kind};
	snprintf(f->dump, sizeof f->dump, "%s", folder_at("dump"));
	stage_begin(&f->stage);
}

static void close_stage(struct judged *f)
{
	stage_end(&f->stage);
	if (f->judge.pid)
		judge_stop(&f->judge);
	unlink(f->dump);
}

int judged_begin(void **state)
{
	struct judged *f = malloc(sizeof *f);

	assert_non_null(f);
	open_stage(f, *state);
	*state = f;
	return 0;
}

int judged_end(void **state)
{
	close_stage(*state);
	free(*state);
	return 0;
}

void judged_again(void **state)
{
	struct judged *f = *state;

	close_stage(f);
	open_stage(f, f->kind);
}

void judged_create(struct judged *f, enum signal signal, const char *behaviour, const char *rest)
{
	const char *const arguments[] = {"--behaviour", behaviour, "--dump", f->dump, NULL};
	struct buffer yaml = BUFFER_INIT;
	const char *port = strstr(f->kind->endpoint, "%u");

	judge_start(&f->judge, f->kind->judge, arguments);
	buffer_printf(&yaml, "{%.*s%u%s", (int)(port - f->kind->endpoint), f->kind->endpoint,
	              judge_port(&f->judge, "port"), port + 2);
	buffer_printf(&yaml,
	              ", sending_queue: {wait_for_result: true, batch: null}, "
	              "retry_on_failure: {enabled: false}%s}",
	              rest);
	stage_create(&f->stage, f->kind->type, buffer_string(&yaml), signal);
	buffer_fini(&yaml);
}

struct result *judged_give(struct judged *f, enum signal signal, int items)
{
	struct result *r = stage_consume(&f->stage, stage_batch(&f->stage, signal, items, 1));

	stage_wait(&f->stage, &r->told);
	assert_int_equal(r->calls, 1);
	return r;
}

void judged_assert_dumped(struct judged *f, const char *text)
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

/* What all lines of the dump together hold. */
static unsigned count_dumped(struct judged *f, unsigned *ret_requests)
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

/* ---- answers */

void judged_believes_no_more_rejections_than_there_were_items(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "partial:1000000", "");
	r = judged_give(f, SIGNAL_TRACES, 5);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	assert_int_equal(r->outcome.rejected_items, 5);
}

/* ---- requests */

void judged_compresses_large_batches_on_the_pool(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "ok", "");
	r = judged_give(f, SIGNAL_TRACES, 50000);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	judged_assert_dumped(f, "\"items\": 50000");
}

void judged_makes_no_empty_requests(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, f->kind->refusal, "");
	r = judged_give(f, SIGNAL_TRACES, 0);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
}

void judged_sends_a_batch_above_the_limit_in_parts(void **state)
{
	struct judged *f = *state;

	for (const char *const *encoding = f->kind->encodings; *encoding; encoding++) {
		unsigned requests;
		struct result *r;

		judged_create(f, SIGNAL_LOGS, "ok", *encoding);
		f->kind->limit_requests(f->stage.component, 2000);
		r = judged_give(f, SIGNAL_LOGS, 1000);
		assert_int_equal(r->outcome.status, OUTCOME_OK);
		assert_int_equal(r->outcome.rejected_items, 0);
		assert_int_equal(count_dumped(f, &requests), 1000);
		assert_true(requests > 5);
		judged_again(state);
	}
}

void judged_repeats_all_parts_when_one_has_to_be(void **state)
{
	struct judged *f = *state;
	unsigned requests;
	struct result *r;

	judged_create(f, SIGNAL_LOGS, "accept-first:2", "");
	f->kind->limit_requests(f->stage.component, 2000);
	r = judged_give(f, SIGNAL_LOGS, 1000);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	count_dumped(f, &requests);
	assert_int_equal(requests, 2); /* and no third was tried after that */
}

void judged_counts_rejections_over_all_parts(void **state)
{
	struct judged *f = *state;
	unsigned requests;
	struct result *r;

	judged_create(f, SIGNAL_LOGS, "partial:1:one was bad", "");
	f->kind->limit_requests(f->stage.component, 2000);
	r = judged_give(f, SIGNAL_LOGS, 1000);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
	count_dumped(f, &requests);
	assert_int_equal(r->outcome.rejected_items, requests);
}

void judged_drops_what_is_too_large_by_itself(void **state)
{
	struct judged *f = *state;

	for (const char *const *encoding = f->kind->encodings; *encoding; encoding++) {
		struct result *r;

		judged_create(f, SIGNAL_LOGS, "ok", *encoding);
		f->kind->limit_requests(f->stage.component, 10);
		r = judged_give(f, SIGNAL_LOGS, 3);
		assert_int_equal(r->outcome.status, OUTCOME_PERMANENT);
		assert_non_null(strstr(r->message, "a single item makes a request of "));
		judged_again(state);
	}
}

/* ---- several requests, and the end */

void judged_has_several_requests_in_flight(void **state)
{
	struct judged *f = *state;
	struct result *results[8];
	uint64_t begun = clock_monotonic_ns();

	judged_create(f, SIGNAL_TRACES, "slow:0.5", "");
	for (int i = 0; i < 8; i++)
		results[i] = stage_consume(&f->stage, stage_batch(&f->stage, SIGNAL_TRACES, 1, i));
	for (int i = 0; i < 8; i++) {
		stage_wait(&f->stage, &results[i]->told);
		assert_int_equal(results[i]->outcome.status, OUTCOME_OK);
	}
	/* One after the other they would take 4 s. */
	assert_true(clock_monotonic_ns() - begun < 3 * NS_PER_S);
}

void judged_waits_for_answers_when_it_is_shut_down(void **state)
{
	struct judged *f = *state;
	struct result *r;

	judged_create(f, SIGNAL_TRACES, "slow:0.5", "");
	r = stage_consume(&f->stage, stage_batch(&f->stage, SIGNAL_TRACES, 1, 1));
	stage_shutdown(&f->stage, clock_monotonic_ns() + 5 * NS_PER_S);
	stage_wait(&f->stage, &f->stage.closed);
	assert_true(r->told);
	assert_int_equal(r->outcome.status, OUTCOME_OK);
}

void judged_ends_attempts_at_the_deadline_of_a_shutdown(void **state)
{
	struct judged *f = *state;
	struct result *r;
	uint64_t begun;

	judged_create(f, SIGNAL_TRACES, "slow:8", ", timeout: 30s");
	r = stage_consume(&f->stage, stage_batch(&f->stage, SIGNAL_TRACES, 1, 1));
	begun = clock_monotonic_ns();
	stage_shutdown(&f->stage, begun + 300 * NS_PER_MS);
	stage_wait(&f->stage, &f->stage.closed);
	assert_true(r->told);
	assert_true(clock_monotonic_ns() - begun < 3 * NS_PER_S);
}
