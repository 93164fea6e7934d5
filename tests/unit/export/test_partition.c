/* sending_queue::batch::partition: what is not joined with one another. */
#include "core/export/batcher.h"
#include "tests/unit/export/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *keys[] = {"X-Tenant"};
static const struct outcome ok = {.status = OUTCOME_OK};

static struct fixture *begin(uint64_t min_size, uint64_t max_size, uint64_t flush_timeout)
{
	struct fixture *f = fixture_new();

	f->config.sending_queue.num_consumers = 100;
	f->config.sending_queue.queue_size = 10000;
	f->config.sending_queue.batch.enabled = true;
	f->config.sending_queue.batch.min_size = min_size;
	f->config.sending_queue.batch.max_size = max_size;
	f->config.sending_queue.batch.flush_timeout = flush_timeout;
	f->config.sending_queue.batch.partition.metadata_keys = (struct string_list){keys, 1};
	fixture_open(f);
	return f;
}

static void end(struct fixture *f)
{
	f->at_once = &ok;
	while (!list_is_empty(&f->sent))
		answer_first(f, &ok);
	begin_shutdown(f, 5 * NS_PER_S);
	WAIT_UNTIL(f, f->closed);
	assert_accounts_balance(f);
	fixture_free(f);
}

static void give_of(struct fixture *f, size_t items, const char *tenant)
{
	const struct batch_metadata field = {"x-tenant", tenant};
	struct batch *b = make_batch(items, 0, &f->budget);

	assert_true(
		batch_set_origin(b, &(struct batch_origin){.metadata = &field, .n_metadata = 1}));
	exporter_consume(f->exporter, b, (struct done){NULL, NULL});
}

/* The oldest attempt, which ends well. */
static void expect_sent(struct fixture *f, size_t items, const char *tenant)
{
	struct sent *s = LIST_FIRST(&f->sent, struct sent, link);

	assert_non_null(s);
	assert_int_equal(s->items, items);
	assert_int_equal(s->batch->origin.n_metadata, 1);
	assert_string_equal(s->batch->origin.metadata[0].value, tenant);
	answer_first(f, &ok);
}

static void only_equal_values_are_joined(void **state)
{
	struct fixture *f = begin(10, 0, 60 * NS_PER_S);

	give_of(f, 6, "a");
	give_of(f, 7, "b");
	assert_true(list_is_empty(&f->sent));
	give_of(f, 6, "a");
	expect_sent(f, 12, "a");
	give_of(f, 6, "a");
	assert_true(list_is_empty(&f->sent));
	give_of(f, 3, "b");
	expect_sent(f, 10, "b");
	end(f);
}

static void every_combination_is_flushed_in_its_time(void **state)
{
	struct fixture *f = begin(10, 0, 50 * NS_PER_MS);

	give_of(f, 1, "a");
	give_of(f, 2, "b");
	give_of(f, 3, "a");
	WAIT_UNTIL(f, f->attempts == 2);
	expect_sent(f, 4, "a");
	expect_sent(f, 2, "b");
	end(f);
}

static void the_rest_of_one_that_was_cut_is_joined_again(void **state)
{
	struct fixture *f = begin(10, 10, 60 * NS_PER_S);

	give_of(f, 1, "b");
	give_of(f, 25, "a");
	expect_sent(f, 10, "a");
	expect_sent(f, 10, "a");
	assert_true(list_is_empty(&f->sent));
	give_of(f, 5, "a");
	expect_sent(f, 10, "a");
	give_of(f, 9, "b");
	expect_sent(f, 10, "b");
	end(f);
}

static void the_oldest_gives_way_when_there_are_too_many(void **state)
{
	struct fixture *f = begin(10, 0, 60 * NS_PER_S);
	char tenant[16];

	for (int i = 0; i < BATCHER_OPEN_LIMIT; i++) {
		snprintf(tenant, sizeof tenant, "%d", i);
		give_of(f, 1, tenant);
	}
	assert_true(list_is_empty(&f->sent));
	give_of(f, 1, "0"); /* not new */
	assert_true(list_is_empty(&f->sent));
	give_of(f, 1, "new");
	expect_sent(f, 2, "0");
	give_of(f, 1, "newer");
	expect_sent(f, 1, "1");
	end(f);
}

static void a_shutdown_sends_every_combination(void **state)
{
	struct fixture *f = begin(10, 0, 60 * NS_PER_S);

	give_of(f, 1, "a");
	give_of(f, 2, "b");
	begin_shutdown(f, 5 * NS_PER_S);
	assert_int_equal(f->attempts, 2);
	expect_sent(f, 1, "a");
	expect_sent(f, 2, "b");
	WAIT_UNTIL(f, f->closed);
	assert_accounts_balance(f);
	fixture_free(f);
}

static void what_a_shutdown_cannot_send_is_counted(void **state)
{
	struct fixture *f = begin(10, 0, 60 * NS_PER_S);

	give_of(f, 1, "a");
	give_of(f, 2, "b");
	begin_shutdown(f, 0);
	WAIT_UNTIL(f, f->closed);
	assert_int_equal(dropped(f, "shutdown"), 3);
	assert_accounts_balance(f);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_equal_values_are_joined),
		cmocka_unit_test(every_combination_is_flushed_in_its_time),
		cmocka_unit_test(the_rest_of_one_that_was_cut_is_joined_again),
		cmocka_unit_test(the_oldest_gives_way_when_there_are_too_many),
		cmocka_unit_test(a_shutdown_sends_every_combination),
		cmocka_unit_test(what_a_shutdown_cannot_send_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
