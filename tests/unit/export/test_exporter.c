#include "tests/unit/export/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct outcome ok = {.status = OUTCOME_OK};
static const struct outcome later = {.status = OUTCOME_RETRY, .message = "unavailable"};
static const struct outcome never = {.status = OUTCOME_PERMANENT, .message = "bad data"};

static size_t n_sent(struct fixture *f)
{
	struct sent *s;
	size_t n = 0;

	LIST_FOR_EACH(s, &f->sent, link)
		n++;
	return n;
}

static void close_clean(struct fixture *f)
{
	begin_shutdown(f, 5 * NS_PER_S);
	while (!list_is_empty(&f->sent))
		answer_first(f, &ok);
	WAIT_UNTIL(f, f->closed);
	assert_accounts_balance(f);
	assert_int_equal(figure(f, "weir_exporter_queued_items"), 0);
	fixture_free(f);
}

static void the_sender_is_answered_when_the_queue_has_taken_it(void **state)
{
	struct fixture *f = fixture_new();
	struct told told;

	fixture_open(f);
	give(f, 3, 1, &told);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.status, OUTCOME_OK);
	assert_int_equal(n_sent(f), 1);
	assert_int_equal(figure(f, "weir_exporter_queued_items"), 3);
	assert_int_equal(figure(f, "otelcol_exporter_in_flight_requests"), 1);
	answer_first(f, &ok);
	assert_int_equal(figure(f, "otelcol_exporter_sent_spans"), 3);
	assert_int_equal(figure(f, "otelcol_exporter_queue_size"), 0);
	close_clean(f);
}

static void at_most_num_consumers_requests_are_in_flight(void **state)
{
	struct fixture *f = fixture_new();
	struct told told[5];

	f->config.sending_queue.num_consumers = 2;
	fixture_open(f);
	for (unsigned i = 0; i < 5; i++)
		give(f, 1, i, &told[i]);
	assert_int_equal(n_sent(f), 2);
	answer_first(f, &ok);
	assert_int_equal(n_sent(f), 2);
	assert_int_equal(figure(f, "otelcol_exporter_queue_size"), 4);
	close_clean(f);
}

static void a_full_queue_refuses(void **state)
{
	struct fixture *f = fixture_new();
	struct told told[4];

	f->config.sending_queue.queue_size = 10;
	f->config.sending_queue.sizer = BATCH_ITEMS;
	fixture_open(f);
	give(f, 6, 0, &told[0]);
	give(f, 4, 0, &told[1]);
	give(f, 1, 0, &told[2]);
	assert_int_equal(told[1].status, OUTCOME_OK);
	assert_int_equal(told[2].status, OUTCOME_RETRY);
	assert_string_equal(told[2].message, "sending queue is full");
	assert_int_equal(figure(f, "otelcol_exporter_enqueue_failed_spans"), 1);
	assert_int_equal(figure(f, "weir_exporter_refused_items"), 1);
	give(f, 11, 0, &told[3]); /* would not fit into an empty queue either */
	assert_int_equal(told[3].status, OUTCOME_PERMANENT);
	assert_string_equal(told[3].message, "element size too large");
	assert_int_equal(dropped(f, "too_large"), 11);
	answer_first(f, &ok); /* room is free when the outcome is known */
	give(f, 6, 0, &told[2]);
	assert_int_equal(told[2].status, OUTCOME_OK);
	close_clean(f);
}

static void the_queue_can_be_bounded_in_bytes(void **state)
{
	struct fixture *f = fixture_new();
	struct batch *b = make_batch(1, 1, &f->budget);
	struct told told[3];

	f->config.sending_queue.queue_size = 2 * batch_bytes(b);
	f->config.sending_queue.sizer = BATCH_BYTES;
	batch_unref(b);
	fixture_open(f);
	for (unsigned i = 0; i < 3; i++)
		give(f, 1, i, &told[i]);
	assert_int_equal(told[1].status, OUTCOME_OK);
	assert_int_equal(told[2].status, OUTCOME_RETRY);
	close_clean(f);
}

static void a_full_queue_makes_senders_wait_when_told_to_block(void **state)
{
	struct fixture *f = fixture_new();
	struct told told[4];

	f->config.sending_queue.queue_size = 2;
	f->config.sending_queue.block_on_overflow = true;
	fixture_open(f);
	for (unsigned i = 0; i < 4; i++)
		give(f, 1, i, &told[i]);
	assert_int_equal(told[1].calls, 1);
	assert_int_equal(told[2].calls, 0);
	assert_int_equal(figure(f, "weir_exporter_blocked_requests"), 2);
	answer_first(f, &ok);
	assert_int_equal(told[2].calls, 1);
	assert_int_equal(told[2].status, OUTCOME_OK);
	assert_int_equal(told[3].calls, 0);
	begin_shutdown(f, 5 * NS_PER_S); /* who still waits is refused */
	assert_int_equal(told[3].calls, 1);
	assert_int_equal(told[3].status, OUTCOME_RETRY);
	while (!list_is_empty(&f->sent))
		answer_first(f, &ok);
	assert_true(f->closed);
	assert_accounts_balance(f);
	assert_int_equal(figure(f, "weir_exporter_sent_items"), 3);
	fixture_free(f);
}

static void a_sender_can_wait_for_the_result(void **state)
{
	struct fixture *f = fixture_new();
	struct told told[3];

	f->config.sending_queue.wait_for_result = true;
	f->config.retry_on_failure.enabled = false;
	fixture_open(f);
	for (unsigned i = 0; i < 3; i++)
		give(f, 2, i, &told[i]);
	assert_int_equal(told[0].calls, 0);
	answer_first(f, &(struct outcome){.status = OUTCOME_OK, .rejected_items = 1});
	assert_int_equal(told[0].status, OUTCOME_OK);
	assert_int_equal(told[0].rejected_items, 1);
	answer_first(f, &never);
	assert_int_equal(told[1].status, OUTCOME_PERMANENT);
	assert_string_equal(told[1].message, "not retryable error: bad data");
	answer_first(f, &(struct outcome){.status = OUTCOME_RETRY, .retry_after_ns = 7});
	assert_int_equal(told[2].status, OUTCOME_RETRY);
	assert_int_equal(told[2].retry_after_ns, 7);
	assert_int_equal(figure(f, "weir_exporter_refused_items"), 2); /* its sender has it still */
	assert_int_equal(dropped(f, "partial_rejected"), 1);
	assert_int_equal(dropped(f, "permanent_error"), 2);
	close_clean(f);
}

static void without_a_queue_the_sender_waits_too(void **state)
{
	struct fixture *f = fixture_new();
	struct told told;

	f->config.sending_queue.enabled = false;
	fixture_open(f);
	give(f, 2, 0, &told);
	assert_int_equal(told.calls, 0);
	answer_first(f, &ok);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.status, OUTCOME_OK);
	close_clean(f);
}

struct numbers {
	unsigned next;
	bool in_order;
};

static void on_number(void *arg, unsigned number)
{
	struct numbers *n = arg;

	n->in_order = n->in_order && number == n->next;
	n->next = number + 1;
}

/* The attempts so far hold the spans from on, in order. */
static unsigned assert_in_order(struct fixture *f, unsigned from)
{
	struct numbers n = {from, true};
	struct sent *s;

	LIST_FOR_EACH(s, &f->sent, link)
		assert_true(each_number(s->batch, on_number, &n));
	assert_true(n.in_order);
	return n.next;
}

static void small_batches_are_joined_up_to_min_size_in_order(void **state)
{
	struct fixture *f = fixture_new();
	struct told told[4];

	f->config.sending_queue.batch.enabled = true;
	f->config.sending_queue.batch.min_size = 10;
	f->config.sending_queue.batch.flush_timeout = 60 * NS_PER_S;
	fixture_open(f);
	give(f, 4, 0, &told[0]);
	give(f, 4, 4, &told[1]);
	assert_int_equal(n_sent(f), 0);
	give(f, 4, 8, &told[2]);
	assert_int_equal(n_sent(f), 1);
	assert_int_equal(LIST_FIRST(&f->sent, struct sent, link)->items, 12);
	assert_int_equal(assert_in_order(f, 0), 12);
	assert_int_equal(figure(f, "otelcol_exporter_queue_size"), 3);
	answer_first(f, &ok);
	assert_int_equal(figure(f, "otelcol_exporter_queue_size"), 0);
	give(f, 1, 0, &told[3]); /* what is open at the shutdown is sent as well */
	close_clean(f);
}

static void a_batch_that_is_shared_with_others_is_joined_without_touching_it(void **state)
{
	struct fixture *f = fixture_new();
	struct batch *shared = make_batch(2, 0, &f->budget);
	struct told told = {0};

	f->config.sending_queue.batch.enabled = true;
	f->config.sending_queue.batch.min_size = 4;
	fixture_open(f);
	exporter_consume(f->exporter, batch_ref(shared), (struct done){NULL, NULL});
	give(f, 2, 2, &told);
	assert_int_equal(n_sent(f), 1);
	assert_int_equal(assert_in_order(f, 0), 4);
	assert_int_equal(shared->items, 2);
	batch_unref(shared);
	close_clean(f);
}

static void the_flush_timeout_sends_what_is_there(void **state)
{
	struct fixture *f = fixture_new();
	uint64_t before = clock_monotonic_ns();
	struct told told;

	f->config.sending_queue.batch.enabled = true;
	f->config.sending_queue.batch.flush_timeout = 30 * NS_PER_MS;
	fixture_open(f);
	give(f, 1, 0, &told);
	WAIT_UNTIL(f, n_sent(f) == 1);
	assert_true(clock_monotonic_ns() - before >= 29 * NS_PER_MS);
	close_clean(f);
}

static void large_batches_are_cut_at_max_size_in_order(void **state)
{
	struct fixture *f = fixture_new();
	struct told told[2];
	struct sent *s;

	f->config.sending_queue.wait_for_result = true;
	f->config.sending_queue.batch.enabled = true;
	f->config.sending_queue.batch.min_size = 5;
	f->config.sending_queue.batch.max_size = 10;
	f->config.sending_queue.batch.flush_timeout = NS_PER_MS;
	fixture_open(f);
	give(f, 24, 0, &told[0]);
	give(f, 3, 24, &told[1]);
	WAIT_UNTIL(f, n_sent(f) == 3);
	LIST_FOR_EACH(s, &f->sent, link)
		assert_true(s->items <= 10);
	assert_int_equal(assert_in_order(f, 0), 27);
	/* The first sender's items are in all three requests, the second's in the last. */
	answer_first(f, &ok);
	answer_first(f, &(struct outcome){.status = OUTCOME_PERMANENT, .message = "no"});
	assert_int_equal(told[0].calls, 0);
	answer_first(f, &ok);
	assert_int_equal(told[0].calls, 1);
	assert_int_equal(told[0].status, OUTCOME_PERMANENT);
	assert_int_equal(told[1].calls, 1);
	assert_int_equal(told[1].status, OUTCOME_OK);
	assert_int_equal(figure(f, "weir_exporter_sent_items"), 17);
	assert_int_equal(dropped(f, "permanent_error"), 10);
	close_clean(f);
}

static void a_single_item_above_max_size_is_dropped_as_too_large(void **state)
{
	struct fixture *f = fixture_new();
	struct told told;

	f->config.sending_queue.batch.enabled = true;
	f->config.sending_queue.batch.min_size = 1;
	f->config.sending_queue.batch.max_size = 4; /* bytes: smaller than any span */
	f->config.sending_queue.batch.sizer = BATCH_BYTES;
	fixture_open(f);
	give(f, 3, 0, &told);
	assert_int_equal(n_sent(f), 0);
	assert_int_equal(dropped(f, "too_large"), 3);
	assert_accounts_balance(f);
	close_clean(f);
}

static void retries_wait_longer_each_time_and_obey_the_server(void **state)
{
	struct fixture *f = fixture_new();
	uint64_t at[4];
	struct told told;

	f->config.retry_on_failure.initial_interval = 20 * NS_PER_MS;
	f->config.retry_on_failure.multiplier = 2;
	fixture_open(f);
	give(f, 1, 0, &told);
	for (unsigned i = 0; i < 4; i++) {
		WAIT_UNTIL(f, n_sent(f) == 1);
		at[i] = LIST_FIRST(&f->sent, struct sent, link)->at_ns;
		if (i == 2)
			answer_first(f, &(struct outcome){.status = OUTCOME_RETRY,
			                                  .retry_after_ns = 120 * NS_PER_MS});
		else
			answer_first(f, i == 3 ? &ok : &later);
	}
	assert_true(at[1] - at[0] >= 20 * NS_PER_MS);
	assert_true(at[2] - at[1] >= 40 * NS_PER_MS);
	assert_true(at[3] - at[2] >= 120 * NS_PER_MS);
	assert_int_equal(figure(f, "weir_exporter_attempts"), 4);
	assert_int_equal(figure(f, "weir_exporter_retries"), 3);
	assert_int_equal(figure(f, "weir_exporter_sent_items"), 1);
	close_clean(f);
}

static void a_request_is_given_up_after_max_elapsed_time(void **state)
{
	struct fixture *f = fixture_new();
	struct told told;

	f->config.retry_on_failure.initial_interval = 10 * NS_PER_MS;
	f->config.retry_on_failure.max_interval = 10 * NS_PER_MS;
	f->config.retry_on_failure.max_elapsed_time = 60 * NS_PER_MS;
	f->at_once = &later;
	fixture_open(f);
	give(f, 5, 0, &told);
	WAIT_UNTIL(f, dropped(f, "retry_expired") == 5);
	assert_in_range(f->attempts, 2, 7);
	assert_int_equal(figure(f, "otelcol_exporter_send_failed_spans"), 5);
	close_clean(f);
}

static void every_attempt_has_its_time_limit(void **state)
{
	struct fixture *f = fixture_new();
	struct told told;
	struct sent *s;

	f->config.timeout = NS_PER_S;
	fixture_open(f);
	give(f, 1, 0, &told);
	s = LIST_FIRST(&f->sent, struct sent, link);
	assert_true(s->deadline_ns >= s->at_ns + NS_PER_S - 10 * NS_PER_MS);
	assert_true(s->deadline_ns <= s->at_ns + NS_PER_S);
	close_clean(f);
}

static void a_shutdown_tries_what_waits_for_its_retry_once_more_at_once(void **state)
{
	struct fixture *f = fixture_new();
	struct told told[2];

	f->config.retry_on_failure.initial_interval = 1000 * NS_PER_S;
	f->config.retry_on_failure.max_interval = 1000 * NS_PER_S;
	f->config.retry_on_failure.max_elapsed_time = 0;
	fixture_open(f);
	give(f, 1, 0, &told[0]);
	give(f, 2, 1, &told[1]);
	answer_first(f, &later);
	answer_first(f, &later);
	assert_int_equal(n_sent(f), 0);
	begin_shutdown(f, 5 * NS_PER_S);
	assert_int_equal(n_sent(f), 2);
	assert_false(f->closed);
	answer_first(f, &ok);
	answer_first(f, &later); /* not again */
	assert_true(f->closed);
	assert_int_equal(figure(f, "weir_exporter_sent_items"), 1);
	assert_int_equal(dropped(f, "shutdown"), 2);
	assert_accounts_balance(f);
	fixture_free(f);
}

static void a_shutdown_ends_at_its_deadline_and_counts_what_is_lost(void **state)
{
	struct fixture *f = fixture_new();
	struct told told[4];

	f->config.timeout = 0;
	f->config.sending_queue.num_consumers = 1;
	fixture_open(f);
	for (unsigned i = 0; i < 3; i++)
		give(f, 2, i, &told[i]);
	begin_shutdown(f, 50 * NS_PER_MS);
	give(f, 1, 0, &told[3]);
	assert_int_equal(told[3].status, OUTCOME_RETRY);
	assert_false(f->closed);
	WAIT_UNTIL(f, f->closed);
	assert_int_equal(dropped(f, "shutdown"), 6);
	assert_accounts_balance(f);
	assert_int_equal(n_sent(f), 1); /* answered late, after the exporter was freed */
	fixture_free(f);
}

static void a_late_answer_before_the_exporter_is_freed_changes_nothing(void **state)
{
	struct fixture *f = fixture_new();
	struct told told;

	f->config.sending_queue.enabled = false;
	fixture_open(f);
	give(f, 2, 0, &told);
	begin_shutdown(f, 0);
	WAIT_UNTIL(f, f->closed);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.status, OUTCOME_CANCELED);
	answer_first(f, &ok);
	assert_int_equal(told.calls, 1);
	assert_int_equal(figure(f, "weir_exporter_sent_items"), 0);
	assert_int_equal(figure(f, "weir_exporter_refused_items"), 2);
	assert_accounts_balance(f);
	fixture_free(f);
}

static void envelopes_without_items_are_not_sent(void **state)
{
	struct fixture *f = fixture_new();
	struct told told;

	fixture_open(f);
	give(f, 0, 0, &told);
	assert_int_equal(told.status, OUTCOME_OK);
	assert_int_equal(n_sent(f), 0);
	close_clean(f);
}

/* Random configurations, sizes and answers; the books are checked after every step. */

static unsigned below(unsigned *seed, unsigned n)
{
	return (unsigned)rand_r(seed) % n;
}

static void random_answer(struct fixture *f, unsigned *seed)
{
	struct sent *s = LIST_FIRST(&f->sent, struct sent, link);
	struct outcome o = {.message = "x"};

	for (unsigned skip = below(seed, 4); skip && s->link.next != &f->sent; skip--)
		s = CONTAINER_OF(s->link.next, struct sent, link);
	list_remove(&s->link); /* so that answers come in another order than requests */
	list_push_front(&f->sent, &s->link);
	switch (below(seed, 8)) {
	case 0:
	case 1:
		o.status = OUTCOME_RETRY;
		break;
	case 2:
		o.status = OUTCOME_PERMANENT;
		break;
	case 3:
		o.rejected_items = below(seed, (unsigned)s->items + 1);
		break;
	case 4:
		o.status = OUTCOME_CANCELED;
		break;
	default:
		break;
	}
	answer_first(f, &o);
}

static void random_config(struct exporter_config *c, unsigned *seed)
{
	struct queue_config *q = &c->sending_queue;

	q->enabled = below(seed, 6) != 0;
	q->num_consumers = 1 + below(seed, 4);
	q->sizer = (int)below(seed, 3);
	q->queue_size = q->sizer == BATCH_REQUESTS ? 1 + below(seed, 20) : 20 + below(seed, 1000);
	q->wait_for_result = below(seed, 2);
	q->block_on_overflow = below(seed, 2);
	q->batch.enabled = below(seed, 2);
	q->batch.sizer = 1 + (int)below(seed, 2);
	q->batch.min_size = below(seed, 60);
	q->batch.max_size = below(seed, 2) ? q->batch.min_size + 1 + below(seed, 60) : 0;
	q->batch.flush_timeout = NS_PER_MS;
	c->retry_on_failure.enabled = below(seed, 4) != 0;
	c->retry_on_failure.initial_interval = NS_PER_MS;
	c->retry_on_failure.max_interval = 2 * NS_PER_MS;
	c->retry_on_failure.max_elapsed_time = below(seed, 2) ? 10 * NS_PER_MS : 0;
	c->retry_on_failure.randomization_factor = 0.5;
}

/* What a destination says before send returns; NULL: it answers later. */
static const struct outcome *random_answer_at_once(unsigned *seed)
{
	static const struct outcome answers[] = {{.status = OUTCOME_OK},
	                                         {.status = OUTCOME_RETRY},
	                                         {.status = OUTCOME_PERMANENT}};
	unsigned which = below(seed, 12);

	return which < 3 ? &answers[which] : NULL;
}

static void run_random_scenario(unsigned seed, size_t memory)
{
	enum { GIVEN = 60 };
	struct fixture *f = fixture_new();
	struct told told[GIVEN] = {{0}};
	unsigned at_start = seed, n = 0;

	random_config(&f->config, &seed);
	fixture_open(f);
	while (n < GIVEN) {
		unsigned what = below(&seed, 5);
		f->at_once = random_answer_at_once(&seed);
		if (what < 2) {
			f->budget.limit = 0;
			give(f, 1 + below(&seed, 30), n, &told[n]);
			n++;
			f->budget.limit = memory ? f->budget.used + memory : 0;
		} else if (what < 4 && !list_is_empty(&f->sent)) {
			random_answer(f, &seed);
		} else {
			loop_run_once(f->loop);
		}
		assert_accounts_balance(f);
	}
	begin_shutdown(f, below(&seed, 3) * 8 * NS_PER_MS);
	while (!f->closed) {
		if (!list_is_empty(&f->sent) && below(&seed, 2))
			random_answer(f, &seed);
		else
			loop_run_once(f->loop);
		assert_accounts_balance(f);
	}
	for (n = 0; n < GIVEN; n++)
		if (told[n].calls != 1)
			fail_msg("seed %u: batch %u was answered %u times", at_start, n,
			         told[n].calls);
	assert_int_equal(figure(f, "weir_exporter_queued_items"), 0);
	assert_int_equal(figure(f, "otelcol_exporter_queue_size"), 0);
	if (list_is_empty(&f->sent))
		assert_int_equal(figure(f, "weir_exporter_sent_items"), f->ok_items);
	fixture_free(f);
}

static void the_books_balance_whatever_happens(void **state)
{
	for (unsigned seed = 1; seed <= 150; seed++)
		run_random_scenario(seed, 0);
}

static void the_books_balance_when_memory_runs_out_anywhere(void **state)
{
	for (unsigned step = 0; step < 90; step++)
		run_random_scenario(1000 + step % 15, 1 + step * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sender_is_answered_when_the_queue_has_taken_it),
		cmocka_unit_test(at_most_num_consumers_requests_are_in_flight),
		cmocka_unit_test(a_full_queue_refuses),
		cmocka_unit_test(the_queue_can_be_bounded_in_bytes),
		cmocka_unit_test(a_full_queue_makes_senders_wait_when_told_to_block),
		cmocka_unit_test(a_sender_can_wait_for_the_result),
		cmocka_unit_test(without_a_queue_the_sender_waits_too),
		cmocka_unit_test(small_batches_are_joined_up_to_min_size_in_order),
		cmocka_unit_test(a_batch_that_is_shared_with_others_is_joined_without_touching_it),
		cmocka_unit_test(the_flush_timeout_sends_what_is_there),
		cmocka_unit_test(large_batches_are_cut_at_max_size_in_order),
		cmocka_unit_test(a_single_item_above_max_size_is_dropped_as_too_large),
		cmocka_unit_test(retries_wait_longer_each_time_and_obey_the_server),
		cmocka_unit_test(a_request_is_given_up_after_max_elapsed_time),
		cmocka_unit_test(every_attempt_has_its_time_limit),
		cmocka_unit_test(a_shutdown_tries_what_waits_for_its_retry_once_more_at_once),
		cmocka_unit_test(a_shutdown_ends_at_its_deadline_and_counts_what_is_lost),
		cmocka_unit_test(a_late_answer_before_the_exporter_is_freed_changes_nothing),
		cmocka_unit_test(envelopes_without_items_are_not_sent),
		cmocka_unit_test(the_books_balance_whatever_happens),
		cmocka_unit_test(the_books_balance_when_memory_runs_out_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
