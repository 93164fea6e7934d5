/* sending_queue::wait_for_result with batching: what each sender hears of a request that was made of several. */
#include "tests/unit/export/fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SENDERS = 3 };

static struct fixture *begin(uint64_t min_size, uint64_t max_size)
{
	struct fixture *f = fixture_new();

	f->config.sending_queue.wait_for_result = true;
	f->config.sending_queue.batch.enabled = true;
	f->config.sending_queue.batch.min_size = min_size;
	f->config.sending_queue.batch.max_size = max_size;
	f->config.sending_queue.batch.flush_timeout = 60 * NS_PER_S;
	f->config.retry_on_failure.enabled = false;
	fixture_open(f);
	return f;
}

/* Batches of 3, 4 and 5 items in one request that is out. */
static struct fixture *begin_joined(struct told *told)
{
	struct fixture *f = begin(12, 0);

	give(f, 3, 0, &told[0]);
	give(f, 4, 3, &told[1]);
	give(f, 5, 7, &told[2]);
	assert_int_equal(f->attempts, 1);
	return f;
}

/* A batch of 8 items in two requests that are out. */
static struct fixture *begin_cut(struct told *told)
{
	struct fixture *f = begin(4, 4);

	give(f, 8, 0, told);
	assert_int_equal(f->attempts, 2);
	return f;
}

static void end(struct fixture *f)
{
	begin_shutdown(f, 5 * NS_PER_S);
	WAIT_UNTIL(f, f->closed);
	assert_accounts_balance(f);
	fixture_free(f);
}

static void assert_told(const struct told *told, uint64_t first, uint64_t second, uint64_t third)
{
	const uint64_t wanted[SENDERS] = {first, second, third};

	for (int i = 0; i < SENDERS; i++) {
		assert_int_equal(told[i].calls, 1);
		assert_int_equal(told[i].status, OUTCOME_OK);
		assert_int_equal(told[i].rejected_items, wanted[i]);
		assert_string_equal(told[i].message, wanted[i] ? "too old" : "");
	}
}

static void rejected_items_are_laid_to_the_first_senders(void **state)
{
	struct told told[SENDERS];
	struct fixture *f = begin_joined(told);

	answer_first(f, &(struct outcome){.status = OUTCOME_OK,
	                                  .rejected_items = 5,
	                                  .message = "too old"});
	assert_told(told, 3, 2, 0);
	assert_int_equal(dropped(f, "partial_rejected"), 5);
	end(f);
}

static void no_sender_hears_of_more_than_it_sent(void **state)
{
	struct told told[SENDERS];
	struct fixture *f = begin_joined(told);

	f->ok_items += 1000 - 12; /* the fixture takes the backend at its word */
	answer_first(f, &(struct outcome){.status = OUTCOME_OK,
	                                  .rejected_items = 1000,
	                                  .message = "too old"});
	assert_told(told, 3, 4, 5);
	assert_int_equal(dropped(f, "partial_rejected"), 12);
	end(f);
}

static void a_sender_whose_batch_was_cut_hears_the_sum(void **state)
{
	struct told told;
	struct fixture *f = begin_cut(&told);

	answer_first(f, &(struct outcome){.status = OUTCOME_OK,
	                                  .rejected_items = 3,
	                                  .message = "too old"});
	assert_int_equal(told.calls, 0);
	answer_first(f, &(struct outcome){.status = OUTCOME_OK, .rejected_items = 1});
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.status, OUTCOME_OK);
	assert_int_equal(told.rejected_items, 4);
	assert_string_equal(told.message, "too old");
	end(f);
}

static void a_sender_that_must_send_again_hears_of_no_rejected_items(void **state)
{
	struct told told;
	struct fixture *f = begin_cut(&told);

	answer_first(f, &(struct outcome){.status = OUTCOME_OK,
	                                  .rejected_items = 3,
	                                  .message = "too old"});
	answer_first(f, &(struct outcome){.status = OUTCOME_RETRY, .message = "busy"});
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.status, OUTCOME_RETRY);
	assert_int_equal(told.rejected_items, 0);
	assert_non_null(strstr(told.message, "busy"));
	end(f);
}

static void a_sender_whose_batch_was_cut_hears_the_worst(void **state)
{
	struct told told;
	struct fixture *f = begin_cut(&told);

	answer_first(f, &(struct outcome){.status = OUTCOME_PERMANENT, .message = "no"});
	answer_first(f, &(struct outcome){.status = OUTCOME_OK,
	                                  .rejected_items = 1,
	                                  .message = "too old"});
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.status, OUTCOME_PERMANENT);
	assert_non_null(strstr(told.message, "no"));
	assert_int_equal(figure(f, "weir_exporter_sent_items"), 3);
	assert_int_equal(dropped(f, "permanent_error"), 4);
	assert_int_equal(dropped(f, "partial_rejected"), 1);
	end(f);
}

/* Everything at once: a queue in bytes that is full makes senders wait for room, and then for the result. */
static void a_sender_that_was_blocked_hears_the_result(void **state)
{
	struct fixture *f = fixture_new();
	struct queue_config *q = &f->config.sending_queue;
	struct told told[3];
	struct batch *b = make_batch(4, 0, &f->budget);

	q->sizer = BATCH_BYTES;
	q->queue_size = batch_bytes(b) + batch_bytes(b) / 2;
	q->wait_for_result = q->block_on_overflow = true;
	batch_unref(b);
	fixture_open(f);
	give(f, 4, 0, &told[0]);
	give(f, 4, 4, &told[1]); /* no room */
	give(f, 1, 8, &told[2]); /* has room, but waits behind it */
	assert_int_equal(f->attempts, 1);
	assert_int_equal(figure(f, "weir_exporter_blocked_requests"), 2);
	assert_accounts_balance(f);
	answer_first(f, &(struct outcome){.status = OUTCOME_OK});
	assert_int_equal(told[0].calls, 1);
	assert_int_equal(f->attempts, 3);
	assert_int_equal(told[1].calls + told[2].calls, 0);
	answer_first(f, &(struct outcome){.status = OUTCOME_PERMANENT, .message = "no"});
	answer_first(f, &(struct outcome){.status = OUTCOME_OK});
	assert_int_equal(told[1].status, OUTCOME_PERMANENT);
	assert_int_equal(told[2].status, OUTCOME_OK);
	assert_int_equal(told[1].calls + told[2].calls, 2);
	give(f, 12, 0, &told[0]); /* larger than the queue: nobody waits for that */
	assert_int_equal(told[0].status, OUTCOME_PERMANENT);
	assert_int_equal(dropped(f, "too_large"), 12);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejected_items_are_laid_to_the_first_senders),
		cmocka_unit_test(no_sender_hears_of_more_than_it_sent),
		cmocka_unit_test(a_sender_whose_batch_was_cut_hears_the_sum),
		cmocka_unit_test(a_sender_that_must_send_again_hears_of_no_rejected_items),
		cmocka_unit_test(a_sender_whose_batch_was_cut_hears_the_worst),
		cmocka_unit_test(a_sender_that_was_blocked_hears_the_result),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
