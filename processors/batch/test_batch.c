#include "tests/support/component_stage.h"

#include "core/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

extern const struct component_type processor_batch_type;
static const struct component_type *const batch = &processor_batch_type;

static struct result *give(struct stage *s, int items, int first)
{
	return stage_consume(s, stage_batch(s, SIGNAL_TRACES, items, first));
}

/* The spans of the oldest kept batch are "item first".."item first+items-1". */
static void expect_kept(struct stage *s, int i, int items, int first)
{
	char expected[32];
	int n = 0;

	assert_true(i < s->n_kept);
	assert_int_equal(s->kept[i]->items, items);
	assert_int_equal(batch_read(s->kept[i], NULL), 0);
	for (const struct group *g = s->kept[i]->first; g; g = g->next)
		for (size_t k = 0; k < g->spans->n_scope_spans; k++)
			for (size_t j = 0; j < g->spans->scope_spans[k]->n_spans; j++, n++) {
				ProtobufCBinaryData name = g->spans->scope_spans[k]->spans[j]->name;
				snprintf(expected, sizeof expected, "item %d", first + n);
				assert_true(slice_equal(slice_of(name.data, name.len),
				                        slice_from_string(expected)));
			}
	assert_int_equal(n, items);
}

static void refuses_configurations_that_make_no_sense(void **state)
{
	struct stage *s = *state;

	stage_expect_refused(s, batch, "send_batch_max_size: 100",
	                     "send_batch_max_size must be greater or equal to send_batch_size");
	stage_expect_refused(s, batch, "metadata_keys: [a, b, A]",
	                     "duplicate entry in metadata_keys: \"A\" (case-insensitive)");
}

static void joins_until_there_are_enough_items(void **state)
{
	struct stage *s = *state;
	struct result *a, *b, *c;

	stage_create(s, batch, "{timeout: 1h, send_batch_size: 10}", SIGNAL_TRACES);
	a = give(s, 4, 0);
	b = give(s, 5, 4);
	assert_int_equal(s->n_kept, 0);
	c = give(s, 3, 9);
	assert_int_equal(s->n_kept, 1);
	expect_kept(s, 0, 12, 0);
	assert_false(a->told || b->told || c->told);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	assert_true(a->told && b->told && c->told);
	assert_int_equal(b->outcome.status, OUTCOME_OK);
	assert_true(stage_figure(s, "otelcol_processor_batch_batch_size_trigger_send") == 1);
	assert_true(stage_figure(s, "otelcol_processor_batch_timeout_trigger_send") == 0);
}

static void sends_what_there_is_when_the_time_is_over(void **state)
{
	struct stage *s = *state;
	uint64_t start = clock_monotonic_ns();
	struct result *a;

	s->answer_at_once = true;
	stage_create(s, batch, "timeout: 20ms", SIGNAL_TRACES);
	a = give(s, 4, 0);
	assert_false(a->told);
	stage_wait(s, &a->told);
	assert_true(clock_monotonic_ns() - start >= 20 * NS_PER_MS);
	assert_true(stage_figure(s, "otelcol_processor_batch_timeout_trigger_send") == 1);
}

static void passes_on_at_once_without_a_timeout(void **state)
{
	struct stage *s = *state;

	stage_create(s, batch, "{timeout: 0s, send_batch_size: 5, send_batch_max_size: 5}",
	             SIGNAL_TRACES);
	give(s, 3, 0);
	expect_kept(s, 0, 3, 0);
	give(s, 12, 0);
	assert_int_equal(s->n_kept, 4);
	expect_kept(s, 1, 5, 0);
	expect_kept(s, 2, 5, 5);
	expect_kept(s, 3, 2, 10);
}

static void a_batch_that_was_cut_is_done_with_its_last_part(void **state)
{
	struct stage *s = *state;
	struct result *a, *b, *c;

	stage_create(s, batch, "{timeout: 1h, send_batch_size: 10, send_batch_max_size: 10}",
	             SIGNAL_TRACES);
	a = give(s, 4, 0);
	b = give(s, 14, 4); /* cut between groups first: 4, then 10, and 4 pending */
	assert_int_equal(s->n_kept, 2);
	expect_kept(s, 0, 4, 0);
	expect_kept(s, 1, 10, 4);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	assert_true(a->told);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	assert_false(b->told);
	c = give(s, 6, 18);
	expect_kept(s, 0, 10, 14);
	assert_false(b->told || c->told);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	assert_true(b->told && c->told);
}

static void the_sender_of_a_cut_batch_learns_the_worst(void **state)
{
	struct stage *s = *state;
	struct result *a;

	stage_create(s, batch, "{timeout: 0s, send_batch_size: 1, send_batch_max_size: 1}",
	             SIGNAL_TRACES);
	a = give(s, 5, 0);
	assert_int_equal(s->n_kept, 5);
	stage_answer(s, (struct outcome){.status = OUTCOME_CANCELED, .message = "shut down"});
	stage_answer(s, (struct outcome){.status = OUTCOME_PERMANENT, .message = "too bad"});
	stage_answer(s, (struct outcome){.status = OUTCOME_RETRY,
	                                 .retry_after_ns = 5,
	                                 .message = "busy"});
	stage_answer(s, (struct outcome){.status = OUTCOME_RETRY, .retry_after_ns = 7});
	assert_false(a->told);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK, .rejected_items = 1});
	assert_true(a->told);
	assert_int_equal(a->outcome.status, OUTCOME_RETRY);
	assert_int_equal(a->outcome.retry_after_ns, 7);
	assert_int_equal(a->outcome.rejected_items, 0);
	assert_string_equal(a->message, "busy");
}

static void rejected_items_add_up_over_the_senders(void **state)
{
	struct stage *s = *state;
	struct result *a, *b, *c;

	stage_create(s, batch, "{timeout: 1h, send_batch_size: 10}", SIGNAL_TRACES);
	a = give(s, 4, 0);
	b = give(s, 4, 4);
	c = give(s, 4, 8);
	stage_answer(s,
	             (struct outcome){.status = OUTCOME_OK, .rejected_items = 6, .message = "no"});
	assert_int_equal(a->outcome.rejected_items, 4);
	assert_int_equal(b->outcome.rejected_items, 2);
	assert_int_equal(c->outcome.rejected_items, 0);
	assert_string_equal(a->message, "no");
}

static void batches_without_items_are_answered_too(void **state)
{
	struct stage *s = *state;
	struct result *a, *b, *c;

	stage_create(s, batch, "{timeout: 1h, send_batch_size: 2}", SIGNAL_TRACES);
	a = give(s, 0, 0);
	b = give(s, 2, 0);
	c = give(s, 0, 0);
	assert_int_equal(s->n_kept, 1);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	assert_true(a->told && b->told);
	assert_false(c->told);
	s->answer_at_once = true;
	stage_shutdown(s, clock_monotonic_ns() + NS_PER_S);
	assert_true(c->told && s->closed);
}

static void takes_batches_that_others_hold(void **state)
{
	struct stage *s = *state;
	struct batch *shared = stage_batch(s, SIGNAL_TRACES, 2, 0);

	stage_create(s, batch, "{timeout: 1h, send_batch_size: 4}", SIGNAL_TRACES);
	stage_consume(s, batch_ref(shared));
	stage_consume(s, batch_ref(shared));
	assert_int_equal(shared->items, 2);
	assert_int_equal(s->kept[0]->items, 4);
	batch_unref(shared);
}

/* Its done gives the processor the next batch, as a source with a window does. */
struct source {
	struct stage *stage;
	int left, done;
};

static void on_source_done(void *arg, const struct outcome *outcome)
{
	struct source *source = arg;

	source->done++;
	if (source->left-- > 0)
		source->stage->component->type->consume(
			source->stage->component, stage_batch(source->stage, SIGNAL_TRACES, 1, 0),
			(struct done){.fn = on_source_done, .arg = source});
}

static void a_source_that_goes_on_in_its_done_does_not_grow_the_stack(void **state)
{
	struct stage *s = *state;
	struct source source = {.stage = s, .left = 20000};

	s->answer_at_once = true;
	stage_create(s, batch, "timeout: 0s", SIGNAL_TRACES);
	on_source_done(&source, NULL);
	assert_int_equal(source.done, 20001);
	assert_int_equal(s->n_answered, 20000);
}

static void no_memory_is_answered_with_retry(void **state)
{
	struct stage *s = *state;
	struct result *a, *b, *c;

	stage_create(s, batch, "{timeout: 1h, send_batch_size: 10, send_batch_max_size: 10}",
	             SIGNAL_TRACES);
	a = give(s, 6, 0);
	{
		struct batch *next = stage_batch(s, SIGNAL_TRACES, 6, 6);
		s->budget.limit = s->budget.used; /* joining or cutting needs a little */
		b = stage_consume(s, next);
	}
	s->budget.limit = 0;
	while (s->n_kept)
		stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	c = give(s, 10, 0);
	while (s->n_kept)
		stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	assert_true(a->told && b->told && c->told);
	assert_int_equal(c->outcome.status, OUTCOME_OK);
	assert_int_equal(b->outcome.status, OUTCOME_RETRY);
}

/* A batch whose request had these fields. */
static struct result *give_with(struct stage *s, int items, int first,
                                const struct batch_metadata *metadata, size_t n)
{
	struct batch *b = stage_batch(s, SIGNAL_TRACES, items, first);

	assert_true(
		batch_set_origin(b, &(struct batch_origin){.metadata = metadata, .n_metadata = n}));
	return stage_consume(s, b);
}

static struct result *give_of(struct stage *s, int items, int first, const char *tenant)
{
	const struct batch_metadata metadata[] = {{"x-tenant", tenant},
	                                          {"x-other", first % 2 ? "a" : "b"}};

	return give_with(s, items, first, metadata, 2);
}

static const char keyed[] = "{timeout: 1h, send_batch_size: 10, metadata_keys: [X-Tenant], "
			    "metadata_cardinality_limit: 2}";

static void joins_only_what_has_the_same_metadata_values(void **state)
{
	struct stage *s = *state;
	struct result *a, *b;

	stage_create(s, batch, keyed, SIGNAL_TRACES);
	a = give_of(s, 6, 0, "one");
	b = give_of(s, 7, 100, "two");
	assert_int_equal(s->n_kept, 0);
	give_of(s, 5, 6, "one");
	assert_int_equal(s->n_kept, 1);
	expect_kept(s, 0, 11, 0);
	assert_int_equal(s->kept[0]->origin.n_metadata, 2);
	assert_string_equal(s->kept[0]->origin.metadata[0].value, "one");
	give_of(s, 3, 107, "two");
	expect_kept(s, 1, 10, 100);
	/* What was told apart by nothing is forgotten when it differs. */
	assert_int_equal(s->kept[1]->origin.n_metadata, 1);
	assert_string_equal(s->kept[1]->origin.metadata[0].value, "two");
	assert_int_equal(stage_figure(s, "otelcol_processor_batch_metadata_cardinality"), 2);
	stage_answer(s, (struct outcome){.status = OUTCOME_RETRY});
	assert_int_equal(a->outcome.status, OUTCOME_RETRY);
	assert_false(b->told);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	assert_int_equal(b->outcome.status, OUTCOME_OK);
}

static void no_metadata_is_a_combination_of_its_own(void **state)
{
	struct stage *s = *state;

	stage_create(s, batch, keyed, SIGNAL_TRACES);
	give(s, 6, 0);
	give_of(s, 6, 100, "");
	assert_int_equal(s->n_kept, 0);
	give(s, 6, 6);
	expect_kept(s, 0, 12, 0);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
}

static void refuses_one_combination_too_many_for_good(void **state)
{
	struct stage *s = *state;
	struct result *refused, *taken;

	s->answer_at_once = true;
	stage_create(s, batch, keyed, SIGNAL_TRACES);
	give_of(s, 10, 0, "one");
	give_of(s, 10, 10, "two");
	refused = give_of(s, 10, 20, "three");
	assert_int_equal(refused->outcome.status, OUTCOME_PERMANENT);
	assert_string_equal(refused->message, "too many batcher metadata-value combinations");
	taken = give_of(s, 10, 30, "one");
	assert_int_equal(taken->outcome.status, OUTCOME_OK);
}

static void shutdown_sends_what_every_partition_holds(void **state)
{
	struct stage *s = *state;
	struct result *a, *b;

	s->answer_at_once = true;
	stage_create(s, batch, keyed, SIGNAL_TRACES);
	a = give_of(s, 1, 0, "one");
	b = give_of(s, 1, 1, "two");
	assert_int_equal(s->n_kept + s->n_answered, 0);
	stage_shutdown(s, clock_monotonic_ns() + 10 * NS_PER_S);
	assert_true(s->closed);
	assert_true(a->told && b->told);
	assert_int_equal(a->outcome.status, OUTCOME_OK);
}

static void shutdown_sends_what_is_pending_and_waits_for_its_outcome(void **state)
{
	struct stage *s = *state;
	struct result *a, *b;

	stage_create(s, batch, "timeout: 1h", SIGNAL_TRACES);
	a = give(s, 3, 0);
	stage_shutdown(s, clock_monotonic_ns() + 10 * NS_PER_S);
	expect_kept(s, 0, 3, 0);
	assert_false(s->closed);
	b = give(s, 1, 0);
	assert_int_equal(b->outcome.status, OUTCOME_CANCELED);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	assert_true(s->closed && a->told);
	assert_int_equal(a->outcome.status, OUTCOME_OK);
}

static void shutdown_gives_up_at_its_deadline(void **state)
{
	struct stage *s = *state;
	struct result *a, *b;

	stage_create(s, batch, "{timeout: 0s, send_batch_max_size: 0}", SIGNAL_TRACES);
	a = give(s, 3, 0);
	b = give(s, 3, 0);
	stage_shutdown(s, clock_monotonic_ns());
	stage_wait(s, &s->closed);
	assert_int_equal(a->outcome.status, OUTCOME_CANCELED);
	assert_int_equal(b->outcome.status, OUTCOME_CANCELED);
	/* the answers that come after all are nobody's any more: stage_end() gives them */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refuses_configurations_that_make_no_sense),
		TEST(joins_until_there_are_enough_items),
		TEST(sends_what_there_is_when_the_time_is_over),
		TEST(passes_on_at_once_without_a_timeout),
		TEST(a_batch_that_was_cut_is_done_with_its_last_part),
		TEST(the_sender_of_a_cut_batch_learns_the_worst),
		TEST(rejected_items_add_up_over_the_senders),
		TEST(batches_without_items_are_answered_too),
		TEST(takes_batches_that_others_hold),
		TEST(a_source_that_goes_on_in_its_done_does_not_grow_the_stack),
		TEST(no_memory_is_answered_with_retry),
		TEST(joins_only_what_has_the_same_metadata_values),
		TEST(no_metadata_is_a_combination_of_its_own),
		TEST(refuses_one_combination_too_many_for_good),
		TEST(shutdown_sends_what_every_partition_holds),
		TEST(shutdown_sends_what_is_pending_and_waits_for_its_outcome),
		TEST(shutdown_gives_up_at_its_deadline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
